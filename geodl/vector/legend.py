"""Names and colours of the classes of a raster file: those of geodl, or those of other software.

GDAL keeps category names and the raster attribute table in ``MAP.tif.aux.xml``
(https://gdal.org/user/raster_data_model.html#raster-attribute-table), for which rasterio has no call, and the
colour table in the file.
"""

import colorsys
import json
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import rasterio
from pydantic import TypeAdapter, ValidationError

from geodl.errors import SceneError
from geodl.models.spec import NODATA_CLASS, ClassSpec

CLASSES_TAG = "GEODL_CLASSES"
_MAX_BYTES = 4 * 1024**2
_NAME, _VALUES, _COLOURS = "2", ("5", "3"), ("6", "7", "8")  # GDALRATFieldUsage of gdal.h
_GOLDEN = 0.618034  # of the colour circle between two classes without colours: none look alike for long


def read_legend(dataset: rasterio.DatasetReader, band: int) -> tuple[tuple[ClassSpec, ...], dict[int, str]]:
    """Read the classes of a raster file.

    Returns
    -------
    classes : tuple of ClassSpec
        Those whose values fit into geodl's own maps, with colours; empty where nothing is known.
    names : dict of int to str
        Names of all values that have one.

    Raises
    ------
    SceneError
        The table in the file or beside it is damaged.
    """
    path = Path(dataset.name)
    text = dataset.tags().get(CLASSES_TAG)
    if text is not None:
        classes = _tagged_classes(path, text)
        return classes, {c.value: c.name for c in classes}
    names, colours = _sidecar(path, band)
    colours = {**_colour_table(dataset, band), **colours}
    classes = tuple(
        ClassSpec(value=value, name=names.get(value, str(value)), color=colours.get(value) or _colour(i))
        for i, value in enumerate(sorted(names or colours))
        if 0 <= value < NODATA_CLASS and value != dataset.nodatavals[band - 1]
    )
    return classes, names


def _tagged_classes(path: Path, text: str) -> tuple[ClassSpec, ...]:
    """Read the class table that `geodl.publish.write_cog` leaves in a tag."""
    try:
        return tuple(TypeAdapter(list[ClassSpec]).validate_python(json.loads(text)))
    except (ValidationError, json.JSONDecodeError) as error:
        raise SceneError(
            str(path), f"its tag {CLASSES_TAG} is damaged", "give the classes yourself"
        ) from error


def _colour_table(dataset: rasterio.DatasetReader, band: int) -> dict[int, str]:
    try:
        table: Mapping[int, tuple[int, ...]] = dataset.colormap(band)
    except ValueError:  # rasterio's word for none
        return {}
    return {value: _hex(*rgba[:3]) for value, rgba in table.items() if any(rgba[:3])}


def _sidecar(path: Path, band: int) -> tuple[dict[int, str], dict[int, str]]:
    """Names and colours by value, from the attribute table or else from the category names."""
    beside = Path(f"{path}.aux.xml")
    if not beside.is_file():
        return {}, {}
    root = _parse(beside)
    own = root.find(f"PAMRasterBand[@band='{band}']")
    table = None if own is None else own.find("GDALRasterAttributeTable")
    if table is not None:
        return _attribute_table(table)
    found = [] if own is None else own.findall("CategoryNames/Category")
    names = {value: _clean(entry.text) for value, entry in enumerate(found)}
    return {value: name for value, name in names.items() if name}, {}


def _attribute_table(table: ElementTree.Element) -> tuple[dict[int, str], dict[int, str]]:
    usage = [(field.findtext("Usage") or "").strip() for field in table.findall("FieldDefn")]
    names, colours = {}, {}
    try:
        value_column = next(usage.index(kind) for kind in _VALUES if kind in usage)
        for row in table.findall("Row"):
            cells = [cell.text or "" for cell in row.findall("F")]
            value = int(float(cells[value_column]))
            if _NAME in usage and _clean(cells[usage.index(_NAME)]):
                names[value] = _clean(cells[usage.index(_NAME)])
            if all(kind in usage for kind in _COLOURS):
                colours[value] = _hex(*(int(float(cells[usage.index(kind)])) for kind in _COLOURS))
    except (StopIteration, ValueError, IndexError, OverflowError):
        return {}, {}  # an attribute table about something else
    return names, colours


def _parse(path: Path) -> ElementTree.Element:
    content = path.read_bytes() if path.stat().st_size <= _MAX_BYTES else None
    # Entities could expand without bound; GDAL writes none.
    if content is None or b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise SceneError(str(path), "is too large or declares XML entities", "remove it, or write it anew")
    try:
        return ElementTree.fromstring(content)  # noqa: S314 - no entities, bounded size
    except ElementTree.ParseError as error:
        raise SceneError(str(path), f"is no XML ({error})", "remove it, or write it anew") from error


def _clean(text: str | None) -> str:
    return "".join(c for c in (text or "") if c.isprintable()).strip()[:128]


def _hex(*rgb: int) -> str:
    return "#" + "".join(f"{min(255, max(0, part)):02x}" for part in rgb)


def _colour(index: int) -> str:
    return _hex(*(round(255 * part) for part in colorsys.hsv_to_rgb(index * _GOLDEN % 1, 0.55, 0.85)))
