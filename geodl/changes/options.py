"""How change is found without a model: what users may ask for."""

from dataclasses import dataclass

from geodl.alignment.tolerance import MOST
from geodl.changes.measures import METHODS
from geodl.changes.threshold import check_threshold
from geodl.errors import OptionError

_LARGEST_SMOOTH = 101


@dataclass(frozen=True, kw_only=True)
class ChangeOptions:
    """How change is found.

    Parameters
    ----------
    method : str
        Row of `METHODS`.
    threshold : str
        Row of `THRESHOLDS`, or a score as text.
    smooth : int
        Side in pixels, odd, of the square around each pixel over which differences are averaged.
    min_area : float
        Square metres below which a patch, changed or not, goes to what is around it.
    model : str, optional
        Whose features are compared, for methods that compare features: a bundled model or a model folder;
        by default the first bundled one that fits.
    suppress_shift : int
        Take back changes that a shift of up to so many pixels explains; 0: none.

    Raises
    ------
    OptionError
        A value is not possible.
    """

    method: str = "cva"
    threshold: str = "otsu"
    smooth: int = 3
    min_area: float = 0.0
    model: str | None = None
    suppress_shift: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise OptionError(f"--method {self.method}", "is unknown", f"use {', '.join(METHODS)}")
        check_threshold(self.threshold)
        if not (1 <= self.smooth <= _LARGEST_SMOOTH and self.smooth % 2):
            raise OptionError(
                f"--smooth {self.smooth}", "is no side with a pixel in the middle", "use 1, 3, 5, 7, ..."
            )
        if not 0 <= self.min_area < float("inf"):
            raise OptionError(
                f"--min-area {self.min_area:g}", "it is not a number from 0 on", "give 0 or more"
            )
        if self.model is not None and not METHODS[self.method].needs_model:
            raise OptionError(f"--model with --method {self.method}", "it needs no model", "leave it out")
        if not 0 <= self.suppress_shift <= MOST:
            raise OptionError(
                f"--suppress-shift {self.suppress_shift}", f"is not from 0 to {MOST} pixels", "give 1"
            )
