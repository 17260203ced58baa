"""Write scenes and truth; the same picture always gives the same bytes."""

from pathlib import Path
from xml.etree import ElementTree as Xml

import geopandas
import numpy as np
import pyogrio
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from sample_scenes.materials import CLASSES, NODATA
from sample_scenes.picture import Picture

CHANGES = {0: ("unchanged", "#e8e8e8"), 1: ("changed", "#d7263d")}

COLOURS = {"red": ColorInterp.red, "green": ColorInterp.green, "blue": ColorInterp.blue}


def write_scene(path: Path, picture: Picture) -> None:
    """Write the digital numbers as a tiled GeoTIFF with band names, scale and nodata or mask."""
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path,
            "w",
            **_profile(picture, picture.values.dtype.name),
            count=len(picture.bands),
            nodata=None if picture.internal_mask else 0,
            interleave="band",
            photometric="minisblack",
        ) as file,
    ):
        file.write(picture.values)
        file.descriptions = picture.bands
        file.colorinterp = [COLOURS.get(band, ColorInterp.undefined) for band in picture.bands]
        if picture.scale is not None:
            file.scales = [picture.scale] * file.count
            file.units = ["reflectance"] * file.count
        if picture.internal_mask:
            file.write_mask(picture.valid)
        file.update_tags(TIFFTAG_DATETIME=picture.date, TIFFTAG_SOFTWARE="geodl sample_scenes/generate.py")


def write_classes(
    path: Path, picture: Picture, values: NDArray[np.uint8], classes: dict[int, tuple[str, str]]
) -> None:
    """Write a truth raster with colour table and class names; the grid is that of the picture.

    The names stand in tags and, where GIS programs look for them, beside the raster in ``.aux.xml``.
    """
    table = {value: (*bytes.fromhex(colour[1:]), 255) for value, (_, colour) in classes.items()}
    with rasterio.open(path, "w", **_profile(picture, "uint8"), count=1, nodata=NODATA) as file:
        file.write(values, 1)
        file.write_colormap(1, table)
        file.update_tags(**{f"CLASS_{value}": name for value, (name, _) in classes.items()})
    _write_names(path, classes)


def _write_names(path: Path, classes: dict[int, tuple[str, str]]) -> None:
    """Write GDAL's sidecar with the name of every value, for which rasterio has no call."""
    root = Xml.Element("PAMDataset")
    names = Xml.SubElement(Xml.SubElement(root, "PAMRasterBand", band="1"), "CategoryNames")
    for value in range(max(classes) + 1):
        Xml.SubElement(names, "Category").text = classes[value][0] if value in classes else ""
    Xml.indent(root)
    path.with_name(f"{path.name}.aux.xml").write_bytes(Xml.tostring(root) + b"\n")


def write_landcover(path: Path, picture: Picture) -> None:
    """Write the true land cover."""
    write_classes(path, picture, picture.landcover, CLASSES)


def write_layer(path: Path, layer: geopandas.GeoDataFrame, geometry_type: str) -> None:
    """Write polygons or lines as a GeoPackage that bears no date of today."""
    path.unlink(missing_ok=True)
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2024-07-01T00:00:00.000Z"})
    try:
        pyogrio.write_dataframe(layer, path, driver="GPKG", layer=path.stem, geometry_type=geometry_type)
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def _profile(picture: Picture, dtype: str) -> dict[str, object]:
    """Return how every raster is written."""
    rows, columns = picture.valid.shape
    return {
        "driver": "GTiff",
        "dtype": dtype,
        "height": rows,
        "width": columns,
        "crs": f"EPSG:{picture.epsg}",
        "transform": picture.transform,
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        "compress": "deflate",
        "zlevel": 9,
        "predictor": 2,
    }
