"""Tiles and single pixels of rasters, on the raster's own grid: nothing is warped, a pixel stays a pixel.

Tiles have 256 pixels a side. Level 0 holds every pixel; each further one half as many in each direction,
from the overviews of the file. Rows and columns of tiles count from the upper left corner.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rasterio.io import DatasetReader
from rasterio.windows import Window

from geodl.errors import OptionError, SceneError
from geodl.publish.qgis import RAMP
from geodl.scene.safety import GDAL_ERRORS, driver_of, gdal_reason, gdal_watched, local_file, open_raster

SIDE = 256
MOST = 4096**2  # pixels that may be decoded for one tile


@contextmanager
def opened(path: Path) -> Iterator[DatasetReader]:
    """Open a GeoTIFF for one request; handles are never shared between threads.

    Raises
    ------
    SceneError
        It is no GeoTIFF, or damaged.
    """
    name = local_file(path)
    driver = driver_of(name)
    if driver != "GTiff":
        raise SceneError(f"raster {path.name}", "is no GeoTIFF", "view products of geodl")
    with gdal_watched(), open_raster(name, driver) as dataset:
        try:
            yield dataset
        except GDAL_ERRORS as error:
            raise SceneError(
                f"raster {path.name}", gdal_reason(error, name), "make the product again"
            ) from error


@cache
def tiler() -> Callable[..., Any]:
    """Load rio-tiler; to be called before there are threads: its modules import each other in a circle.

    Raises
    ------
    OptionError
        It is not installed.
    """
    try:
        from rio_tiler.errors import NoOverviewWarning
        from rio_tiler.io import ImageReader
    except ImportError as error:
        raise OptionError("geodl view", "needs rio-tiler", "pip install 'geodl[view]'") from error
    # What would take long is not read at all.
    warnings.filterwarnings("ignore", category=NoOverviewWarning)
    return ImageReader


def levels_of(shape: tuple[int, int]) -> int:
    """Return how many levels of tiles a raster of (height, width) has.

    >>> levels_of((200, 256)), levels_of((10, 257)), levels_of((1000, 3000))
    (1, 2, 5)
    """
    return 1 + max(0, int(np.ceil(np.log2(max(shape) / SIDE))))


def read_tile(
    path: Path, level: int, column: int, row: int, *, indexes: Sequence[int] = (1,)
) -> tuple[np.ndarray, np.ndarray] | None:
    """Read a tile: values (bands, 256, 256) and where they hold data (256, 256).

    Returns None for a tile outside the raster, or one that a file without overviews would have to be read
    in large parts for.

    Raises
    ------
    OptionError
        rio-tiler is not installed.
    SceneError
        The file cannot be read.
    """
    reader_of = tiler()
    if level < 0:
        return None
    with opened(path) as dataset:
        overviews = [1, *(factor for factor in dataset.overviews(indexes[0]) if factor <= 2**level)]
        side = SIDE * 2**level
        outside = column < 0 or row < 0 or column * side >= dataset.width or row * side >= dataset.height
        if outside or level >= levels_of(dataset.shape) or (side / max(overviews)) ** 2 > MOST:
            return None
        reader = reader_of(str(path), dataset=dataset)
        box = (column * side, (row + 1) * side, (column + 1) * side, row * side)  # left, bottom, right, top
        tile = reader.part(box, indexes=list(indexes), max_size=None, height=SIDE, width=SIDE)
        return tile.array.data, np.asarray(~np.ma.getmaskarray(tile.array).any(axis=0))


def read_pixel(path: Path, column: int, row: int) -> int | None:
    """Read the first band at a pixel; None outside the raster.

    Raises
    ------
    SceneError
        The file cannot be read.
    """
    with opened(path) as dataset:
        if not (0 <= column < dataset.width and 0 <= row < dataset.height):
            return None
        return int(dataset.read(1, window=Window(column, row, 1, 1))[0, 0])


def palette(colors: dict[int, str]) -> np.ndarray:
    """Return uint8 (256, 4), red, green, blue and opacity by value; values without a colour are clear."""
    table = np.zeros((256, 4), np.uint8)
    for value, color in colors.items():
        table[value] = (*bytes.fromhex(color[1:]), 255)
    return table


def percent_palette() -> np.ndarray:
    """Colours of 0 to 100 percent, those of the QGIS style."""
    stops = np.array([list(bytes.fromhex(color[1:])) for _, color in RAMP], float)
    places = np.array([100 * share for share, _ in RAMP])
    table = np.zeros((256, 4), np.uint8)
    for band in range(3):
        table[:101, band] = np.rint(np.interp(np.arange(101), places, stops[:, band]))
    table[:101, 3] = 255
    return table


def png(pixels: np.ndarray) -> bytes:
    """Encode uint8 (height, width, 4) as PNG."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
