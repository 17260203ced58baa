"""A small picture of a product for catalogues: the map in its colours, or a percentage from dark to light."""

from pathlib import Path

import numpy as np
import rasterio
from PIL import Image, ImageColor
from rasterio.enums import Resampling

from geodl.publish.files import writing
from geodl.publish.qgis import RAMP

SIDE = 512  # pixels, at most


def write_thumbnail(raster: Path, path: Path) -> None:
    """Write a PNG of at most 512 x 512 pixels; pixels without data are transparent.

    Parameters
    ----------
    raster : Path
        A COG of this package: classes with a colour table, or whole percent. Its overviews are read, so
        that the memory that is taken does not grow with the raster.
    path : Path
        The picture.

    Raises
    ------
    ProductError
        The raster cannot be read or the picture not be written.
    """
    with writing(path):
        with rasterio.open(raster, driver="GTiff") as source:
            larger = max(source.shape)
            shape = tuple(max(1, round(n * min(1, SIDE / larger))) for n in source.shape)
            values = source.read(1, out_shape=shape, resampling=Resampling.nearest)
            colours = _colours(source)
        Image.fromarray(colours[values], "RGBA").save(path, optimize=True)


def _colours(source: rasterio.DatasetReader) -> np.ndarray:
    """Colour and opacity of each of the 256 values."""
    table = np.zeros((256, 4), np.uint8)
    try:
        for value, colour in source.colormap(1).items():
            table[value] = colour
    except ValueError:  # it has none
        shares = [share for share, _ in RAMP]
        ramp = np.array([ImageColor.getrgb(name) for _, name in RAMP])
        for channel in range(3):
            table[:101, channel] = np.interp(np.linspace(0, 1, 101), shares, ramp[:, channel])
        table[:101, 3] = 255
    if source.nodata is not None:
        table[int(source.nodata)] = 0
    return table
