"""Cloud-optimised GeoTIFFs, written window by window in flat memory.

A tiled GeoTIFF is written first and then copied: GDAL's COG driver writes nothing until it has the
whole image, and only the copy puts overviews and header where readers over a network want them.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import odc.geo.xr  # noqa: F401 - registers the .odc accessor
import rasterio
import rasterio.shutil
import xarray as xr
from affine import Affine
from rasterio.crs import CRS
from rasterio.windows import Window

from geodl.errors import OptionError, ProductError
from geodl.models.spec import NODATA_CLASS, ClassSpec, classes_of_attributes
from geodl.publish.files import published, writing, written_beside
from geodl.publish.pam import write_pam

BLOCK = 512
CLASSES_TAG = "GEODL_CLASSES"  # JSON of the class table; geodl.vector reads it back
ROWS = 1024  # rows per window where the array says nothing
CACHE_MEGABYTES = 64  # GDAL's default is 5 % of the machine's memory; a row of blocks of 32768 is 16

Windows = Iterable[tuple[int, int, np.ndarray]]


@dataclass(frozen=True, kw_only=True)
class RasterGrid:
    """Where the pixels of a raster lie."""

    height: int
    width: int
    crs: CRS | None = None
    transform: Affine = field(default_factory=Affine.identity)

    @classmethod
    def of(cls, data: xr.DataArray) -> "RasterGrid":
        """Return the grid of a georeferenced array with the dims (..., y, x)."""
        crs, geobox = data.odc.crs, data.odc.geobox
        height, width = data.shape[-2:]
        return cls(
            height=height,
            width=width,
            crs=None if crs is None else CRS.from_user_input(crs.proj.to_wkt()),
            transform=Affine.identity() if geobox is None else geobox.affine,
        )


@dataclass(frozen=True, kw_only=True)
class RasterLayer:
    """What a raster holds and how it is shown."""

    dtype: str
    bands: int = 1
    nodata: float | None = None
    classes: tuple[ClassSpec, ...] = ()
    """Class table: makes the colour table, the category names and the attribute table (uint8 only)."""
    overview: str = "mode"
    """How pixels are summarised: ``mode``, ``average`` or ``nearest``; nodata takes no part."""
    scale: float | None = None
    """What a value is worth: 0.01 for percent."""
    descriptions: tuple[str, ...] = ()
    """One per band."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Where the raster comes from."""

    def __post_init__(self) -> None:
        if self.overview not in ("mode", "average", "nearest"):
            raise OptionError("overview", f"{self.overview!r} is unknown", "choose mode, average or nearest")
        if self.classes and (self.dtype != "uint8" or self.bands != 1):
            raise OptionError(
                "classes", f"{self.bands} bands of {self.dtype} cannot be classes", "give one band of uint8"
            )


def write_cog(
    data: xr.DataArray,
    path: str | Path,
    *,
    classes: Iterable[ClassSpec] | None = None,
    overview: str | None = None,
    scale: float | None = None,
    tags: Mapping[str, str] | None = None,
) -> Path:
    """Write an array as a COG; the file appears complete or not at all.

    Parameters
    ----------
    data : DataArray (y, x) or (band, y, x)
        Georeferenced or not; a lazy one is computed a row of chunks at a time. Its attributes `nodata`
        (or `_FillValue`), CF flags and `scale_factor` are the defaults of what is not given here.
    path : str or Path
    classes : iterable of ClassSpec, optional
        Names and colours of the values of a uint8 raster; their table goes into ``<path>.aux.xml``.
    overview : {"mode", "average", "nearest"}, optional
        By default the average for floats and scaled integers, else the mode.
    scale : float, optional
        What a value is worth, kept as the band's GDAL scale.
    tags : mapping of str to str, optional
        Where the raster comes from.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    OptionError
        The array's dims or dtype cannot be written.
    ProductError
        The file cannot be written.
    """
    if data.ndim not in (2, 3) or data.odc.spatial_dims != data.dims[-2:]:
        raise OptionError("array", f"has the dims {data.dims}", "give (y, x) or (band, y, x)")
    classes = classes_of_attributes(data.attrs) if classes is None else tuple(classes)
    dtype = "uint8" if data.dtype == bool else str(data.dtype)
    scale = data.attrs.get("scale_factor") if scale is None else scale
    smooth = np.dtype(dtype).kind == "f" or scale is not None
    bands = data.sizes[data.dims[0]] if data.ndim == 3 else 1
    names = [str(name) for name in data["band"].values] if data.ndim == 3 and "band" in data.coords else []
    layer = RasterLayer(
        dtype=dtype,
        bands=bands,
        nodata=_nodata(data, dtype),
        classes=classes,
        overview=overview or ("average" if smooth else "mode"),
        scale=scale,
        descriptions=tuple(names) if names else (str(data.name or ""),) * bands,
        tags=tags or {},
    )
    return write_cog_windows(_windows(data), path, grid=RasterGrid.of(data), layer=layer)


