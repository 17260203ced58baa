"""What a run has left behind, for QGIS to load. Knows nothing of QGIS."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

MANIFEST = "manifest.json"  # written last: a folder with it is a whole product
MAPS = ("landcover", "buildings", "roads", "change")


def product_of(lines):
    """Return the folder of the product that a run has named, or None.

    Parameters
    ----------
    lines : sequence of str
        What ``geodl predict`` has printed.
    """
    for line in reversed(lines):
        folder = Path(line.strip())
        if line.strip() and (folder / MANIFEST).is_file():
            return folder
    return None


def map_of(folder):
    """Return the class raster of a product, or None if it was not asked for."""
    rasters = [folder / f"{stem}.tif" for stem in MAPS]
    return next((raster for raster in rasters if raster.is_file()), None)


def geopackage_of(folder):
    """Return the GeoPackage of a product, or None if it was not asked for."""
    return next(iter(sorted(folder.glob("*.gpkg"))), None)


def layers_of(geopackage):
    """Return the names of the layers in a GeoPackage, those drawn below first.

    Points lie on lines, and lines on polygons, as in the project that geodl writes.
    """
    query = (
        "SELECT c.table_name, g.geometry_type_name FROM gpkg_contents c"
        " JOIN gpkg_geometry_columns g ON g.table_name = c.table_name"
        " WHERE c.data_type = 'features' ORDER BY c.table_name"
    )
    with closing(sqlite3.connect(f"{Path(geopackage).resolve().as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute(query).fetchall()
    return [name for name, kind in sorted(rows, key=lambda row: _height(row[1]))]


def _height(geometry):
    kinds = ("POLYGON", "LINESTRING", "POINT")
    return kinds.index(geometry.upper().removeprefix("MULTI"))


def figures_of(file):
    """Return the figures that ``geodl assess --json`` has written, those of one number each, by name."""
    told = json.loads(Path(file).read_text(encoding="utf-8"))
    return {name: float(value) for name, value in told.items() if isinstance(value, (int, float))}
