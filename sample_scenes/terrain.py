"""Ground heights and the water that follows them."""

import heapq

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d, label, zoom
from shapely.geometry.base import BaseGeometry

from sample_scenes.noise import Field, fractal_noise, pixel_centres, smooth_line

CELL = 30.0
"""Cell size in metres of the grid on which water flows and roads are routed."""

NEIGHBOURS = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]


def valley(shape: tuple[int, int], pixel: float, rng: np.random.Generator, relief: float) -> Field:
    """Return heights in metres of a broad winding valley between hills, falling from left to right.

    Parameters
    ----------
    shape : tuple = (rows, columns)
    pixel : float
        Pixel size in metres.
    rng : numpy.random.Generator
    relief : float
        Height of the hills above the valley floor in metres.
    """
    rows, columns = shape
    x, y = pixel_centres(shape, pixel)
    width, height = columns * pixel, rows * pixel
    bend = smooth_line(columns, rng, smoothness=columns * 0.55).astype(np.float32)
    axis = height * (rng.uniform(0.42, 0.58) + 0.11 * bend)[None, :] + rng.uniform(-0.15, 0.15) * (
        x - width / 2
    )
    distance = np.abs(y - axis) / np.float32(rng.uniform(0.2, 0.27) * height)
    hills = 1 - np.exp(-(distance**2.4))
    rough = fractal_noise(shape, pixel, rng, largest=2600, beta=3.9)
    fall = 0.006 * (width - x)
    ground = relief * (hills + (0.07 + 0.33 * hills) * rough) + fall
    return np.asarray(ground + 50, dtype=np.float32)


def coast(shape: tuple[int, int], pixel: float, rng: np.random.Generator, relief: float) -> Field:
    """Return heights in metres of hills that fall to a sea (heights below 0) with bays and headlands."""
    rows, columns = shape
    x, y = pixel_centres(shape, pixel)
    angle = rng.uniform(0, 2 * np.pi)
    size = min(rows, columns) * pixel
    inland = (x - columns * pixel / 2) * np.cos(angle) + (y - rows * pixel / 2) * np.sin(angle)
    rough = fractal_noise(shape, pixel, rng, largest=2600, beta=3.9)
    rise = inland / size + 0.27
    ground = relief * (1.5 * rise + 0.34 * rough * np.clip(rise + 0.55, 0.2, 1))
    # Low coastal plains: heights near the sea are pressed flat.
    return np.asarray(np.where(ground > 0, np.abs(ground) ** 1.25 / relief**0.25, ground).astype(np.float32))


def coarse(field: Field, pixel: float) -> Field:
    """Return the field averaged to cells of `CELL` metres (edge rows that fill no cell are dropped)."""
    step = round(CELL / pixel)
    rows, columns = (size // step for size in field.shape)
    blocks = field[: rows * step, : columns * step].reshape(rows, step, columns, step)
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)


