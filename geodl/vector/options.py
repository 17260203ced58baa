"""What a user may ask of a vector layer."""

from dataclasses import dataclass
from typing import Literal

from geodl.errors import OptionError

REGULARIZE = ("off", "gentle", "strict")


@dataclass(frozen=True, kw_only=True)
class VectorOptions:
    """How outlines become features; a vectorizer reads what means something to it.

    Parameters
    ----------
    connectivity : {4, 8}
        Whether pixels that share only a corner belong together.
    simplify : float, optional
        Tolerance in pixels, 0 for exact pixel outlines; by default what suits the task.
    min_area : float, optional
        Square metres below which a feature is left out, or merged into a neighbour where features cover
        the ground; by default what suits the task.
    regularize : {"off", "gentle", "strict"}, optional
        How far outlines of buildings are drawn towards right angles; by default "gentle".

    Raises
    ------
    OptionError
        A value is not possible.
    """

    connectivity: int = 4
    simplify: float | None = None
    min_area: float | None = None
    regularize: Literal["off", "gentle", "strict"] | None = None

    def __post_init__(self) -> None:
        if self.connectivity not in (4, 8):
            raise OptionError("connectivity", f"{self.connectivity!r} is not possible", "choose 4 or 8")
        for name in ("simplify", "min_area"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                option = f"--{name.replace('_', '-')} {value:g}"
                raise OptionError(option, "it is not a number from 0 on", "give 0 or more")
        if self.regularize is not None and self.regularize not in REGULARIZE:
            raise OptionError(
                f"--regularize {self.regularize}", "it is unknown", f"choose one of {', '.join(REGULARIZE)}"
            )
