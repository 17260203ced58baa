"""Bands of several files, and masks that QGIS would not see, as one image: a GDAL virtual raster.

It holds paths and no pixels.

Format: https://gdal.org/drivers/raster/vrt.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as Xml

from geodl.publish.cog import RasterGrid
from geodl.publish.files import writing
from geodl.publish.project.words import legal


@dataclass(frozen=True, kw_only=True)
class StackBand:
    """One band of a file."""

    path: str
    """As seen from the folder of the virtual raster, or absolute."""
    band: int
    """As GDAL counts, from 1."""
    dtype: str
    """As numpy names it."""
    size: tuple[int, int]
    """Rows and columns of the file, which covers what the whole stack covers."""
    nodata: float | None = None
    name: str = ""


_TYPES = {
    "uint8": "Byte",
    "int8": "Int8",
    "uint16": "UInt16",
    "int16": "Int16",
    "uint32": "UInt32",
    "int32": "Int32",
    "uint64": "UInt64",
    "int64": "Int64",
    "float32": "Float32",
    "float64": "Float64",
}


def write_stack(bands: Sequence[StackBand], path: Path, *, grid: RasterGrid) -> Path:
    """Write a virtual raster of `bands` on `grid`; coarser files are resampled bilinearly.

    The mask of the first file, whatever makes it, becomes one more band: the opacity.

    Raises
    ------
    ProductError
        The file cannot be written.
    """
    root = Xml.Element("VRTDataset", rasterXSize=str(grid.width), rasterYSize=str(grid.height))
    if grid.crs is not None:
        Xml.SubElement(root, "SRS").text = grid.crs.to_wkt()
    numbers = grid.transform.to_gdal()
    Xml.SubElement(root, "GeoTransform").text = ", ".join(repr(float(number)) for number in numbers)
    for number, one in enumerate(bands, start=1):
        band = Xml.SubElement(root, "VRTRasterBand", dataType=_TYPES[one.dtype], band=str(number))
        if one.name:
            Xml.SubElement(band, "Description").text = legal(one.name)
        if one.nodata is not None:
            Xml.SubElement(band, "NoDataValue").text = repr(float(one.nodata))
        source = _add_source(band, one, grid, band=str(one.band), resampling="bilinear")
        if one.nodata is not None:
            Xml.SubElement(source, "NODATA").text = repr(float(one.nodata))
    opacity = Xml.SubElement(root, "VRTRasterBand", dataType="Byte", band=str(len(bands) + 1))
    Xml.SubElement(opacity, "ColorInterp").text = "Alpha"
    _add_source(opacity, bands[0], grid, band=f"mask,{bands[0].band}", resampling="nearest")
    Xml.indent(root)
    with writing(path):
        path.write_bytes(Xml.tostring(root, encoding="utf-8") + b"\n")
    return path


def _add_source(
    parent: Xml.Element, one: StackBand, grid: RasterGrid, *, band: str, resampling: str
) -> Xml.Element:
    source = Xml.SubElement(parent, "ComplexSource", resampling=resampling)
    relative = "1" if one.path.startswith(".") else "0"
    Xml.SubElement(source, "SourceFilename", relativeToVRT=relative).text = legal(one.path)
    Xml.SubElement(source, "SourceBand").text = band
    for tag, (height, width) in (("SrcRect", one.size), ("DstRect", (grid.height, grid.width))):
        Xml.SubElement(source, tag, xOff="0", yOff="0", xSize=str(width), ySize=str(height))
    return source
