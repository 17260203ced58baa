"""What many blocks agree on: those that show change, water or cloud fall out."""

from dataclasses import dataclass

import numpy as np

from geodl.alignment.blocks import BlockShifts
from geodl.errors import SceneError

_ALIKE = 1.0  # pixels within which two blocks support each other
_LEAST_BLOCKS = 3
_LEAST_SHARE = 0.3  # of the reliable blocks
_OUTLIER = 3.0  # robust standard deviations
_NOISE = 0.1  # pixels; blocks are never more certain than this


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """The shift that most blocks support."""

    dy: float
    dx: float
    spread: float
    """Robust standard deviation of the blocks around it, in pixels."""
    used: np.ndarray
    """bool (block rows, block columns): blocks that support it."""


def agree(blocks: BlockShifts, reach: int, bend: float | None = None) -> Agreement:
    """Find the shift that the blocks agree on.

    The shift that most blocks are near is found first, so that up to two thirds of them may say anything
    else; then the weighted median of those near it, and the mean of those within three robust standard
    deviations.

    Parameters
    ----------
    blocks : BlockShifts
        From `measure_blocks`.
    reach : int
        Largest shift that was looked for.
    bend : float, optional
        Blocks up to so many pixels off are kept, for they may follow a field.

    Raises
    ------
    SceneError
        Too few blocks agree, or they agree on the end of the range.
    """
    reliable = blocks.reliable
    dy, dx, weights = (part[reliable] for part in (blocks.dy, blocks.dx, blocks.coherence**2))
    if len(dy) == 0:
        raise _refusal("no block of the two dates looks alike")
    distances = np.hypot(dy[:, None] - dy, dx[:, None] - dx)
    support = (distances <= _ALIKE) @ weights
    near = distances[int(support.argmax())] <= max(_ALIKE, bend or 0)
    least = max(min(_LEAST_BLOCKS, blocks.dy.size), _LEAST_SHARE * len(dy))
    if near.sum() < least:
        raise _refusal(f"only {int(near.sum())} of {len(dy)} blocks agree on a shift")
    middle = np.array([_weighted_median(part[near], weights[near]) for part in (dy, dx)])
    off = np.hypot(dy - middle[0], dx - middle[1])
    # Of a round normal scatter half lies within 1.177 standard deviations of its middle.
    spread = float(np.median(off[near]) / np.sqrt(2 * np.log(2)))
    used = near if bend is not None else near & (off <= _OUTLIER * max(spread, _NOISE))
    if bend is None:
        middle = np.array([np.average(part[used], weights=weights[used]) for part in (dy, dx)])
    if max(abs(middle[0]), abs(middle[1])) > reach - 0.5:
        raise SceneError(
            "registration", f"the shift is larger than {reach} pixels", "look further with a larger reach"
        )
    chosen = np.zeros(reliable.shape, bool)
    chosen[reliable] = used
    return Agreement(dy=float(middle[0]), dx=float(middle[1]), spread=spread, used=chosen)


def _refusal(cause: str) -> SceneError:
    return SceneError(
        "registration",
        cause,
        "check that both scenes show one place, look further with a larger reach, or leave registration "
        "out with --coregister off",
    )


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])
