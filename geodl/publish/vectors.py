"""Vector layers, written batch by batch where the format can grow."""

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import geopandas
import numpy as np
import pyogrio
import pyogrio.raw
import shapely
from pyproj import CRS, Transformer

from geodl.errors import OptionError, ProductError
from geodl.models.spec import ClassSpec
from geodl.publish.antimeridian import cut_at_antimeridian, split_at_antimeridian
from geodl.publish.files import published, writing, written_beside
from geodl.publish.geopackage import TIMESTAMP, store_provenance, store_style
from geodl.publish.qgis import layer_style


class Batch(Protocol):
    """Features that belong together; `geodl.vector.FeatureBatch` is one."""

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """Attributes by name, each of shape (n,)."""

    @property
    def geometry(self) -> np.ndarray:
        """Shapely geometries, shape (n,)."""

    @property
    def geometry_type(self) -> str:
        """OGC name of the geometries' type."""

    @property
    def layer(self) -> str:
        """Which of several layers they belong to; empty for the only one."""


@dataclass(frozen=True, kw_only=True)
class VectorLayer:
    """What a vector layer is called and where it comes from."""

    name: str
    crs: CRS | None = None
    classes: tuple[ClassSpec, ...] = ()
    """Classes of the attribute ``class``: makes the QGIS style of a GeoPackage."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Where the layer comes from, as JSON."""

    @property
    def provenance_text(self) -> str:
        """The provenance as one line of JSON."""
        return json.dumps(self.provenance, sort_keys=True, ensure_ascii=False)


def write_vectors(
    batches: Iterable[Batch],
    path: str | Path,
    *,
    layer: str,
    crs: Any = None,
    provenance: Mapping[str, Any] | None = None,
    classes: Iterable[ClassSpec] = (),
) -> int:
    """Write vector layers; a file appears complete or not at all.

    Parameters
    ----------
    batches : iterable of Batch
        At least one for each layer, the first of which may be empty and tells the columns. A GeoPackage
        grows with each batch and holds all layers; the other formats gather each layer in memory, and
        layers after the first get files of their own: ``roads.parquet`` and ``roads_nodes.parquet``.
    path : str or Path
        The suffix is the format: a row of `VECTOR_WRITERS`.
    layer : str
        Name of the layer of batches that name none.
    crs : CRS or what pyproj makes one of, optional
    provenance : mapping, optional
        Where the layer comes from: into the metadata of the file where the format has any.
    classes : iterable of ClassSpec, optional
        Classes of the attribute ``class`` for the style in a GeoPackage.

    Returns
    -------
    int
        Number of features written to the first layer.

    Raises
    ------
    OptionError
        The format is unknown.
    ProductError
        The file cannot be written.
    """
    path = Path(path)
    write = VECTOR_WRITERS.get(path.suffix.lower())
    if write is None:
        raise OptionError(
            str(path),
            f"the format {path.suffix!r} is unknown",
            f"end the name in one of {', '.join(VECTOR_WRITERS)}",
        )
    description = VectorLayer(
        name=layer,
        crs=None if crs is None else CRS.from_user_input(crs),
        classes=tuple(classes),
        provenance=provenance or {},
    )
    with ExitStack() as files, _fixed_date():
        if path.suffix.lower() in MANY_LAYERS:
            return write(batches, files.enter_context(written_beside(path)), description)
        counts: list[int] = []
        for name, parts in _by_layer(batches, layer).items():
            file = path.with_stem(f"{path.stem}_{name}") if counts else path
            beside = files.enter_context(written_beside(file))
            counts.append(write(parts, beside, replace(description, name=name)))
        return counts[0]


def write_geopackage(batches: Iterable[Batch], path: Path, layer: VectorLayer) -> int:
    """Write a GeoPackage with spatial index, a QGIS style for each layer, and provenance."""
    options = {"SPATIAL_INDEX": "YES", "GEOMETRY_NAME": "geom"}
    types: dict[str, str] = {}
    noted = _noting_types(batches, layer.name, types)
    counts = _append(noted, path, layer, driver="GPKG", options=options)
    with writing(path):
        for name, geometry_type in types.items():
            if style := layer_style(geometry_type, layer.classes):
                store_style(path, layer=name, style=style)
        if layer.provenance:
            store_provenance(path, provenance=layer.provenance)
    return next(iter(counts.values()))


def write_geojson(batches: Iterable[Batch], path: Path, layer: VectorLayer) -> int:
    """Write GeoJSON in longitude and latitude (RFC 7946), broken where it crosses the antimeridian.

    A layer without CRS keeps its coordinates.
    """
    options = {"COORDINATE_PRECISION": "8", "DESCRIPTION": layer.provenance_text}
    if layer.crs is None:
        return _write_one(_gathered(batches), path, layer, driver="GeoJSON", options=options)
    moved = _in_degrees(_gathered(batches), layer.crs)
    return _write_one(
        moved, path, layer, driver="GeoJSON", options={**options, "RFC7946": "YES"}, crs="EPSG:4326"
    )


