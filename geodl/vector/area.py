"""True area of pixels on the ellipsoid, and true lengths of steps, whatever the CRS measures in.

A pixel's area is the length of the cross product of its two edge vectors in geocentric space, which has
no singularity at the poles and no seam at the antimeridian. Edges are chords of the ellipsoid: the error
is (pixel size / earth radius)² / 12, or 3e-5 for pixels of one degree. Between the nodes of a grid of
`NODE_SPACING` areas are interpolated bilinearly; with the spacing chosen the error stays below 1e-4.
"""

import numpy as np
from affine import Affine
from pyproj import CRS, Transformer
from scipy.ndimage import map_coordinates

EARTH_RADIUS = 6.371e6
NODE_SPACING = 30e3  # metres; (spacing / radius)² / 8 = 3e-6 where areas change like the cosine of latitude


class PixelAreas:
    """Areas in m² of the pixels of a raster.

    Parameters
    ----------
    crs : pyproj.CRS
        Projected or geographic; see `measurable`.
    transform : affine.Affine
        From (column, row) to (x, y) of `crs`.
    shape : tuple of int = (height, width)
    """

    def __init__(self, crs: CRS, transform: Affine, shape: tuple[int, int]) -> None:
        degrees = geodetic(crs)
        assert degrees is not None
        assert degrees.ellipsoid is not None
        self._transform, self._shape = transform, shape
        self._radians = degrees.axis_info[0].unit_conversion_factor
        self._to_geodetic = Transformer.from_crs(crs, degrees, always_xy=True)
        major, minor = degrees.ellipsoid.semi_major_metre, degrees.ellipsoid.semi_minor_metre
        self._major, self._squared_eccentricity = major, 1 - (minor / major) ** 2
        self._step = self._node_step()
        self._tensor: np.ndarray | None = None

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Areas of the rows `start` to `stop`: float64, shape (stop - start, width), in m².

        Pixels outside the domain of the projection are NaN.
        """
        width = self._shape[1]
        columns, rows = np.arange(width) + 0.5, np.arange(start, stop) + 0.5
        column_nodes, row_nodes = _nodes(columns, self._step), _nodes(rows, self._step)
        areas = self._at(column_nodes[None, :], row_nodes[:, None])
        if not np.isfinite(areas).all():
            # A node off the earth would spoil its whole neighbourhood, so every pixel speaks for itself.
            return self._at(columns[None, :], rows[:, None])
        return _hat(rows, row_nodes) @ areas @ _hat(columns, column_nodes).T

    def metric(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Tell how long steps are on the ground at points (x, y) in pixel coordinates, each of shape (n,).

        Returns the metric tensor (xx, xy, yy), shape (3, n), in m²: a step of (dx, dy) pixels is the square
        root of ``xx dx² + 2 xy dx dy + yy dy²`` metres long. NaN outside the domain of the projection.
        """
        if self._tensor is None:
            height, width = self._shape
            nodes = [_nodes(np.array([0.0, side]), self._step) for side in (height, width)]
            self._tensor = self._metric_at(nodes[1][None, :], nodes[0][:, None])
            self._spacing = [side[-1] / (len(side) - 1) for side in nodes]
        if not np.isfinite(self._tensor).all():
            return self._metric_at(x, y)
        place = np.stack([y / self._spacing[0], x / self._spacing[1]])
        return np.stack([map_coordinates(part, place, order=1, mode="nearest") for part in self._tensor])

    def _metric_at(self, column: np.ndarray, row: np.ndarray) -> np.ndarray:
        along = self._geocentric(column + 0.5, row) - self._geocentric(column - 0.5, row)
        down = self._geocentric(column, row + 0.5) - self._geocentric(column, row - 0.5)
        return np.stack([(along**2).sum(axis=0), (along * down).sum(axis=0), (down**2).sum(axis=0)])

    def _at(self, column: np.ndarray, row: np.ndarray) -> np.ndarray:
        along = self._geocentric(column + 0.5, row) - self._geocentric(column - 0.5, row)
        down = self._geocentric(column, row + 0.5) - self._geocentric(column, row - 0.5)
        return np.linalg.norm(np.cross(along, down, axis=0), axis=0)

    def _geocentric(self, column: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Points on the ellipsoid, shape (3, rows, columns), in metres; NaN where there is none."""
        column, row = np.broadcast_arrays(column, row)
        a, b, c, d, e, f = self._transform[:6]
        longitude, latitude = self._to_geodetic.transform(a * column + b * row + c, d * column + e * row + f)
        with np.errstate(invalid="ignore"):
            longitude, latitude = np.asarray(longitude) * self._radians, np.asarray(latitude) * self._radians
            sine, cosine = np.sin(latitude), np.cos(latitude)
            normal = self._major / np.sqrt(1 - self._squared_eccentricity * sine**2)
            return np.stack(
                [
                    normal * cosine * np.cos(longitude),
                    normal * cosine * np.sin(longitude),
                    normal * (1 - self._squared_eccentricity) * sine,
                ]
            )

    def _node_step(self) -> int:
        """Pixels between two nodes: `NODE_SPACING` where the scene's pixels are largest on the ground."""
        height, width = self._shape
        areas = self._at(np.linspace(0, width, 9)[None, :], np.linspace(0, height, 9)[:, None])
        known = areas[np.isfinite(areas)]
        return max(1, int(NODE_SPACING / np.sqrt(known.max()))) if known.size and known.max() > 0 else 1


def measurable(crs: CRS) -> bool:
    """Whether pixels of a raster in `crs` have an area on the earth."""
    degrees = geodetic(crs)
    return degrees is not None and degrees.ellipsoid is not None


def geodetic(crs: CRS) -> CRS | None:
    """Longitude and latitude proper, also below a rotated pole."""
    degrees = crs.geodetic_crs
    while degrees is not None and degrees.source_crs is not None:
        degrees = degrees.source_crs
    return degrees


def _nodes(positions: np.ndarray, step: int) -> np.ndarray:
    """Sorted positions at most `step` apart that include the first and the last one."""
    count = int(np.ceil((positions[-1] - positions[0]) / step)) + 1
    return np.linspace(positions[0], positions[-1], count)


def _hat(positions: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Weights of linear interpolation, shape (positions, nodes)."""
    return np.stack([np.interp(positions, nodes, unit) for unit in np.eye(len(nodes))], axis=1)