def write_cog_windows(windows: Windows, path: str | Path, *, grid: RasterGrid, layer: RasterLayer) -> Path:
    """Write a COG from windows that together cover it once.

    Parameters
    ----------
    windows : iterable of (row, column, array)
        Upper left pixel and pixels, (rows, columns) or (bands, rows, columns), in any order.
    path : str or Path
    grid : RasterGrid
    layer : RasterLayer

    Raises
    ------
    ProductError
        The file cannot be written, or the windows leave pixels out.
    """
    path = Path(path)
    sidecar = path.with_name(path.name + ".aux.xml")
    with written_beside(path) as beside, rasterio.Env(GDAL_CACHEMAX=CACHE_MEGABYTES):
        scratch = beside.with_name(beside.stem + ".scratch.tif")
        _write_scratch(windows, scratch, path, grid, layer)
        # The sidecar is ours: GDAL's own would carry the name of the unfinished file. Only here, for the
        # windows may be computed in this thread from scenes that need their sidecars.
        with rasterio.Env(GDAL_PAM_ENABLED=False):
            with writing(path):
                rasterio.shutil.copy(scratch, beside, driver="COG", **_copy_options(layer))
            crs_kept = _verify(beside, path, grid)
        with writing(path):
            sidecar.unlink(missing_ok=True)  # one of an older file would describe the new one
            if layer.classes or not crs_kept:
                write_pam(sidecar, classes=layer.classes, crs=None if crs_kept else _wkt(grid.crs))
    return path


def _windows(data: xr.DataArray) -> Iterator[tuple[int, int, np.ndarray]]:
    """Whole rows of chunks: each chunk is computed once, and as many at a time as lie side by side."""
    rows = data.chunks[-2] if data.chunks is not None else ()
    if not rows:
        height = data.shape[-2]
        rows = tuple(min(ROWS, height - start) for start in range(0, height, ROWS))
    start = 0
    for count in rows:
        yield start, 0, data[..., start : start + count, :].to_numpy()
        start += count


def _nodata(data: xr.DataArray, dtype: str) -> float | None:
    for place in (data.attrs, data.encoding):
        for name in ("nodata", "_FillValue"):
            if place.get(name) is not None:
                return float(place[name])
    if np.dtype(dtype).kind == "f":
        return float("nan")
    return NODATA_CLASS if dtype == "uint8" and data.dtype != bool else None


def _write_scratch(windows: Windows, scratch: Path, path: Path, grid: RasterGrid, layer: RasterLayer) -> None:
    covered = 0
    with writing(path):
        target = rasterio.open(
            scratch,
            "w",
            driver="GTiff",
            height=grid.height,
            width=grid.width,
            count=layer.bands,
            dtype=layer.dtype,
            crs=grid.crs,
            transform=grid.transform,
            nodata=layer.nodata,
            tiled=True,
            blockxsize=BLOCK,
            blockysize=BLOCK,
            interleave="band",
            bigtiff="IF_SAFER",
            compress="deflate",
            zlevel=1,
            num_threads="ALL_CPUS",
        )
    try:
        with writing(path):
            _describe(target, layer)
        for row, column, array in windows:
            height, width = array.shape[-2:]
            stack = np.asarray(array, layer.dtype).reshape(layer.bands, height, width)
            with writing(path):
                target.write(stack, window=Window(column, row, width, height))
            covered += height * width
    finally:
        with writing(path):
            target.close()
    if covered != grid.height * grid.width:
        raise ProductError(
            str(published(path)),
            f"{covered} of {grid.height * grid.width} pixels were given",
            "run again: blocks are missing",
        )


def _describe(target, layer: RasterLayer) -> None:
    """Colours, names, scale and tags; before the first pixel, where GeoTIFF wants them."""
    if layer.classes:
        colours = {c.value: (*c.rgb, 255) for c in layer.classes}
        target.write_colormap(1, {**colours, NODATA_CLASS: (0, 0, 0, 0)})
        table = json.dumps([c.model_dump() for c in layer.classes], ensure_ascii=False)
        target.update_tags(**{CLASSES_TAG: table})
    for band, text in enumerate(layer.descriptions, start=1):
        if text:
            target.set_band_description(band, text)
    if layer.scale is not None:
        target.scales = (layer.scale,) * layer.bands
    target.update_tags(**dict(layer.tags))


def _copy_options(layer: RasterLayer) -> dict[str, str | int]:
    return {
        "COMPRESS": "DEFLATE",
        "LEVEL": 5,  # of libdeflate: half the time of 6, for a fifth more bytes at most
        "PREDICTOR": "NO" if layer.overview != "average" else "YES",
        "BLOCKSIZE": BLOCK,
        "BIGTIFF": "IF_SAFER",
        "OVERVIEWS": "IGNORE_EXISTING",
        "OVERVIEW_RESAMPLING": layer.overview.upper(),
        "OVERVIEW_COMPRESS": "DEFLATE",
        "NUM_THREADS": "ALL_CPUS",
    }


def _verify(written: Path, path: Path, grid: RasterGrid) -> bool:
    """Look at the file again: GDAL may lose blocks to a full disk at close without an error.

    Returns whether the CRS was kept: GeoTIFF's keys cannot say every CRS exactly.
    """
    with writing(path), rasterio.open(written, driver="GTiff") as source:
        size = written.stat().st_size
        for row in range(-(-grid.height // BLOCK)):
            for column in range(-(-grid.width // BLOCK)):
                offset = source.get_tag_item(f"BLOCK_OFFSET_{column}_{row}", "TIFF", bidx=1)
                length = source.get_tag_item(f"BLOCK_SIZE_{column}_{row}", "TIFF", bidx=1)
                if offset is None or int(offset) + int(length or 0) > size:
                    raise OSError(f"the block at row {row}, column {column} is missing")
        if source.transform != grid.transform:
            raise OSError(f"GeoTIFF cannot keep the transform {tuple(grid.transform)[:6]}")
        return source.crs == grid.crs


def _wkt(crs: CRS | None) -> str | None:
    return None if crs is None else crs.to_wkt(version="WKT2_2019")
