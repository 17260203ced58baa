"""GDAL's sidecar ``.aux.xml``: category names and the raster attribute table.

Format: ``PAMDataset`` in GDAL's ``gdalpamdataset.cpp`` and ``GDALRasterAttributeTable::XMLInit``.
"""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as Xml

from geodl.models.spec import ClassSpec

# Name of the column, GDALRATFieldType, GDALRATFieldUsage
_INTEGER, _STRING = "0", "2"
_COLUMNS = (
    ("Value", _INTEGER, "5"),
    ("Class", _STRING, "2"),
    ("Red", _INTEGER, "6"),
    ("Green", _INTEGER, "7"),
    ("Blue", _INTEGER, "8"),
)


def write_pam(path: Path, *, classes: Sequence[ClassSpec] = (), crs: str | None = None) -> None:
    """Write ``<raster>.aux.xml``: the class table of a one-band raster, and a WKT that overrides its CRS."""
    root = Xml.Element("PAMDataset")
    if crs is not None:
        Xml.SubElement(root, "SRS").text = crs
    if classes:
        _add_table(root, sorted(classes, key=lambda c: c.value))
    Xml.indent(root)
    path.write_bytes(Xml.tostring(root, encoding="utf-8", xml_declaration=False) + b"\n")


def _add_table(root: Xml.Element, classes: Sequence[ClassSpec]) -> None:
    band = Xml.SubElement(root, "PAMRasterBand", band="1")
    names = {c.value: c.name for c in classes}
    categories = Xml.SubElement(band, "CategoryNames")
    for value in range(max(names) + 1):
        Xml.SubElement(categories, "Category").text = names.get(value, "")
    table = Xml.SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    for index, (name, kind, usage) in enumerate(_COLUMNS):
        column = Xml.SubElement(table, "FieldDefn", index=str(index))
        for tag, text in (("Name", name), ("Type", kind), ("Usage", usage)):
            Xml.SubElement(column, tag).text = text
    for index, entry in enumerate(classes):
        row = Xml.SubElement(table, "Row", index=str(index))
        for cell in (entry.value, entry.name, *entry.rgb):
            Xml.SubElement(row, "F").text = str(cell)
