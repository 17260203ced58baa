"""Class names and colours of a map, from the raster attribute table beside it.

GDAL keeps the table in ``MAP.tif.aux.xml``
(https://gdal.org/user/raster_data_model.html#raster-attribute-table); rasterio has no call for it.
"""

from pathlib import Path
from xml.etree import ElementTree

from geodl.errors import SceneError

_MAX_BYTES = 4 * 1024**2
# GDALRATFieldUsage of gdal.h.
_NAME, _LOWEST, _VALUE = "2", "3", "5"


def class_names(map_path: str | Path) -> dict[int, str]:
    """Read class names by raster value; empty where the map has no attribute table.

    Parameters
    ----------
    map_path : str or Path
        The raster; the table is looked for in the file of that name and ``.aux.xml``.

    Raises
    ------
    SceneError
        If the file beside the map is there but is no sound XML.
    """
    path = Path(f"{map_path}.aux.xml")
    if not path.is_file():
        return {}
    table = _parse(path).find(".//GDALRasterAttributeTable")
    if table is None:
        return {}
    usages = [field.findtext("Usage", "").split()[:1] for field in table.findall("FieldDefn")]
    try:
        value = next(i for i, usage in enumerate(usages) if usage in ([_VALUE], [_LOWEST]))
        name = usages.index([_NAME])
        cells = [[cell.text or "" for cell in row.findall("F")] for row in table.findall("Row")]
        return {int(float(row[value])): row[name] for row in cells}
    except (StopIteration, ValueError, IndexError):
        return {}  # an attribute table about something else


def _parse(path: Path) -> ElementTree.Element:
    if path.stat().st_size > _MAX_BYTES:
        raise SceneError(f"file {path}", f"is larger than {_MAX_BYTES} bytes", "remove it or give the names")
    content = path.read_bytes()
    # Entities could expand without bound; GDAL writes none.
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise SceneError(f"file {path}", "declares XML entities", "remove it or give the names")
    try:
        return ElementTree.fromstring(content)  # noqa: S314 - no entities, bounded size
    except ElementTree.ParseError as error:
        raise SceneError(f"file {path}", f"is no XML ({error})", "remove it or give the names") from error
