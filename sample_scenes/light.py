"""Sunlight on a surface: slopes facing the sun, and cast shadows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Sun:
    """Where the sun stands."""

    azimuth: float
    """Degrees clockwise from north (up in the image)."""

    elevation: float
    """Degrees above the horizon, > 0."""

    @property
    def towards(self) -> tuple[float, float]:
        """Unit vector (x rightwards, y downwards) on the ground towards the sun."""
        angle = np.radians(self.azimuth)
        return float(np.sin(angle)), float(-np.cos(angle))


def slope_light(surface: Field, pixel: float, sun: Sun, steepest: float = 1.2) -> Field:
    """Return the direct light on each pixel relative to flat ground (Lambert).

    Parameters
    ----------
    surface : array of float32, shape (rows, columns)
        Heights in metres.
    pixel : float
        Pixel size in metres.
    sun : Sun
    steepest : float
        Slopes are cut here: walls are seen from above and have no width.
    """
    down, right = np.gradient(surface, pixel)
    down, right = np.clip(down, -steepest, steepest), np.clip(right, -steepest, steepest)
    x, y = sun.towards
    cotangent = 1 / np.tan(np.radians(sun.elevation))
    light = (1 - (right * x + down * y) * cotangent) / np.sqrt(1 + right**2 + down**2)
    return np.clip(light, 0, None).astype(np.float32)


def shadows(surface: Field, pixel: float, sun: Sun, reach: float) -> NDArray[np.bool_]:
    """Return where higher ground, roofs or crowns within `reach` metres hide the sun.

    The surface is moved step by step along the sun's ray and lowered as the ray falls: a pixel is in
    shadow if any moved copy still stands above it.
    """
    rows, columns = surface.shape
    hidden = np.zeros(surface.shape, dtype=bool)
    x, y = sun.towards
    fall = np.tan(np.radians(sun.elevation))
    for step in range(1, int(reach / pixel) + 1):
        right, down = round(step * x), round(step * y)
        here = _overlap(rows, down), _overlap(columns, right)
        there = _overlap(rows, -down), _overlap(columns, -right)
        hidden[here] |= surface[there] - np.float32(step * pixel * fall) > surface[here] + np.float32(0.1)
    return hidden


def _overlap(size: int, shift: int) -> slice:
    """Return the part of an axis that still lies inside after a shift by `shift`."""
    return slice(max(0, -shift), min(size, size - shift))


def illumination(terrain: Field, height: Field, pixel: float, sun: Sun, reach: float) -> Field:
    """Return light relative to flat open ground: direct light where the sun reaches, plus sky light."""
    surface = terrain + height
    direct = slope_light(surface, pixel, sun) * ~shadows(surface, pixel, sun, reach)
    return np.asarray(np.float32(0.78) * direct + np.float32(0.22), dtype=np.float32)
