"""Pictures inside a page, and which bands they show."""

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image

_COMPOSITES = (("red", "green", "blue"), ("nir", "red", "green"), ("swir1", "nir", "red"))


def shown_bands(names: Sequence[str]) -> tuple[int, int, int]:
    """Positions of the bands to show as red, green and blue: natural colours where there are such.

    >>> shown_bands(["blue", "green", "red", "nir"]), shown_bands(["vv", "vh"])
    ((2, 1, 0), (0, 0, 0))

    Of the steps of a calendar an early, a middle and a late one: what is grey has not changed.

    >>> shown_bands(["01.ndvi", "01.gap", "02.ndvi", "02.gap", "03.ndvi", "03.gap"])
    (0, 2, 4)
    """
    first = next((name for name in names if name.partition(".")[0].isdigit()), "").partition(".")[2]
    steps = [number for number, name in enumerate(names) if first and name.partition(".")[2] == first]
    if len(steps) > 1:
        return steps[len(steps) // 6], steps[len(steps) // 2], steps[len(steps) * 5 // 6]
    for red, green, blue in _COMPOSITES:
        if {red, green, blue} <= set(names):
            return names.index(red), names.index(green), names.index(blue)
    return (0, 1, 2) if len(names) >= 3 else (0, 0, 0)


def data_uri(picture: np.ndarray, *, photograph: bool = False, quality: int = 92) -> str:
    """Encode uint8 of shape ``(height, width, 3)``: losslessly as PNG, a photograph as JPEG."""
    buffer = BytesIO()
    image = Image.fromarray(picture)
    if photograph:
        image.save(buffer, "JPEG", quality=quality, subsampling=0)
    else:
        image.save(buffer, "PNG", optimize=True)
    kind = "jpeg" if photograph else "png"
    return f"data:image/{kind};base64,{b64encode(buffer.getvalue()).decode()}"
