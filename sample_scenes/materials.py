"""What the ground is made of, and how it reflects.

Each material is a line between two spectra; a pixel's `mixture` (0 to 1) says where on the line it
lies (a meadow between lush and dry, a field between closed crop and bare soil, water between clear and
turbid). Values were set by hand to the order of magnitude that such surfaces show in Sentinel-2 images;
they overlap between classes on purpose (ripe wheat and dry grass, ploughed soil and bare ground, roofs
and gravel).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BANDS = ("blue", "green", "red", "nir", "swir1", "swir2")

WATER, FOREST, GRASSLAND, CROPLAND, BUILT_UP, BARE = range(1, 7)
NODATA = 255

CLASSES = {
    WATER: ("water", "#2b6cb0"),
    FOREST: ("forest", "#22643a"),
    GRASSLAND: ("grassland", "#a7c957"),
    CROPLAND: ("cropland", "#e9c46a"),
    BUILT_UP: ("built-up", "#c1440e"),
    BARE: ("bare ground", "#b8a99a"),
}
"""Land cover classes of the truth: value -> (name, colour)."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """A surface that lies between two spectra."""

    first: tuple[float, ...]
    """Reflectance at mixture 0, in the order of `BANDS`."""

    second: tuple[float, ...]
    """Reflectance at mixture 1."""


DARK_SOIL = (0.055, 0.075, 0.095, 0.145, 0.21, 0.18)
LIGHT_SOIL = (0.10, 0.13, 0.17, 0.245, 0.33, 0.28)
STRAW = (0.08, 0.115, 0.155, 0.27, 0.35, 0.25)

MATERIALS = {
    "none": Material(first=(0.0,) * 6, second=(0.0,) * 6),
    "water": Material(
        first=(0.032, 0.032, 0.020, 0.012, 0.006, 0.004), second=(0.065, 0.088, 0.068, 0.032, 0.012, 0.008)
    ),
    "pool": Material(first=(0.28, 0.30, 0.15, 0.05, 0.01, 0.01), second=(0.20, 0.24, 0.12, 0.04, 0.01, 0.01)),
    "conifer": Material(
        first=(0.019, 0.034, 0.021, 0.22, 0.09, 0.04), second=(0.026, 0.046, 0.032, 0.29, 0.13, 0.06)
    ),
    "deciduous": Material(
        first=(0.023, 0.052, 0.028, 0.40, 0.17, 0.072), second=(0.034, 0.064, 0.046, 0.31, 0.18, 0.09)
    ),
    "meadow": Material(
        first=(0.034, 0.074, 0.044, 0.41, 0.22, 0.11), second=(0.062, 0.092, 0.10, 0.27, 0.29, 0.18)
    ),
    "lawn": Material(
        first=(0.036, 0.080, 0.046, 0.39, 0.22, 0.11), second=(0.068, 0.098, 0.10, 0.28, 0.28, 0.18)
    ),
    "heath": Material(
        first=(0.035, 0.055, 0.050, 0.25, 0.20, 0.11), second=(0.055, 0.075, 0.085, 0.22, 0.25, 0.16)
    ),
    "wheat": Material(first=(0.030, 0.064, 0.034, 0.45, 0.18, 0.08), second=STRAW),
    "maize": Material(first=(0.030, 0.070, 0.040, 0.42, 0.21, 0.10), second=DARK_SOIL),
    "beet": Material(first=(0.034, 0.080, 0.040, 0.50, 0.20, 0.09), second=LIGHT_SOIL),
    "rape": Material(
        first=(0.050, 0.135, 0.115, 0.43, 0.20, 0.10), second=(0.038, 0.080, 0.055, 0.40, 0.20, 0.10)
    ),
    "clover": Material(
        first=(0.033, 0.076, 0.042, 0.43, 0.21, 0.10), second=(0.055, 0.088, 0.085, 0.30, 0.27, 0.16)
    ),
    "stubble": Material(first=STRAW, second=LIGHT_SOIL),
    "plough": Material(first=DARK_SOIL, second=LIGHT_SOIL),
    "cleared": Material(first=(0.065, 0.085, 0.105, 0.18, 0.25, 0.20), second=LIGHT_SOIL),
    "gravel": Material(
        first=(0.10, 0.12, 0.135, 0.17, 0.21, 0.19), second=(0.17, 0.19, 0.21, 0.25, 0.29, 0.27)
    ),
    "rock": Material(first=(0.09, 0.11, 0.13, 0.17, 0.22, 0.20), second=(0.15, 0.17, 0.19, 0.23, 0.28, 0.26)),
    "sand": Material(first=(0.15, 0.19, 0.23, 0.29, 0.34, 0.32), second=(0.21, 0.26, 0.31, 0.37, 0.43, 0.39)),
    "quarry": Material(
        first=(0.15, 0.175, 0.20, 0.235, 0.28, 0.26), second=(0.27, 0.30, 0.33, 0.36, 0.41, 0.37)
    ),
    "asphalt": Material(
        first=(0.062, 0.066, 0.070, 0.085, 0.11, 0.105), second=(0.105, 0.11, 0.115, 0.135, 0.16, 0.155)
    ),
    "concrete": Material(
        first=(0.15, 0.165, 0.175, 0.20, 0.23, 0.22), second=(0.23, 0.25, 0.265, 0.29, 0.32, 0.30)
    ),
    "tile_red": Material(
        first=(0.055, 0.075, 0.15, 0.22, 0.27, 0.25), second=(0.08, 0.11, 0.19, 0.26, 0.31, 0.29)
    ),
    "tile_brown": Material(
        first=(0.055, 0.065, 0.09, 0.13, 0.18, 0.17), second=(0.085, 0.10, 0.125, 0.165, 0.21, 0.20)
    ),
    "roof_grey": Material(
        first=(0.085, 0.09, 0.095, 0.11, 0.14, 0.13), second=(0.17, 0.18, 0.19, 0.20, 0.22, 0.21)
    ),
    "roof_dark": Material(
        first=(0.045, 0.048, 0.05, 0.06, 0.08, 0.08), second=(0.07, 0.072, 0.076, 0.09, 0.11, 0.105)
    ),
    "roof_white": Material(
        first=(0.32, 0.34, 0.35, 0.37, 0.34, 0.31), second=(0.46, 0.48, 0.49, 0.50, 0.46, 0.42)
    ),
    "car": Material(first=(0.03, 0.03, 0.03, 0.04, 0.05, 0.05), second=(0.55, 0.55, 0.56, 0.56, 0.5, 0.48)),
}
"""Materials by name; a raster of materials holds their position in this table, 0 is none."""

INDEX = {name: position for position, name in enumerate(MATERIALS)}

HOUSE_ROOFS = tuple(INDEX[name] for name in ("tile_red", "tile_red", "tile_brown", "roof_grey", "roof_dark"))
HALL_ROOFS = tuple(INDEX[name] for name in ("roof_grey", "roof_white", "roof_grey", "roof_dark"))


def reflectance(
    material: NDArray[np.uint8], mixture: NDArray[np.float32], bands: tuple[str, ...]
) -> NDArray[np.float32]:
    """Return the reflectance of every pixel, shape (band, rows, columns).

    Parameters
    ----------
    material : array of uint8, shape (rows, columns)
        Positions in `MATERIALS`.
    mixture : array of float32, shape (rows, columns)
        0 is the material's first spectrum, 1 its second.
    bands : tuple of str
        Names out of `BANDS`.
    """
    columns = [BANDS.index(band) for band in bands]
    first = np.array([m.first for m in MATERIALS.values()], dtype=np.float32)[:, columns]
    step = np.array([m.second for m in MATERIALS.values()], dtype=np.float32)[:, columns] - first
    return np.stack([first[:, k][material] + step[:, k][material] * mixture for k in range(len(columns))])
