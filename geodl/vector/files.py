"""Raster files as rows of one band: GeoTIFFs of any origin."""

from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError
from rasterio.windows import Window

from geodl.errors import OptionError, SceneError


def open_raster(path: Path) -> rasterio.DatasetReader:
    """Open a GeoTIFF.

    Raises
    ------
    SceneError
        It is no file, or none that GDAL reads as GeoTIFF.
    """
    if not path.is_file():  # also keeps /vsi paths and addresses away from GDAL
        raise SceneError(str(path), "is not a file", "give the path of a GeoTIFF")
    try:
        return rasterio.open(path, driver="GTiff")  # no VRT or other driver that opens further files
    except RasterioError as error:
        raise SceneError(str(path), f"cannot be opened: {error}", "give the path of a GeoTIFF") from error


def band_number(dataset: rasterio.DatasetReader, band: int | str | None) -> int:
    """Return the number of a band, from 1, that is named by its number or its description.

    Raises
    ------
    OptionError
        There is no such band.
    SceneError
        `band` is None and there are several.
    """
    names = [name or "" for name in dataset.descriptions]
    shown = ", ".join(f"{i} ({name})" if name else str(i) for i, name in enumerate(names, start=1))
    if band is None:
        if dataset.count == 1:
            return 1
        raise SceneError(str(dataset.name), f"has {dataset.count} bands", f"choose one with --band: {shown}")
    if str(band) in names:
        return names.index(str(band)) + 1
    if str(band).isdecimal() and 1 <= int(band) <= dataset.count:
        return int(band)
    raise OptionError(f"--band {band}", f"{dataset.name} has no such band", f"choose one of {shown}")


def is_masked(dataset: rasterio.DatasetReader, band: int) -> bool:
    """Whether the file marks pixels as missing by a mask or an alpha band."""
    return MaskFlags.per_dataset in dataset.mask_flag_enums[band - 1]


def read_rows(path: Path, band: int, start: int, stop: int, *, mask: bool = False) -> np.ndarray:
    """Read rows of a band, or of its mask (0 missing): shape (stop - start, width).

    Raises
    ------
    SceneError
        The file is damaged.
    """
    # Opened for each read: a handle is not safe to share between threads.
    with open_raster(path) as dataset:
        window = Window(0, start, dataset.width, stop - start)
        try:
            return dataset.read_masks(band, window=window) if mask else dataset.read(band, window=window)
        except RasterioError as error:
            raise SceneError(
                str(path), f"cannot be read: {error}", "the file is damaged: make it again"
            ) from error
