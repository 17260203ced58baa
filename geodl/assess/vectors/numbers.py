"""Numbers as results tell them."""

import math
from pathlib import Path
from typing import NoReturn

from geodl.errors import OptionError


def ratio(above: float, below: float) -> float:
    """Quotient, NaN where the denominator is 0."""
    return above / below if below else math.nan


def number(value: float) -> float | None:
    """Six decimals for JSON; NaN becomes None."""
    return None if math.isnan(value) else round(float(value), 6)


def nothing_to_draw(path: Path) -> NoReturn:
    """Refuse a picture of figures that have none."""
    raise OptionError(
        f"--png {path}", "polygons and lines have no confusion matrix to draw", "use --json for the figures"
    )
