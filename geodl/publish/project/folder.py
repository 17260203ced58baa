"""The layers that lie in a product folder, with the styles that were written beside them."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree as Xml

import rasterio

from geodl.publish.files import writing
from geodl.publish.project.description import Group, Layer
from geodl.publish.qgis import DOCTYPE, confidence_style

TITLES = {
    "confidence": "Confidence",
    "entropy": "Entropy: how undecided the model is",
    "novelty": "Novelty: how unlike the training data",
    "spread": "Spread over turned views",
    "registration": "Registration: how well the dates lie on each other",
    "change_probability": "Probability of change",
}
"""What rasters are called that are not the map itself, in the order in which they lie on it."""

OVERLAY = 0.6  # opacity of rasters that are laid over the map
PROBABILITY = "probability"
_EXTRAS = {"nodes": "junctions and ends"}
_GEOMETRIES = {"POLYGON": "Polygon", "LINESTRING": "Line", "POINT": "Point"}


def layers_of_folder(
    folder: Path, *, main: str, title: str, covers: bool, smallest_scale: float | None
) -> tuple[Group, Group]:
    """Return the vector layers and the rasters of a product folder, all files of which are written.

    Parameters
    ----------
    folder : pathlib.Path
    main : str
        File stem of the map: ``landcover``.
    title : str
        What the map is called.
    covers : bool
        Whether the map gives every pixel a class. Else its vector layers are objects on the imagery, which
        are shown at every scale; then the raster below them is switched off.
    smallest_scale : float, optional
        Denominator of the map scale from which the polygons of a map that covers everything are drawn.

    Raises
    ------
    ProductError
        A file of the folder cannot be read.
    """
    vectors = tuple(
        layer
        for file in sorted(folder.glob("*.gpkg"))
        for layer in _vectors(file, main, title, covers=covers, smallest_scale=smallest_scale)
    )
    rasters: list[Layer | Group] = []
    stems = {file.stem for file in folder.glob("*.tif")}
    known = [*(name for name in TITLES if name in stems), *sorted(stems - {*TITLES, main, PROBABILITY})]
    for stem in known:
        name = TITLES.get(stem, stem.replace("_", " ").capitalize())
        rasters.append(_raster(folder / f"{stem}.tif", name, visible=False, opacity=OVERLAY))
    if PROBABILITY in stems:
        rasters.append(_probabilities(folder / f"{PROBABILITY}.tif"))
    if main in stems:
        # The legend names the polygons where there are any: above the classes of a raster QGIS puts its band.
        rasters.append(
            _raster(folder / f"{main}.tif", title, visible=covers or not vectors, in_legend=not vectors)
        )
    return Group(title="Vectors", layers=vectors), Group(title="Result", layers=tuple(rasters))


def _raster(file: Path, title: str, **how: object) -> Layer:
    style = file.with_suffix(".qml")
    with writing(file), rasterio.open(file, driver="GTiff") as dataset:
        crs = dataset.crs
    text = style.read_text(encoding="utf-8") if style.exists() else confidence_style()
    return Layer(title=title, source=f"./{file.name}", style=text, crs=crs, **how)  # type: ignore[arg-type]


def _probabilities(file: Path) -> Group:
    """Return a layer for the band of each class."""
    with writing(file), rasterio.open(file, driver="GTiff") as dataset:
        crs, names = dataset.crs, dataset.descriptions
    layers = tuple(
        Layer(
            title=name or f"class {band}",
            source=f"./{file.name}",
            style=confidence_style(band=band),
            crs=crs,
            visible=False,
            opacity=OVERLAY,
        )
        for band, name in enumerate(names, start=1)
    )
    return Group(title="Probability of each class", layers=layers, visible=False, expanded=False)


def _vectors(file: Path, main: str, title: str, *, covers: bool, smallest_scale: float | None) -> list[Layer]:
    """Return the layers of a GeoPackage: points over lines over polygons."""
    found = []
    with (
        writing(file),
        closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as connection,
    ):
        for name, kind, crs in _tables(connection):
            style = _style(connection, name)
            far = covers or kind == "Point"  # points of a network are too many on small maps
            layer = Layer(
                title=f"{title} polygons" if covers and name == main else _title(name, main, title),
                source=f"./{file.name}|layername={name}",
                style=style,
                geometry=kind,
                crs=crs,
                smallest_scale=smallest_scale if far else None,
                opacity=1.0 if covers or kind != "Polygon" else 0.75,
                in_legend=kind != "Point",
            )
            found.append(layer)
    order = list(_GEOMETRIES.values())[::-1]
    return sorted(found, key=lambda layer: order.index(str(layer.geometry)))


def _title(table: str, main: str, title: str) -> str:
    if table in (main, "edges"):  # the edges of a network are what it is made for
        return title
    extra = table.removeprefix(main).strip("_")
    return f"{title}: {_EXTRAS.get(extra, extra.replace('_', ' '))}"


def _tables(connection: sqlite3.Connection) -> list[tuple[str, str, rasterio.crs.CRS | None]]:
    rows = connection.execute(
        "SELECT c.table_name, c.geometry_type_name, s.definition, s.srs_id FROM gpkg_geometry_columns c"
        " LEFT JOIN gpkg_spatial_ref_sys s ON s.srs_id = c.srs_id ORDER BY c.table_name"
    ).fetchall()
    return [
        (name, _GEOMETRIES[kind.upper().removeprefix("MULTI")], _crs(definition, srs))
        for name, kind, definition, srs in rows
    ]


def _crs(definition: str | None, srs: int) -> rasterio.crs.CRS | None:
    """Return the CRS of a table; the ids 0 and -1 of the standard mean none."""
    return None if srs <= 0 or not definition else rasterio.crs.CRS.from_wkt(definition)


def _style(connection: sqlite3.Connection, table: str) -> str | None:
    """Return the default style of a table, without the categories of classes that do not occur in it."""
    styled = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'layer_styles'").fetchone()
    if styled is None:
        return None
    row = connection.execute(
        "SELECT styleQML FROM layer_styles WHERE f_table_name = ? AND useAsDefault", (table,)
    ).fetchone()
    if row is None:
        return None
    root = Xml.fromstring(row[0].encode())  # noqa: S314 - a style that geodl has written
    categories = root.find("renderer-v2/categories")
    renderer = root.find("renderer-v2")
    if categories is not None and renderer is not None:
        _keep_occurring(connection, table, renderer.attrib, categories)
    return DOCTYPE + Xml.tostring(root, encoding="unicode")


def _keep_occurring(
    connection: sqlite3.Connection, table: str, renderer: Mapping[str, str], categories: Xml.Element
) -> None:
    column, name = (text.replace('"', '""') for text in (renderer["attr"], table))
    # Names cannot be parameters of a statement.
    occurring = {
        str(value)
        for (value,) in connection.execute(f'SELECT DISTINCT "{column}" FROM "{name}"')  # noqa: S608
    }
    for category in list(categories):
        if occurring and category.get("value") not in occurring:
            categories.remove(category)
