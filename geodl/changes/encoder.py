"""The first half of a trained network: what it sees at each scale before it begins to name classes."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from geodl.errors import OptionError
from geodl.models.bundle import Model
from geodl.models.receptive_field import rounded_up

_PROBES = 3  # inputs of noise that show how far features look
_LARGEST = 1024  # pixels of the side of such an input


class _Reached(Exception):  # noqa: N818 - no fault: the rest of the network is not wanted
    """The last level that is wanted has been computed."""


class Encoder:
    """The features of a network at some scales.

    Parameters
    ----------
    model : Model
        Any whose network pools: its encoder is what comes before its grid grows finer again.
    levels : sequence of int
        Scales, finest first: features of level n have one cell for ``2 ** n`` pixels along a side.

    Raises
    ------
    OptionError
        The network has no features at these scales, or each depends on the whole input.
    """

    def __init__(self, model: Model, levels: Sequence[int]) -> None:
        self.levels = tuple(levels)
        self._network = model.network().requires_grad_(requires_grad=False)
        self._bands = len(model.spec.bands)
        self.stride = max(model.spec.stride, 2 ** self.levels[-1])
        self._layers = self._found(model.spec.name)
        self.halo = self._measured(model.spec.name)

    def __call__(self, inputs: Tensor) -> list[Tensor]:
        """Return the features of each level (N, channels, H / 2**level, W / 2**level).

        `inputs` are scaled pixels (N, bands, H, W), H and W multiples of the stride.
        """
        outputs: dict[int, Tensor] = {}
        last = len(self._layers) - 1

        def keep(number: int, output: Tensor) -> None:
            outputs[number] = output
            if number == last:
                raise _Reached

        handles = [
            layer.register_forward_hook(lambda _, __, output, number=number: keep(number, output))
            for number, layer in enumerate(self._layers)
        ]
        try:
            self._network(inputs)
        except _Reached:
            pass
        finally:
            for handle in handles:
                handle.remove()
        return [outputs[number] for number in range(len(self._layers))]

    def _found(self, name: str) -> list[nn.Module]:
        """Return the layer that is the last one at each scale before the next coarser one begins."""
        side = 8 * self.stride
        calls: list[tuple[nn.Module, int]] = []

        def note(module: nn.Module, _: object, output: object) -> None:
            if isinstance(output, Tensor) and output.ndim == 4 and output.shape[-1] == output.shape[-2]:
                calls.append((module, output.shape[-1]))

        handles = [module.register_forward_hook(note) for module in self._network.modules()]
        try:
            with torch.inference_mode():
                self._network(torch.zeros(1, self._bands, side, side))
        finally:
            for handle in handles:
                handle.remove()
        found = []
        for level in self.levels:
            size = side >> level
            coarser = next((n for n, (_, other) in enumerate(calls) if other < size), len(calls))
            here = [module for module, other in calls[:coarser] if other == size]
            if not here:
                raise OptionError(
                    f"--model {name}",
                    f"its network has no features of one cell for {2**level} x {2**level} pixels",
                    "take another model, or --method cva",
                )
            found.append(here[-1])
        return found

    def _measured(self, name: str) -> int:
        """Measure how far the features of a cell look, from their gradients."""
        side = 16 * self.stride
        generator = torch.Generator().manual_seed(0)
        while side <= _LARGEST:
            seen = torch.zeros(side, side, dtype=torch.bool)
            for _ in range(_PROBES):
                inputs = torch.randn(1, self._bands, side, side, generator=generator).requires_grad_()
                middle = torch.zeros((), dtype=torch.float64)
                for level, features in zip(self.levels, self(inputs), strict=True):
                    first, count = (side // 2) >> level, self.stride >> level
                    cells = slice(first, first + count)
                    # In doubles the parts of a sum cancel nowhere.
                    middle = middle + features[..., cells, cells].double().square().sum()
                (gradient,) = torch.autograd.grad(middle, inputs)
                seen |= (gradient[0] != 0).any(dim=0)
            rows = torch.nonzero(seen.any(dim=1) | seen.any(dim=0)).ravel()
            start = side // 2
            reach = max(start - int(rows[0]), int(rows[-1]) - (start + self.stride - 1), 0)
            if reach < start - self.stride:
                return rounded_up(reach + 1, self.stride)  # a maximum passes on one of its inputs only
            side *= 2
        raise OptionError(
            f"--model {name}",
            "its features depend on the whole input",
            "take a model of a local network, or --method cva",
        )
