"""Which layers a vector file holds, and their rows; nothing but the formats named here is opened."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import shapely

from geodl.errors import OptionError, SceneError, first_line
from geodl.scene.safety import local_file

Kind = Literal["polygons", "lines"]

# What the files begin with. GDAL goes by the content: a virtual layer that calls itself .gpkg and
# names other files must not reach it.
_BEGINNINGS: dict[str, bytes] = {
    ".gpkg": b"SQLite format 3\0",
    ".geojson": b"{",
    ".json": b"{",
    ".shp": b"\0\0\x27\x0a",
    ".fgb": b"fgb",
    ".parquet": b"PAR1",
}

SUFFIXES = frozenset(_BEGINNINGS)

_ROWS = 50_000
"""Features looked at together where a layer does not say what it holds."""


@dataclass(frozen=True, kw_only=True)
class FoundLayer:
    """A layer of polygons or lines.

    Parameters
    ----------
    name : str
        Its name.
    kind : {"polygons", "lines"}
        What it holds.
    crs : Any
        What pyproj makes a CRS of; None where there is none.
    box : tuple of float, optional
        Left, bottom, right, top in the CRS; None where there are no features.
    count : int
        Number of features.
    """

    name: str
    kind: Kind
    crs: Any
    box: tuple[float, float, float, float] | None
    count: int


def vector_layer(path: Path, name: str | None, kind: Kind | None) -> FoundLayer:
    """Find the layer of a file to compare; see `geodl.assess.vectors.layer.open_layer`."""
    check_format(path)
    if path.suffix.lower() == ".parquet":
        return _parquet_layer(path, kind)
    kinds = _kinds(path, kind)
    if name is None:
        name = _chosen(path, kinds, kind)
    elif name not in kinds:
        raise OptionError(
            f"layer {name} of {path}", "does not exist, or holds no polygons or lines", _instead(kinds)
        )
    from pyogrio import read_info

    about = read_info(path, layer=name, force_total_bounds=True, force_feature_count=True)
    box = about["total_bounds"]
    count = int(about["features"])
    known = count > 0 and box is not None and np.isfinite(box).all()
    return FoundLayer(
        name=name, kind=kinds[name], crs=about["crs"], box=tuple(box) if known else None, count=count
    )


def check_format(path: Path) -> None:
    """Refuse what is no local file of a known vector format.

    Raises
    ------
    SceneError
        It is missing, or its content is not what its name says.
    """
    beginning = _BEGINNINGS.get(path.suffix.lower())
    if beginning is None:
        raise SceneError(
            f"layer {path}", "is of an unknown vector format", f"give one of {', '.join(sorted(SUFFIXES))}"
        )
    try:
        local_file(path)
        with path.open("rb") as stream:
            content = stream.read(64)
    except SceneError as error:
        raise SceneError(f"layer {path}", error.cause, "check the path") from error
    except OSError as error:
        raise SceneError(f"layer {path}", f"cannot be read ({error.strerror})", "check the path") from error
    if beginning == b"{":
        content = content.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not content.startswith(beginning):
        raise SceneError(
            f"layer {path}", f"is no {path.suffix} file by its content", "name the file after its format"
        )


def read_rows(path: Path, name: str, box: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Read numbers, ascending, and geometries of the features of a layer that touch a box in its CRS."""
    from pyogrio.errors import DataLayerError, DataSourceError
    from pyogrio.raw import read

    try:
        _, ids, geometry, _ = read(path, layer=name, columns=[], bbox=box, return_fids=True)
        shapes = shapely.from_wkb(geometry)
    except (DataSourceError, DataLayerError, ValueError, shapely.errors.GEOSException) as error:
        raise SceneError(f"layer {path}", first_line(error), "get the file again") from error
    order = np.argsort(ids, kind="stable")  # a spatial index answers in its own order
    return ids[order], shapes[order]


