"""Pixels and metres: how large a pixel is on the ground, and how long a line is on the earth."""

from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from pyproj import CRS, Geod, Transformer

from geodl.errors import SceneError
from geodl.vector.area import geodetic, measurable
from geodl.vector.source import ClassRaster


@dataclass(frozen=True, kw_only=True)
class Ground:
    """A flat ground under a raster: x to the right and y down from the centre of its first pixel.

    Pixels are measured once, in the middle of the raster, along rows and along columns: in degrees they are
    not square, and lines and widths must not depend on their direction.
    """

    scale: tuple[float, float]
    """Width and height of a pixel: metres, or 1 and 1 where the raster has no place on the earth."""
    unit: str
    """``m`` or ``px``."""
    transform: Affine
    crs: CRS | None

    @classmethod
    def of(cls, raster: ClassRaster) -> "Ground":
        """Measure the pixel in the middle of a raster.

        Raises
        ------
        SceneError
            The middle lies outside the domain of the projection.
        """
        if raster.crs is None or not measurable(raster.crs):
            return cls(scale=(1.0, 1.0), unit="px", transform=raster.transform, crs=None)
        row, column = raster.shape[0] / 2, raster.shape[1] / 2
        ground = cls(scale=(1.0, 1.0), unit="m", transform=raster.transform, crs=raster.crs)
        across = ground.lengths_of_pixels([(column - 0.5, row), (column + 0.5, row)])
        down = ground.lengths_of_pixels([(column, row - 0.5), (column, row + 0.5)])
        if not (np.isfinite(across) and np.isfinite(down) and across > 0 and down > 0):
            raise SceneError(
                "class raster", "its middle has no place on the earth", "check its CRS and its transform"
            )
        return cls(scale=(across, down), unit="m", transform=raster.transform, crs=raster.crs)

    @property
    def pixel(self) -> float:
        """Side of a square as large as a pixel."""
        return float(np.sqrt(self.scale[0] * self.scale[1]))

    def of_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """Ground coordinates of pixels (column, row), shape (n, 2)."""
        return pixels * np.array(self.scale)

    def to_crs(self, points: np.ndarray) -> np.ndarray:
        """Coordinates (x, y) of the raster's CRS of ground points, shape (n, 2)."""
        return _moved(points / np.array(self.scale) + 0.5, self.transform)

    def lengths(self, lines: np.ndarray) -> np.ndarray:
        """Lengths of lines in the raster's CRS, shape (n,): geodesic metres, or pixels without a CRS."""
        points, owner = shapely.get_coordinates(lines, return_index=True)
        inside = owner[1:] == owner[:-1]
        if self.crs is None:
            steps = np.hypot(*np.diff(_moved(points, ~self.transform), axis=0).T)
        else:
            longitude, latitude, geod = self._geodetic(points)
            steps = geod.inv(longitude[:-1], latitude[:-1], longitude[1:], latitude[1:])[2]
        steps = np.asarray(steps, np.float64)[inside]
        return np.bincount(owner[1:][inside], steps, minlength=len(lines)).astype(np.float64)

    def lengths_of_pixels(self, corners: list[tuple[float, float]]) -> float:
        """Geodesic metres along pixel coordinates (column, row)."""
        line = shapely.LineString(_moved(np.array(corners), self.transform))
        return float(self.lengths(np.array([line]))[0])

    def _geodetic(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, Geod]:
        assert self.crs is not None
        degrees = geodetic(self.crs)
        geod = self.crs.get_geod()
        assert degrees is not None
        assert geod is not None
        longitude, latitude = Transformer.from_crs(self.crs, degrees, always_xy=True).transform(*points.T)
        unit = np.degrees(degrees.axis_info[0].unit_conversion_factor)
        return np.asarray(longitude) * unit, np.asarray(latitude) * unit, geod


def _moved(points: np.ndarray, transform: Affine) -> np.ndarray:
    a, b, c, d, e, f = transform[:6]
    x, y = points.T
    return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)
