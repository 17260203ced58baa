"""Where the pixels of a raster lie: size, transform and CRS, and their comparison."""

import math
from dataclasses import dataclass

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Geod
from rasterio.crs import CRS

from geodl.scene.resample import Axis

# Corners closer than this, in pixels, are the same: coordinates are stored rounded.
SAME_PIXELS = 1e-2


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A pixel grid.

    `transform` maps (column, row) of pixel corners to (x, y) in `crs`; `crs` None means pixel
    coordinates, with the identity as transform.
    """

    height: int
    width: int
    transform: Affine
    crs: CRS | None

    @property
    def corners(self) -> np.ndarray:
        """(4, 2) x, y of the outer corners: upper left, upper right, lower left, lower right."""
        ends = ((0, 0), (self.width, 0), (0, self.height), (self.width, self.height))
        return np.array([self.transform @ end for end in ends], dtype=float)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(left, bottom, right, top) in units of the CRS."""
        x, y = self.corners.T
        return float(x.min()), float(y.min()), float(x.max()), float(y.max())

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Length of a pixel along its columns and rows (x, y), in units of the CRS."""
        a, b, _, d, e, _ = self.transform[:6]
        return math.hypot(a, d), math.hypot(b, e)

    @property
    def geobox(self) -> GeoBox:
        """The same as an odc-geo `GeoBox`."""
        return GeoBox((self.height, self.width), self.transform, None if self.crs is None else self._crs)

    @property
    def _crs(self) -> str:
        assert self.crs is not None
        authority = self.crs.to_authority(confidence_threshold=100)
        if authority and CRS.from_authority(*authority) == self.crs:
            return ":".join(authority)
        return self.crs.to_wkt()

    def scaled(self, along_x: float, along_y: float) -> "Grid":
        """Make pixels `along_x`, `along_y` times as long; keeps the origin, covers the same area."""
        return Grid(
            height=max(1, math.ceil(self.height / along_y - SAME_PIXELS)),
            width=max(1, math.ceil(self.width / along_x - SAME_PIXELS)),
            transform=self.transform @ Affine.scale(along_x, along_y),
            crs=self.crs,
        )


def corner_distance(one: Grid, other: Grid) -> float:
    """Measure the largest distance between the corners of two grids, in pixels of the first."""
    inverse = ~one.transform
    differences = [
        np.subtract(inverse @ tuple(a), inverse @ tuple(b))
        for a, b in zip(one.corners, other.corners, strict=True)
    ]
    return float(np.abs(differences).max())


def same_grid(one: Grid, other: Grid) -> bool:
    """Tell whether pixel (row, column) of one lies on pixel (row, column) of the other."""
    same_shape = (one.height, one.width) == (other.height, other.width)
    return same_shape and corner_distance(one, other) < SAME_PIXELS


def axes_between(source: Grid, output: Grid) -> tuple[Axis, Axis]:
    """Map the rows and columns of `output` onto those of `source`; same CRS, same directions.

    Raises
    ------
    ValueError
        One grid is turned against the other.
    """
    a, b, left, d, e, top = (~source.transform @ output.transform)[:6]
    if max(abs(b) * output.height, abs(d) * output.width) > 0.5 or a <= 0 or e <= 0:
        raise ValueError("the grids are turned against each other")
    rows = Axis(step=e, start=top, length=source.height)
    return rows, Axis(step=a, start=left, length=source.width)


def pixel_size_metres(grid: Grid) -> tuple[float, float] | None:
    """Measure the pixel in the middle of the grid (along x, along y) on the ground, in metres.

    Degrees are measured on the ellipsoid of the CRS; projected units are converted, the distortion
    of the projection left in. None where the grid has no CRS.
    """
    if grid.crs is None:
        return None
    column, row = grid.width / 2, grid.height / 2
    if not grid.crs.is_geographic:
        factor = grid.crs.linear_units_factor[1]
        return grid.pixel_size[0] * factor, grid.pixel_size[1] * factor
    geod = Geod(ellps="WGS84")
    found = grid.geobox.crs
    if found is not None and (ellipsoid := found.proj.ellipsoid) is not None:
        geod = Geod(a=ellipsoid.semi_major_metre, b=ellipsoid.semi_minor_metre)

    def length(columns: float, rows: float) -> float:
        x0, y0 = grid.transform @ (column - columns, row - rows)
        x1, y1 = grid.transform @ (column + columns, row + rows)
        return float(geod.inv(x0, y0, x1, y1)[2])

    # A thousandth of a pixel: of one that spans the globe, both ends are the same place.
    return length(5e-4, 0) * 1e3, length(0, 5e-4) * 1e3
