"""Names and colours of the values of a raster, out of the file that GDAL keeps beside it.

``MAP.tif.aux.xml`` holds category names and the raster attribute table
(https://gdal.org/user/raster_data_model.html#raster-attribute-table), for which rasterio has no call.
"""

from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from geodl.errors import SceneError

_MAX_BYTES = 4 * 1024**2
_NAME, _VALUES, _COLOURS = "2", ("5", "3"), ("6", "7", "8")  # GDALRATFieldUsage of gdal.h


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """What a raster's values are called, and how they are drawn, as far as it is known."""

    names: dict[int, str] = field(default_factory=dict)
    """Names by value; none is empty."""
    colours: dict[int, str] = field(default_factory=dict)
    """``#rrggbb`` by value."""


def read_sidecar(raster: str | Path, band: int = 1) -> Sidecar:
    """Read the names and colours of a band from the attribute table, or else from the category names.

    Parameters
    ----------
    raster : str or Path
        The raster; beside it lies the file of that name and ``.aux.xml``, or nothing.
    band : int
        Counted from 1.

    Raises
    ------
    SceneError
        The file beside the raster is there but is no sound XML.
    """
    beside = Path(f"{raster}.aux.xml")
    if not beside.is_file():
        return Sidecar()
    own = _parse(beside).find(f"PAMRasterBand[@band='{band}']")
    if own is None:
        return Sidecar()
    table = own.find("GDALRasterAttributeTable")
    if table is not None:
        return _attribute_table(table)
    names = {value: _clean(entry.text) for value, entry in enumerate(own.findall("CategoryNames/Category"))}
    return Sidecar(names={value: name for value, name in names.items() if name})


def hex_colour(*rgb: int) -> str:
    """Write red, green and blue (0..255) as one word.

    >>> hex_colour(255, 128, 0)
    '#ff8000'
    """
    return "#" + "".join(f"{min(255, max(0, part)):02x}" for part in rgb)


def _attribute_table(table: ElementTree.Element) -> Sidecar:
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
                colours[value] = hex_colour(*(int(float(cells[usage.index(kind)])) for kind in _COLOURS))
    except (StopIteration, ValueError, IndexError, OverflowError):
        return Sidecar()  # an attribute table about something else
    return Sidecar(names=names, colours=colours)


def _parse(path: Path) -> ElementTree.Element:
    content = path.read_bytes() if path.stat().st_size <= _MAX_BYTES else None
    # Entities could expand without bound; GDAL writes none.
    if content is None or b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise SceneError(
            f"file {path}", "is too large or declares XML entities", "remove it, or write it anew"
        )
    try:
        return ElementTree.fromstring(content)  # noqa: S314 - no entities, bounded size
    except ElementTree.ParseError as error:
        raise SceneError(f"file {path}", f"is no XML ({error})", "remove it, or write it anew") from error


def _clean(text: str | None) -> str:
    return "".join(c for c in (text or "") if c.isprintable()).strip()[:128]