def drain(
    ground: Field, outlets: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return filled heights, the downstream cell of every cell, and cells from outlets upwards.

    Priority-flood (Barnes, Lehman and Mulla 2014): water rises from the outlets; each cell drains to the
    cell from which the flood reached it, so that no pit stops a river.

    Parameters
    ----------
    ground : array of float32, shape (rows, columns)
    outlets : array of bool, shape (rows, columns)
        Where water leaves the landscape.

    Returns
    -------
    filled : array of float64, shape (rows, columns)
    downstream : array of int64, shape (rows * columns,)
        Flat index; an outlet names itself.
    order : array of int64, shape (rows * columns,)
        Flat indices, each after its downstream cell.
    """
    rows, columns = ground.shape
    filled = ground.astype(np.float64)
    downstream = np.full(ground.size, -1, dtype=np.int64)
    queue = [(float(filled[r, c]), int(r) * columns + int(c)) for r, c in np.argwhere(outlets)]
    for _, cell in queue:
        downstream[cell] = cell
    heapq.heapify(queue)
    order = []
    while queue:
        level, cell = heapq.heappop(queue)
        order.append(cell)
        row, column = divmod(cell, columns)
        for down, right in NEIGHBOURS:
            r, c = row + down, column + right
            if 0 <= r < rows and 0 <= c < columns and downstream[r * columns + c] < 0:
                filled[r, c] = max(filled[r, c], level + 1e-4)
                downstream[r * columns + c] = cell
                heapq.heappush(queue, (float(filled[r, c]), r * columns + c))
    return filled, downstream, np.array(order)


def accumulate(downstream: NDArray[np.int64], order: NDArray[np.int64], rain: Field) -> NDArray[np.float64]:
    """Return for every cell the rain of all cells that drain through it, shape (rows * columns,)."""
    flow = rain.ravel().astype(np.float64)
    for cell in order[::-1]:
        if downstream[cell] != cell:
            flow[downstream[cell]] += flow[cell]
    return flow


def streams(
    flow: NDArray[np.float64], downstream: NDArray[np.int64], columns: int, threshold: float
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return the streams above a flow threshold, the largest first.

    Returns
    -------
    list of (points, flow)
        Points are (x, y) in metres, smoothed, shape (n, 2); flow has shape (n,).
    """
    wet = flow >= threshold
    fed = np.zeros(flow.size, dtype=bool)
    upstream = np.flatnonzero(wet)
    fed[downstream[upstream[downstream[upstream] != upstream]]] = True
    heads = np.flatnonzero(wet & ~fed)
    lengths = {}
    for head in heads:
        lengths[head] = len(_path(int(head), downstream, None))
    taken: set[int] = set()
    lines = []
    for head in sorted(heads, key=lambda cell: (-lengths[cell], cell)):
        cells = _path(int(head), downstream, taken)
        taken.update(cells)
        if len(cells) < 6:
            continue
        row, column = np.divmod(np.array(cells), columns)
        points = np.stack([(column + 0.5) * CELL, (row + 0.5) * CELL], axis=1)
        smoothed = gaussian_filter1d(points, 3.2, axis=0, mode="nearest")
        smoothed[-1] = points[-1]
        lines.append((smoothed, flow[cells]))
    return lines


def _path(cell: int, downstream: NDArray[np.int64], taken: set[int] | None) -> list[int]:
    """Return the cells from `cell` down to an outlet, or to the first cell of a known stream."""
    cells = [cell]
    while downstream[cell] != cell and not (taken and cell in taken):
        cell = int(downstream[cell])
        cells.append(cell)
    return cells


def river_shapes(
    lines: list[tuple[NDArray[np.float64], NDArray[np.float64]]], rng: np.random.Generator, widest: float
) -> list[tuple[BaseGeometry, float]]:
    """Return river surfaces as (polygon, width in metres), wider where more water flows."""
    most = max((float(flow.max()) for _, flow in lines), default=1.0)
    shapes: list[tuple[BaseGeometry, float]] = []
    for points, flow in lines:
        wander = smooth_line(len(points), rng, smoothness=6) if len(points) > 8 else np.zeros(len(points))
        widths = np.clip(widest * (flow / most) ** 0.5 * (1 + 0.18 * wander), 4, None)
        for start in range(0, len(points) - 1, 3):
            piece = points[start : start + 4]
            width = float(widths[start])
            shapes.append((shapely.LineString(piece).buffer(width / 2), width))
    return shapes


def lakes(
    ground: Field, filled: NDArray[np.float64], shape: tuple[int, int], *, most: int = 4, deepest: float = 1.0
) -> NDArray[np.bool_]:
    """Return the largest pits that hold water, on the fine grid; puddles and flooded plains are left out."""
    depth = (filled - ground).astype(np.float32)
    pools, count = label(depth > deepest)
    area = np.bincount(pools.ravel(), minlength=count + 1) * CELL**2
    area[0] = 0
    fitting = np.where((area > 15_000) & (area < 450_000), area, 0)
    largest = np.argsort(-fitting, kind="stable")[:most]
    keep = np.zeros(count + 1, dtype=bool)
    keep[largest] = fitting[largest] > 0
    wet = gaussian_filter(np.where(keep[pools], depth, 0), 0.7)
    grown = zoom(wet, (shape[0] / wet.shape[0], shape[1] / wet.shape[1]), order=1)
    return np.asarray(grown > 0.5 * deepest)
