"""Vector layers reduced to what a screen shows: simplified, the largest first, in pixels of the raster."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyogrio.raw
import shapely
from affine import Affine

POINTS = 150_000  # corners of all features of a layer, at most
FEATURES = 12_000
TOLERANCE = 0.5  # pixels of the picture by which outlines may move
STEPS = 4  # parts of a pixel in which places are told
_BATCH = 4096


@dataclass(frozen=True, kw_only=True)
class Outlines:
    """One layer as it is drawn."""

    name: str
    kind: str
    """``polygon``, ``line`` or ``point``."""
    paths: dict[int, str]
    """SVG paths by class value, -1 for features without one, in `STEPS` of a pixel from the upper left."""
    total: int
    shown: int


def read_outlines(path: Path, transform: Affine, factor: int) -> list[Outlines]:
    """Read the layers of a GeoPackage with a spatial index, in batches.

    Memory and time depend on what is shown, not on the file.

    Parameters
    ----------
    path : pathlib.Path
    transform : affine.Affine
        From (column, row) of the raster to (x, y) of the layers.
    factor : int
        Pixels of the raster for one of the picture.

    Returns
    -------
    list of Outlines
        Layers with geometry; where one has more than `FEATURES` features or `POINTS` corners, its largest.
    """
    layers = pyogrio.list_layers(path)
    to_pixels = _to_pixels(~transform)
    return [_layer(path, str(name), to_pixels, factor) for name, kind in layers if kind is not None]


def _layer(path: Path, name: str, to_pixels: Callable[[np.ndarray], np.ndarray], factor: int) -> Outlines:
    geometry, values, kind = np.empty(0, object), np.empty(0, np.int64), "polygon"
    information = pyogrio.read_info(path, layer=name, force_feature_count=True)
    for shapes, classes in _batches(path, name, information):
        if len(shapes):
            kind = ("point", "line", "polygon")[int(shapely.get_dimensions(shapes).max())]
        reduced = shapely.simplify(shapely.transform(shapes, to_pixels), TOLERANCE * factor)
        geometry, values = np.concatenate([geometry, reduced]), np.concatenate([values, classes])
        geometry, values = _largest(geometry, values)
    paths: dict[int, list[str]] = {}
    for one, value in zip(geometry, values.tolist(), strict=True):
        paths.setdefault(value, []).append(_drawn(one))
    joined = {value: "".join(parts) for value, parts in sorted(paths.items())}
    return Outlines(name=name, kind=kind, paths=joined, total=information["features"], shown=len(geometry))


def _batches(
    path: Path, layer: str, information: Mapping[str, Any]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Geometries and class values of the largest features, some at a time."""
    columns = [name for name in information["fields"] if name == "class"]
    # The spatial index knows all extents: of millions of features only those that may be drawn are read.
    index = f"rtree_{layer}_{information['geometry_name']}".replace('"', '""')
    where = (
        f'"{information["fid_column"]}" IN (SELECT id FROM "{index}" '  # noqa: S608 - quoted above
        f"ORDER BY max(maxx - minx, maxy - miny) DESC, id LIMIT {FEATURES})"
    )
    with pyogrio.raw.open_arrow(
        path, layer=layer, columns=columns, where=where, batch_size=_BATCH, use_pyarrow=True
    ) as (meta, reader):
        for batch in reader:
            at = batch.schema.get_field_index(meta["geometry_name"])
            shapes = shapely.from_wkb(np.asarray(batch.column(at).to_pylist(), dtype=object))
            there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
            plain: Any = batch.column("class").to_pylist() if columns else [-1] * len(shapes)
            classes = np.array([value if isinstance(value, int) else -1 for value in plain], np.int64)
            yield shapes[there], classes[there]


def _largest(geometry: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keep the features that fit into `POINTS`, the largest ones, in their order."""
    corners = shapely.get_num_coordinates(geometry)
    if corners.sum() <= POINTS:
        return geometry, values
    left, top, right, bottom = shapely.bounds(geometry).T
    order = np.lexsort((np.arange(len(geometry)), -np.hypot(right - left, bottom - top)))
    kept = np.sort(order[np.cumsum(corners[order]) <= POINTS])
    return geometry[kept], values[kept]


def _to_pixels(inverse: Affine) -> Callable[[np.ndarray], np.ndarray]:
    matrix = np.array([[inverse.a, inverse.b], [inverse.d, inverse.e]])
    offset = np.array([inverse.c, inverse.f])
    return lambda points: points @ matrix.T + offset


def _drawn(geometry: Any) -> str:
    """SVG path of one feature; a point is a line of no length, which round ends make a dot."""
    return "".join(
        _ring(ring, closed=closed) for part in shapely.get_parts(geometry) for ring, closed in _rings(part)
    )


def _rings(part: Any) -> list[tuple[Any, bool]]:
    if part.geom_type == "Polygon":
        return [(ring, True) for ring in shapely.get_rings(part)]
    return [(part, False)]


def _ring(ring: Any, *, closed: bool) -> str:
    places = np.rint(shapely.get_coordinates(ring) * STEPS).astype(int)
    start, steps = places[0], np.diff(places[:-1] if closed else places, axis=0)
    moves = " ".join(f"{x},{y}" for x, y in steps.tolist() if x or y)
    return f"M{start[0]},{start[1]}" + (f"l{moves}" if moves else "h0") + ("z" if closed else "")
