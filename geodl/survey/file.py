"""The GeoPackage of a sample: points to answer, and apart from them how they were drawn.

==========  ====================================================================================
table       what
==========  ====================================================================================
points      `id`; `reference`, the class that the interpreter sees, empty at first; `note`
drawn       `id` and `stratum` of each point of a stratified sample: kept apart, so that the
            interpreter does not know what the map says
strata      `value`, `name`, `pixels`, `area_m2` of each class of the map, and its `points`
==========  ====================================================================================
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError

from geodl.errors import OptionError, ProductError, SceneError
from geodl.publish.files import writing, written_beside
from geodl.publish.geopackage import store_provenance, store_style
from geodl.scene.grid import Grid
from geodl.scene.safety import local_file
from geodl.survey.draw import Drawn
from geodl.survey.form import form_style
from geodl.survey.strata import Strata

if TYPE_CHECKING:
    from pyproj import CRS

LAYER = "points"

# GDAL would go by the content alone, and some formats name other files to read.
_BEGINNINGS = {
    ".gpkg": b"SQLite format 3\0",
    ".fgb": b"fgb",
    ".shp": b"\x00\x00\x27\x0a",
    ".geojson": b"{",
    ".json": b"{",
}


def write_sample(
    path: str | Path,
    drawn: Drawn,
    *,
    grid: Grid,
    strata: Strata,
    names: Mapping[int, str],
    stratified: bool,
    provenance: Mapping[str, Any],
) -> None:
    """Write a new GeoPackage of points, with a form for QGIS as its default style.

    Parameters
    ----------
    path : str or Path
        Must not exist: it could hold answers.
    drawn : Drawn
        Pixels of the map; the points lie in their centres.
    grid : Grid
        The grid of the map.
    strata : Strata
        The classes of the map.
    names : mapping of int to str
        Classes that the interpreter can choose from.
    stratified : bool
        Whether the points were drawn class by class.
    provenance : mapping
        How they were drawn, as JSON.

    Raises
    ------
    OptionError
        The name does not end in .gpkg.
    ProductError
        The file is there already, or cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".gpkg":
        raise OptionError(f"--out {path}", "is no GeoPackage", "end the name in .gpkg")
    if path.exists():
        raise ProductError(
            str(path), "is there already and may hold answers", "choose another --out, or remove it"
        )
    assert grid.crs is not None
    a, b, left, d, e, top = grid.transform[:6]
    columns, rows = drawn.columns + 0.5, drawn.rows + 0.5
    count = len(drawn)
    numbers = np.arange(1, count + 1, dtype=np.int32)
    points = geopandas.GeoDataFrame(
        {
            "id": numbers,
            "reference": pd.array([pd.NA] * count, dtype="Int32"),
            "note": pd.Series([None] * count, dtype="str"),
        },
        geometry=shapely.points(a * columns + b * rows + left, d * columns + e * rows + top),
        crs=grid.crs.to_wkt(),
    )
    tables = {
        "strata": pd.DataFrame(
            {
                "value": np.array(strata.values, dtype=np.int32),
                "name": list(strata.names),
                "pixels": np.array(strata.pixels, dtype=np.int64),
                "area_m2": np.array(strata.areas),
                "points": np.array([int((drawn.values == v).sum()) for v in strata.values], np.int32),
            }
        )
    }
    if stratified:
        tables["drawn"] = pd.DataFrame({"id": numbers, "stratum": drawn.values.astype(np.int32)})
    with written_beside(path) as beside, writing(path):
        pyogrio.write_dataframe(points, beside, layer=LAYER, driver="GPKG", geometry_type="Point")
        for name, table in tables.items():
            pyogrio.write_dataframe(table, beside, layer=name, driver="GPKG")
        store_style(beside, layer=LAYER, style=form_style(names))
        store_provenance(beside, provenance=provenance)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Points with what an interpreter saw there.

    Parameters
    ----------
    x, y : numpy.ndarray of float64, shape (n,)
        Where they are, in the CRS asked for; NaN where that does not reach.
    reference : numpy.ndarray of object, shape (n,)
        Values of the attribute; None where it is empty.
    stratum : numpy.ndarray of int64, shape (n,), or None
        Class of the map that the point was drawn from, -1 where it was not drawn; None if the points
        were not drawn class by class.
    areas : dict of int to float
        Area of each stratum in m²; empty without strata.
    """

    x: np.ndarray
    y: np.ndarray
    reference: np.ndarray
    stratum: np.ndarray | None
    areas: dict[int, float]


def read_answers(path: str | Path, crs: "CRS", attribute: str = "reference") -> Answers:
    """Read points from a sample of `geodl sample`, or from any file of points with an attribute.

    Raises
    ------
    SceneError
        The file cannot be read, holds no points, has no CRS or not that attribute.
    """
    name = f"points {path}"
    file = local_file(path)
    suffix = Path(file).suffix.lower()
    if suffix not in _BEGINNINGS:
        raise SceneError(name, "is no vector file", f"give one of {', '.join(_BEGINNINGS)}")
    with Path(file).open("rb") as stream:
        if not stream.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(_BEGINNINGS[suffix]):
            raise SceneError(name, f"does not begin as a {suffix} file", "convert it with ogr2ogr")
    try:
        layers = pyogrio.list_layers(file)
        layer = LAYER if LAYER in layers[:, 0] else layers[0, 0]
        frame = geopandas.read_file(file, layer=layer, engine="pyogrio")
        tables = {
            table: pyogrio.read_dataframe(file, layer=table)
            for table in ("drawn", "strata")
            if table in layers[:, 0]
        }
    except (DataSourceError, DataLayerError, ValueError) as error:
        raise SceneError(name, str(error), "give a readable vector file") from error
    _check(name, frame, attribute)
    frame = frame[~(frame.geometry.is_empty | frame.geometry.isna())]
    placed = frame.geometry.to_crs(crs)
    x, y = placed.x.to_numpy(), placed.y.to_numpy()
    reference = np.array([_value(value) for value in frame[attribute]], dtype=object)
    stratum, areas = _strata(name, frame, tables)
    finite = np.isfinite(x) & np.isfinite(y)
    return Answers(
        x=np.where(finite, x, np.nan),
        y=np.where(finite, y, np.nan),
        reference=reference,
        stratum=stratum,
        areas=areas,
    )


def _check(name: str, frame: Any, attribute: str) -> None:
    if not isinstance(frame, geopandas.GeoDataFrame):
        raise SceneError(name, "has no geometry", "give a layer of points")
    kinds = set(frame.geometry.geom_type.dropna())
    if kinds - {"Point"}:
        raise SceneError(
            name,
            f"holds {', '.join(sorted(kinds - {'Point'}))}",
            "give points; labels of areas go without --area",
        )
    if frame.crs is None:
        raise SceneError(name, "has no CRS", "georeference the points first")
    if attribute not in frame.columns:
        columns = ", ".join(str(column) for column in frame.columns if column != "geometry")
        raise SceneError(
            name, f"no attribute {attribute!r}; it has {columns}", "name one of these with --attribute"
        )


def _value(value: Any) -> int | str | None:
    """Return a whole number where it is one (3, 3.0, "3"), a word, or None where it is empty."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        return text or None
    return int(number) if number.is_integer() else text


def _strata(name: str, frame: Any, tables: dict[str, Any]) -> tuple[np.ndarray | None, dict[int, float]]:
    if "drawn" not in tables:
        return None, {}
    try:
        drawn = dict(zip(tables["drawn"]["id"], tables["drawn"]["stratum"], strict=True))
        areas = dict(zip(tables["strata"]["value"], tables["strata"]["area_m2"], strict=True))
        stratum = np.array([drawn.get(number, -1) for number in frame["id"]], dtype=np.int64)
        areas = {int(value): float(area) for value, area in areas.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise SceneError(
            name,
            f"its tables 'drawn' and 'strata' are damaged ({error})",
            "take the file that geodl sample wrote",
        ) from error
    if not all(area > 0 and math.isfinite(area) for area in areas.values()) or set(drawn.values()) - set(
        areas
    ):
        raise SceneError(
            name, "its table 'strata' does not fit its points", "take the file that geodl sample wrote"
        )
    doubled = len(set(frame["id"].dropna())) < frame["id"].notna().sum()
    if doubled:
        raise SceneError(name, "two points have the same id", "remove the copies")
    return stratum, areas