def read_parquet(path: Path, name: str) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG001 - one layer a file
    """Read row numbers and geometries of a GeoParquet file."""
    geometry = _parquet(path).geometry.to_numpy()
    return np.arange(len(geometry)), np.array(geometry, dtype=object)


def _parquet(path: Path) -> Any:
    import geopandas

    try:
        return geopandas.read_parquet(path)
    except (OSError, ValueError) as error:
        raise SceneError(f"layer {path}", first_line(error), "give a GeoParquet file") from error


def _parquet_layer(path: Path, expected: Kind | None) -> FoundLayer:
    frame = _parquet(path)
    types = set(frame.geometry.geom_type.dropna())
    kind = _only_kind(path, {kind for kind in map(_kind_of, types) if kind}, expected)
    if kind is None:
        raise _nothing(path)
    box = tuple(frame.total_bounds) if len(frame) else None
    return FoundLayer(name=path.stem, kind=kind, crs=frame.crs, box=box, count=len(frame))


def _kinds(path: Path, expected: Kind | None) -> dict[str, Kind]:
    """Layers of polygons or lines by name."""
    from pyogrio import list_layers
    from pyogrio.errors import DataLayerError, DataSourceError

    found: dict[str, Kind] = {}
    try:
        for name, geometry_type in list_layers(path):
            kind = _kind_of(geometry_type) if geometry_type else None
            if geometry_type in ("Unknown", "GeometryCollection"):
                kind = _seen(path, name, expected)
            if kind is not None:
                found[name] = kind
    except (DataSourceError, DataLayerError) as error:
        raise SceneError(f"layer {path}", first_line(error), "give a readable vector file") from error
    if not found:
        raise _nothing(path)
    return found


def _kind_of(geometry_type: str) -> Kind | None:
    plain = geometry_type.removeprefix("2.5D ").split(" ")[0]
    if plain in ("Polygon", "MultiPolygon", "CurvePolygon", "MultiSurface"):
        return "polygons"
    if plain in ("LineString", "MultiLineString", "CompoundCurve", "MultiCurve", "LinearRing"):
        return "lines"
    return None


def _seen(path: Path, name: str, expected: Kind | None) -> Kind | None:
    """Look what a layer holds that does not say so."""
    from pyogrio.raw import read

    kinds: set[Kind] = set()
    for start in range(0, 2**62, _ROWS):
        geometry = read(path, layer=name, columns=[], skip_features=start, max_features=_ROWS)[2]
        shapes = shapely.from_wkb(geometry)
        dimensions = set(shapely.get_dimensions(shapes[~shapely.is_missing(shapes)]).tolist())
        kinds |= {kind for number, kind in ((1, "lines"), (2, "polygons")) if number in dimensions}  # type: ignore[misc]
        if len(geometry) < _ROWS:
            break
    return _only_kind(path, kinds, expected)


def _only_kind(path: Path, kinds: set[Kind], expected: Kind | None) -> Kind | None:
    if len(kinds) > 1:
        raise SceneError(
            f"layer {path}",
            "holds polygons and lines, which are compared in different ways",
            "put them into layers of their own, and name one with --layer or --reference-layer",
        )
    return next(iter(kinds), expected)


def _chosen(path: Path, kinds: dict[str, Kind], expected: Kind | None) -> str:
    """`edges` of a network, else the only layer of the kind that is looked for."""
    fitting = [name for name, kind in kinds.items() if kind == expected] or list(kinds)
    if kinds.get("edges") == "lines" and "edges" in fitting:
        return "edges"
    if len(fitting) > 1:
        raise SceneError(f"layer {path}", f"has {len(fitting)} layers to compare", _instead(kinds))
    return fitting[0]


def _instead(kinds: dict[str, Kind]) -> str:
    return f"name one with --layer or --reference-layer: {', '.join(kinds)}"


def _nothing(path: Path) -> SceneError:
    return SceneError(
        f"layer {path}", "holds neither polygons nor lines", "give footprints, or the lines of a network"
    )