def write_flatgeobuf(batches: Iterable[Batch], path: Path, layer: VectorLayer) -> int:
    """Write FlatGeobuf; its index is packed before the first feature, so the layer is gathered first."""
    options = {"DESCRIPTION": layer.provenance_text}
    return _write_one(_gathered(batches), path, layer, driver="FlatGeobuf", options=options)


def write_parquet(batches: Iterable[Batch], path: Path, layer: VectorLayer) -> int:
    """Write GeoParquet; the layer is gathered in memory. Needs pyarrow."""
    whole = _gathered(batches)
    frame = geopandas.GeoDataFrame(whole.columns, geometry=whole.geometry, crs=layer.crs)
    try:
        with writing(path):
            frame.to_parquet(path, index=False, compression="zstd", write_covering_bbox=True)
    except ImportError as error:
        raise ProductError(
            str(published(path)), "GeoParquet needs pyarrow", "pip install pyarrow, or write .gpkg"
        ) from error
    return len(frame)


VECTOR_WRITERS: dict[str, Callable[[Iterable[Batch], Path, VectorLayer], int]] = {
    ".gpkg": write_geopackage,
    ".geojson": write_geojson,
    ".fgb": write_flatgeobuf,
    ".parquet": write_parquet,
}

STEPS = 64
"""Pieces of the side of a geometry that may cross the antimeridian."""

MANY_LAYERS = {".gpkg"}
"""Formats whose files hold several layers; their writers are given the batches of all of them."""


@dataclass(frozen=True)
class _Features:
    columns: dict[str, np.ndarray]
    geometry: np.ndarray
    geometry_type: str
    layer: str = ""


def _noting_types(batches: Iterable[Batch], name: str, types: dict[str, str]) -> Iterator[Batch]:
    """Pass batches on and leave the geometry type of each layer in `types`."""
    for batch in batches:
        types[batch.layer or name] = batch.geometry_type
        yield batch


def _by_layer(batches: Iterable[Batch], name: str) -> dict[str, list[Batch]]:
    layers: dict[str, list[Batch]] = {}
    for batch in batches:
        layers.setdefault(batch.layer or name, []).append(batch)
    return layers


def _in_degrees(batch: Batch, crs: CRS) -> _Features:
    """Move features to longitude and latitude; those that cross the antimeridian are broken there."""
    to_degrees = Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)

    def move(points: np.ndarray) -> np.ndarray:
        return np.stack(to_degrees.transform(points[:, 0], points[:, 1]), axis=1)

    geometry = np.array(batch.geometry, dtype=object)
    if crs.is_geographic:  # beyond 180 degrees or not: there is nothing to guess
        beyond = np.abs(shapely.bounds(geometry)) > (180, 90, 180, 90)  # half a pixel over a pole is usual
        for number in np.flatnonzero(beyond.any(axis=1)):
            geometry[number] = cut_at_antimeridian(geometry[number])
        return _Features(batch.columns, shapely.transform(geometry, move), batch.geometry_type)
    geometry = shapely.transform(geometry, move)
    bounds = shapely.bounds(geometry)
    for number in np.flatnonzero(bounds[:, 2] - bounds[:, 0] > 180):
        # Either it crosses or it is as wide: small steps tell.
        west, south, east, north = shapely.bounds(batch.geometry[number])
        steps = shapely.segmentize(batch.geometry[number], max(east - west, north - south) / STEPS)
        geometry[number] = split_at_antimeridian(shapely.transform(steps, move))
    return _Features(batch.columns, geometry, batch.geometry_type)


def _gathered(batches: Iterable[Batch]) -> _Features:
    parts = list(batches)
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns}
    return _Features(columns, np.concatenate([part.geometry for part in parts]), parts[0].geometry_type)


def _write_one(batch: Batch, path: Path, layer: VectorLayer, **how: Any) -> int:
    return next(iter(_append([batch], path, layer, **how).values()))


def _append(
    batches: Iterable[Batch],
    path: Path,
    layer: VectorLayer,
    *,
    driver: str,
    options: dict[str, str],
    crs=None,
) -> dict[str, int]:
    """Create each layer with its first batch and append the others. Returns the numbers of features."""
    crs = layer.crs.to_wkt() if crs is None and layer.crs is not None else crs
    counts: dict[str, int] = {}
    for batch in batches:
        name = batch.layer or layer.name
        if name in counts and not len(batch.geometry):
            continue
        with writing(path), warnings.catch_warnings():
            # A layer of a scene without CRS has none, and the user was told when the scene was opened.
            warnings.filterwarnings("ignore", message="'crs' was not provided")
            pyogrio.raw.write(
                path,
                shapely.to_wkb(batch.geometry),
                list(batch.columns.values()),
                list(batch.columns),
                layer=name,
                driver=driver,
                geometry_type=batch.geometry_type,
                crs=crs,
                encoding="UTF-8",
                append=bool(counts),
                layer_options=None if name in counts else options,
            )
        counts[name] = counts.get(name, 0) + len(batch.geometry)
    return counts


@contextmanager
def _fixed_date() -> Iterator[None]:
    """Keep the clock out of files: OGR stamps layers with the time of writing."""
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": TIMESTAMP})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})
