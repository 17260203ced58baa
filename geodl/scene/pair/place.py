"""Where the pixels of one grid fall on another: by whole pixels, along the axes, or through another CRS.

Each way answers for any window of the output alone, and always the same: what lies at a pixel depends on
the two grids only.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from affine import Affine
from pyproj import Transformer
from rasterio.crs import CRS

from geodl.scene.grid import SAME_PIXELS, Grid, axes_between
from geodl.scene.resample import Axis

_STEPS = (64, 32, 16, 8, 4, 2, 1)  # pixels between the nodes at which coordinates are transformed
_WORST = 0.01  # pixels; what straight lines between the nodes may be off by
_PROBES = 16  # cells along each side where that is tried
OUTSIDE = -1e9  # source coordinate of pixels that lie nowhere in the other CRS


@dataclass(frozen=True, kw_only=True)
class AlongAxes:
    """The rows of the output are rows of the source, and its columns columns.

    `whole` says that pixels lie on pixels: nothing is interpolated.
    """

    rows: Axis
    columns: Axis
    whole: bool


@dataclass(frozen=True, kw_only=True)
class Across:
    """Turned grids and those of another CRS.

    Between nodes `step` pixels apart, counted from the origin of the output, coordinates are interpolated.
    `grown` is how many source pixels an output pixel is long, down and across, at least 1.
    """

    output: tuple[float, ...]
    """Affine coefficients, output pixel corners to its CRS."""
    source: tuple[float, ...]
    """Affine coefficients, from the CRS of the source to its pixel corners."""
    crs: tuple[str, str] | None
    """WKT of the output and of the source; None where they have the same."""
    shape: tuple[int, int]
    """Rows and columns of the source."""
    step: int
    grown: tuple[float, float]

    def at(self, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return the source coordinates of the centres of a window.

        Returns
        -------
        row, column : numpy.ndarray
            Fractional pixel indexes, shape (rows, columns); `OUTSIDE` where there are none.
        """
        down, down_share = _cells(rows, self.step)
        across, across_share = _cells(columns, self.step)
        node_rows = np.arange(down[0], down[-1] + 2) * self.step
        node_columns = np.arange(across[0], across[-1] + 2) * self.step
        x, y = np.meshgrid(node_columns.astype(float), node_rows.astype(float))
        nodes = self.exact(x, y)
        down, across = down - down[0], across - across[0]
        return tuple(  # type: ignore[return-value]
            _between(node, down, across, down_share[:, None], across_share) for node in nodes
        )

    def exact(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Transform pixel corners (column, row) of the output to pixel indexes (row, column) of the source.

        Indexes count from the centre of the first pixel.
        """
        x, y = moved(Affine(*self.output), x, y)
        if self.crs is not None:
            x, y = _transformer(*self.crs).transform(x, y)
            known = np.isfinite(x) & np.isfinite(y)
            x, y = np.where(known, x, np.nan), np.where(known, y, np.nan)
        column, row = moved(Affine(*self.source), x, y)
        return row - 0.5, column - 0.5


Place = AlongAxes | Across


def place_between(source: Grid, output: Grid) -> Place:
    """Find how the pixels of `output` are placed on `source`; both have a CRS, or neither."""
    if source.crs == output.crs:
        try:
            rows, columns = axes_between(source, output)
        except ValueError:
            return _across(source, output, None)
        return _on_whole_pixels(rows, columns, output)
    assert source.crs is not None
    assert output.crs is not None
    return _across(source, output, (output.crs.to_wkt(), source.crs.to_wkt()))


def outline(grid: Grid, crs: CRS | None) -> np.ndarray:
    """Return the border of a grid in another CRS: (points, 2) x, y; points that lie nowhere are left out."""
    along = np.linspace(0, 1, 65)
    zero, one = np.zeros(64), np.ones(64)
    x = np.concatenate([along[:-1], one, along[:0:-1], zero]) * grid.width
    y = np.concatenate([zero, along[:-1], one, along[:0:-1]]) * grid.height
    x, y = moved(grid.transform, x, y)
    if crs is not None and grid.crs is not None and grid.crs != crs:
        x, y = _transformer(grid.crs.to_wkt(), crs.to_wkt()).transform(x, y)
    points = np.stack([x, y], axis=1)
    return points[np.isfinite(points).all(axis=1)]


def moved(transform: Affine, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Apply an affine transform to arrays of coordinates."""
    a, b, c, d, e, f = transform[:6]
    return a * x + b * y + c, d * x + e * y + f


def _on_whole_pixels(rows: Axis, columns: Axis, output: Grid) -> AlongAxes:
    """Coordinates are stored rounded: shifts of very nearly whole pixels are of whole pixels."""
    whole = []
    for axis, length in ((rows, output.height), (columns, output.width)):
        near = abs(axis.step - 1) * length < SAME_PIXELS and abs(axis.start - round(axis.start)) < SAME_PIXELS
        whole.append(Axis(step=1.0, start=float(round(axis.start)), length=axis.length) if near else axis)
    exact = all(axis.step == 1 and axis.start == round(axis.start) for axis in whole)
    return AlongAxes(rows=whole[0], columns=whole[1], whole=exact)


def _across(source: Grid, output: Grid, crs: tuple[str, str] | None) -> Across:
    fields = {
        "output": tuple(output.transform)[:6],
        "source": tuple(~source.transform)[:6],
        "crs": crs,
        "shape": (source.height, source.width),
    }
    for step in _STEPS:
        place = Across(**fields, step=step, grown=(1.0, 1.0))  # type: ignore[arg-type]
        if step == 1 or _error(place, output) < _WORST:
            break
    return Across(**fields, step=place.step, grown=_growth(place, output))  # type: ignore[arg-type]


def _error(place: Across, output: Grid) -> float:
    """Largest distance, in source pixels, of interpolated centres from the true ones, over some cells."""
    worst = 0.0
    for row in np.unique(np.linspace(0, output.height - 1, _PROBES).astype(int)):
        middle = row // place.step * place.step + place.step // 2
        columns = np.unique(np.linspace(0, output.width - 1, _PROBES).astype(int))
        middles = columns // place.step * place.step + place.step // 2
        for column in middles:
            found = place.at(slice(middle, middle + 1), slice(column, column + 1))
            true = place.exact(np.array([[column + 0.5]]), np.array([[middle + 0.5]]))
            off = max(float(np.abs(a - b).max()) for a, b in zip(found, true, strict=True))
            worst = max(worst, off) if np.isfinite(off) else worst
    return worst


def _growth(place: Across, output: Grid) -> tuple[float, float]:
    """Length of an output pixel in source pixels, down and across, in the middle of the grid; at least 1."""
    x, y = output.width / 2, output.height / 2
    row, column = place.exact(np.array([x, x + 1, x]), np.array([y, y, y + 1]))
    if not (np.isfinite(row).all() and np.isfinite(column).all()):
        return 1.0, 1.0
    down = float(np.hypot(row[1] - row[0], row[2] - row[0]))
    across = float(np.hypot(column[1] - column[0], column[2] - column[0]))
    return max(1.0, down), max(1.0, across)


def _cells(outputs: slice, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Cell of each output pixel's centre between the nodes, and where in the cell it lies (0 to 1)."""
    centres = (np.arange(outputs.start, outputs.stop) + 0.5) / step
    cells = np.floor(centres).astype(int)
    return cells, centres - cells


def _between(
    nodes: np.ndarray, down: np.ndarray, across: np.ndarray, v: np.ndarray, u: np.ndarray
) -> np.ndarray:
    upper = nodes[np.ix_(down, across)] * (1 - u) + nodes[np.ix_(down, across + 1)] * u
    lower = nodes[np.ix_(down + 1, across)] * (1 - u) + nodes[np.ix_(down + 1, across + 1)] * u
    return np.nan_to_num(upper * (1 - v) + lower * v, nan=OUTSIDE)


@lru_cache(maxsize=16)
def _transformer(source: str, target: str) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)
