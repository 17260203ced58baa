"""Grad-CAM: where the deepest features that speak for a class are active.

Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391, for segmentation as in Vinogradova, Dibrov, Myers
2020, https://arxiv.org/abs/2002.11434: the score is that of some pixels, not of an image. By captum.
"""

from collections import Counter

import numpy as np
import torch
from torch import Tensor, nn

from geodl.explain.gradients import captum_attr
from geodl.explain.subject import Score


def grad_cam(
    score: Score, network: nn.Module, inputs: Tensor, *, stride: int
) -> tuple[np.ndarray, str] | None:
    """Find where the features of the deepest layer that raise a score are active.

    Parameters
    ----------
    score : Score
        What is explained.
    network : torch.nn.Module
        The one behind `score`.
    inputs : torch.Tensor
        (1, bands, height, width).
    stride : int
        Of the network, at least.

    Returns
    -------
    activation : numpy.ndarray
        float32, (height, width), not negative: features times the sum of their gradients, in units of the
        score, which does not depend on the size of the input.
    layer : str
        Name of the layer.

    None where the network has no convolution before its last one.
    """
    name = deepest_layer(network, inputs, stride=stride)
    if name is None:
        return None
    captum = captum_attr()
    method = captum.LayerGradCam(score, network.get_submodule(name))
    found = method.attribute(inputs.detach().clone().requires_grad_(), relu_attributions=True).detach()
    cells = found.shape[-2] * found.shape[-1]  # captum averages gradients over the layer; the sum is wanted
    size = tuple(inputs.shape[-2:])
    smooth = captum.LayerAttribution.interpolate(found * cells, size, interpolate_mode="bilinear")
    return smooth[0, 0].float().cpu().numpy(), name


def deepest_layer(network: nn.Module, inputs: Tensor, *, stride: int) -> str | None:
    """Choose the layer whose features Grad-CAM shows.

    Of the convolutions on the coarsest grid that still covers the input (pooled context, which covers it
    with a few cells, does not count), the last one that looks at more than one pixel in the longest
    sequence that stays there; and then the whole block that ends with it on that grid, shortcuts included.
    The convolution that gives the scores does not count.

    Returns
    -------
    str or None
        Name of the module; None where there is none.
    """
    names = {module: name for name, module in network.named_modules()}
    calls: list[tuple[nn.Module, tuple[int, ...]]] = []

    def note(module: nn.Module, _: object, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            calls.append((module, tuple(output.shape[-2:])))

    handles = [module.register_forward_hook(note) for module in names]
    try:
        with torch.no_grad():
            network(inputs)
    finally:
        for handle in handles:
            handle.remove()
    *convolutions, last = [call for call in calls if isinstance(call[0], nn.Conv2d)] or [(network, ())]
    grids = [(module, _coarseness(size, inputs, stride)) for module, size in convolutions]
    deepest = max((grid for _, grid in grids), default=0)
    if not deepest:
        return None
    run = _longest_run(grids, deepest)
    wide = [module for module in run if isinstance(module, nn.Conv2d) and max(module.kernel_size) > 1] or run
    return _whole_block(names[wide[-1]], names[last[0]], names, calls)


def _coarseness(size: tuple[int, ...], inputs: Tensor, stride: int) -> int:
    """Input pixels along a side of a cell; 0 where the grid is not that of the network's cells."""
    steps = {whole // part for whole, part in zip(inputs.shape[-2:], size, strict=True)}
    exact = all(whole % part == 0 for whole, part in zip(inputs.shape[-2:], size, strict=True))
    step = steps.pop()
    return step if exact and not steps and step <= stride else 0


def _longest_run(grids: list[tuple[nn.Module, int]], grid: int) -> list[nn.Module]:
    """Return the longest sequence on a grid that no finer grid interrupts, the first of equals.

    Attention that shrinks its keys touches the deepest grid in passing, long before the network is there.
    """
    runs: list[list[nn.Module]] = [[]]
    for module, other in grids:
        if other == grid:
            runs[-1].append(module)
        elif 0 < other < grid:
            runs.append([])
    return max(runs, key=len)


def _whole_block(
    name: str, last: str, names: dict[nn.Module, str], calls: list[tuple[nn.Module, tuple[int, ...]]]
) -> str:
    """Climb to the outermost block on the same grid that is called once and does not hold the `last`."""
    sizes = {names[module]: size for module, size in calls}
    times = Counter(names[module] for module, _ in calls)
    best, parent = name, name.rpartition(".")[0]
    while parent and not last.startswith(f"{parent}."):
        if times[parent] == 1 and sizes[parent] == sizes[name]:
            best = parent
        elif times[parent]:
            break
        parent = parent.rpartition(".")[0]
    return best
