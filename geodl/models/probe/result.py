"""What a probe found: numbers for programs, one sentence for people. Knows no torch."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

ROUNDING = 1e-4
"""Probabilities that differ by no more are equal: float32 sums taken in another order."""

FLIPS = 1e-4
"""Share of the pixels that may change their class at the recommended halo."""


@dataclass(frozen=True, kw_only=True)
class HaloError:
    """How crops with one halo differ from the network on a larger surround.

    Parameters
    ----------
    halo : int
        Pixels around the core that the network sees and whose result is thrown away.
    difference : float
        Largest difference of any probability at any pixel of any input.
    mean_difference : float
        Mean absolute difference of the probabilities of the worst input.
    flips : float
        Share of the pixels of the worst input whose class differs, 0..1.
    gradient_outside : float or None
        Share of the gradient (sum of absolute values) that lies beyond this halo, 0..1; None where it
        was not followed farther.
    cost : float
        Pixels computed per pixel kept, ``((core + 2 * halo) / core) ** 2``.
    """

    halo: int
    difference: float
    mean_difference: float
    flips: float
    gradient_outside: float | None
    cost: float

    def within(self, tolerance: float) -> bool:
        """Whether no probability is off by more than `tolerance` and hardly a class changes."""
        return self.difference <= tolerance and self.flips <= FLIPS


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What a network is, as measured.

    Parameters
    ----------
    overhang : int or None
        Pixels that a cell of the output sees beyond its border; the gradient is exactly zero
        farther out, and other pixels there change nothing. None where that was not so `reach`
        pixels away.
    reach : int
        How far the gradient was followed, pixels.
    decays : bool
        Whether the say of a pixel ends or fades towards `reach`. Where it does not, the network
        looks at everything it is shown.
    table : tuple of HaloError
        By growing halo.
    tolerance : float
        Largest difference of probabilities that the recommended halo may cause.
    exact_halo : int or None
        Smallest multiple of the stride that covers the overhang and at which crops showed no
        difference but rounding (`ROUNDING`).
    stride : int
        As declared: sides and origins of tiles are multiples of it.
    smallest_shift : int or None
        Fewest pixels by which the input may move for the output to move along: the stride, measured.
        None where the output does not even move along with shifts of `stride`.
    shift_difference : float
        Largest difference of any class score after a shift by `stride`, in standard deviations of
        the scores.
    core : int
        Side of the core that `HaloError.cost` refers to, pixels.
    window : int
        Side of the cores that were compared, pixels. Errors sit at the border of a core, so that
        the shares in the table are upper bounds for cores that are larger.
    noise_inputs, given_inputs : int
        How many inputs were tried.
    bf16_agreement : float
        Share of the pixels to which the network gives the same class in bfloat16, 0..1.
    bf16_difference : float
        Largest difference of any probability in bfloat16.
    weights : str
        sha256 of the weights of the model that was probed; empty for a bare network.
    """

    overhang: int | None
    reach: int
    decays: bool
    table: tuple[HaloError, ...]
    tolerance: float
    exact_halo: int | None
    stride: int
    smallest_shift: int | None
    shift_difference: float
    core: int
    window: int
    noise_inputs: int
    given_inputs: int
    bf16_agreement: float
    bf16_difference: float
    weights: str = ""

    @property
    def halo(self) -> int | None:
        """Smallest halo from which on every halo is within the tolerance; None if the last is not."""
        return smallest_within(self.table, self.tolerance)

    @property
    def local(self) -> bool:
        """Whether the output depends on a bounded neighbourhood and shifts with the stride."""
        if self.smallest_shift is None or self.halo is None:
            return False
        return self.exact_halo is not None or (self.overhang is None and self.decays)

    @property
    def stitch(self) -> Literal["crop", "blend"]:
        """How tiles are to be joined."""
        return "crop" if self.local else "blend"

    @property
    def verdict(self) -> str:
        """One sentence: what the network is, and what follows for its tiles."""
        if self.local and self.exact_halo is not None:
            saving = "" if self.halo == self.exact_halo else f", one of {self.halo} within {self.tolerance:g}"
            return (
                f"The network is local: it looks {self.overhang} pixels beyond a cell of {self.stride}; "
                f"a halo of {self.exact_halo} is exact{saving}."
            )
        if self.local:
            return (
                f"The network looks farther than {self.reach} pixels, but ever less: a halo of {self.halo} "
                f"is within {self.tolerance:g}."
            )
        return f"{self._why_not_local()}; no halo makes tiles exact, they must be blended."

    def as_dict(self) -> dict[str, Any]:
        """Return everything, what follows from the measurements included, ready for JSON."""
        derived = {name: getattr(self, name) for name in ("verdict", "local", "stitch", "halo")}
        return derived | asdict(self)

    def _why_not_local(self) -> str:
        farthest = self.table[-1]
        if self.overhang is None and not self.decays:
            return (
                f"The network looks at the whole tile: what is {self.reach} pixels away has not lost its say "
                "(attention, pooled context, or a norm over space)"
            )
        if self.smallest_shift is None:
            return (
                f"The output does not move along with the input when that moves by {self.stride} pixels "
                f"(scores differ by up to {self.shift_difference:.2g} standard deviations)"
            )
        return (
            f"The network depends on the size or place of its tile: with a halo of {farthest.halo} pixels "
            f"probabilities still differ by up to {farthest.difference:.2g}"
        )


def smallest_within(table: Sequence[HaloError], tolerance: float) -> int | None:
    """Return the smallest halo from which on every row of `table` is within `tolerance`.

    A smaller one that passes by chance, below a larger one that fails, is not taken.
    """
    halo = None
    for row in reversed(table):
        if not row.within(tolerance):
            break
        halo = row.halo
    return halo
