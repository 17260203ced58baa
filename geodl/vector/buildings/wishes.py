"""What a user may wish of building footprints, decided."""

from dataclasses import dataclass

from geodl.errors import OptionError
from geodl.vector.options import VectorOptions

LEAST_AREA = 4.0  # m²
TOLERANCE = 1.25  # pixels: what the steps of a slanting wall need


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """The options of `VectorOptions` that mean something for buildings."""

    simplify: float
    min_area: float
    regularize: str


def decided(options: VectorOptions) -> Wishes:
    """Fill in what was left open.

    Raises
    ------
    OptionError
        Straight walls and pixel outlines were asked for together.
    """
    if options.simplify == 0 and options.regularize in ("gentle", "strict"):
        raise OptionError(
            f"--regularize {options.regularize}",
            "--simplify 0 keeps the outlines of the pixels",
            "leave one of the two out",
        )
    usual = "off" if options.simplify == 0 else "gentle"
    return Wishes(
        simplify=TOLERANCE if options.simplify is None else options.simplify,
        min_area=LEAST_AREA if options.min_area is None else options.min_area,
        regularize=options.regularize or usual,
    )
