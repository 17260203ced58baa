"""Files to a scene: headers are read and judged, pixels stay where they are until they are computed."""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import dask.array as da
import numpy as np
import odc.geo.xr  # registers the `.odc` accessor
import xarray as xr

from geodl.errors import SceneError
from geodl.scene.bands import raw_name
from geodl.scene.dates import common_date, date_of
from geodl.scene.georeference import grid_of
from geodl.scene.grid import Grid, axes_between, same_grid
from geodl.scene.header import Header, read_header
from geodl.scene.lazy import lazy_array
from geodl.scene.part import Part, PathLike, common_grid, resampled_grid, understand
from geodl.scene.reader import FileBands, MaskReader, PixelReader
from geodl.scene.units import Number

# A chunk is what one task reads when a whole scene is computed; smaller windows read only themselves.
_CHUNK_BYTES = 64 * 2**20
_CHUNK_SIDE = 2048


def open_scene(
    paths: PathLike | Sequence[PathLike],
    *,
    bands: str | Sequence[str] | None = None,
    scale: str | float | Sequence[float] | None = None,
    mask: str = "any",
    sensor: str | None = None,
    crs: str | None = None,
    ungeoreferenced: bool = False,
    resample: float | None = None,
    allow_sparse: bool = False,
) -> xr.DataArray:
    """Open a raster, or the files of one acquisition, as a lazy scene.

    Parameters
    ----------
    paths : path or list of paths
        GeoTIFF, JPEG 2000, PNG or JPEG. Bands of several files are stacked in their order; coarser
        files (Sentinel-2 at 20 and 60 m) are resampled bilinearly onto the finest grid.
    bands : str or list of str, optional
        Names of all bands in the order of the files: ``"blue,green,red,nir"``.
    scale : number, (scale, offset) or str, optional
        Makes values reflectances: ``0.0001``, ``"0.0001,-0.1"``; ``"none"`` for digital numbers.
    mask : str
        ``"any"`` or ``"all"``: a pixel is invalid where any or where all bands are nodata;
        ``"none"``: only NaN is invalid, an alpha band is an ordinary one; or a raster on the same
        grid that is not 0 where pixels are valid.
    sensor : str, optional
        Row of `geodl.scene.bands.SENSORS`, where files and names do not tell.
    crs : str, optional
        CRS that replaces the one of the files: ``"EPSG:32633"``.
    ungeoreferenced : bool
        Use pixel coordinates whatever the files say.
    resample : float, optional
        Read the whole scene, bilinearly, at this pixel size in metres.
    allow_sparse : bool
        Accept files with missing blocks; they read as nodata or 0.

    Returns
    -------
    xarray.DataArray
        dims (band, y, x), the dtype of the files, on an odc-geo GeoBox (``scene.odc.geobox``), with
        the coordinate `valid` (y, x) where the files hold masks, and the attributes `units`, `scale`,
        `offset`, `nodata`, `mask`, `sensor`, `date`, `source`, `notes`.

    Raises
    ------
    SceneError
        A file is damaged, not a raster, does not say where it lies or does not fit the others.
    OptionError
        An option has a value that cannot be used.
    """
    parts = understand(
        paths, bands=bands, scale=scale, mask=mask, sensor=sensor, crs=crs, ungeoreferenced=ungeoreferenced,
        allow_sparse=allow_sparse,
    )  # fmt: skip
    grid = common_grid(parts)
    if resample is not None:
        grid = resampled_grid(parts, grid, resample)
    mask_file = mask_file_of(mask, parts, grid, crs=crs, ungeoreferenced=ungeoreferenced)
    return assemble(parts, grid, mask_file, mask=mask)


def mask_file_of(
    mask: str, parts: list[Part], grid: Grid, *, crs: str | None, ungeoreferenced: bool
) -> FileBands | None:
    """Find the mask file that the option ``mask`` names, if any, to be read on `grid`.

    It must lie on the grid of one file of the scene; without georeferencing, have its size.
    """
    if mask in ("any", "all", "none"):
        return None
    header = read_header(mask)
    for part in parts:
        if (header.height, header.width) != (part.grid.height, part.grid.width):
            continue
        bare = header.crs is None and not header.has_transform
        if bare or ungeoreferenced or part.grid.crs is None:
            return _file_bands(header, (1,), part.grid, grid)
        if same_grid(grid_of(header, crs=crs, ungeoreferenced=False)[0], part.grid):
            return _file_bands(header, (1,), part.grid, grid)
    raise SceneError(
        f"mask {header.path}", "is not on the grid of the scene", "warp it to the grid of the scene"
    )


def _file_bands(header: Header, indexes: tuple[int, ...], own: Grid, grid: Grid) -> FileBands:
    file = FileBands(
        path=header.path,
        driver=header.driver,
        indexes=indexes,
        bytes=header.bytes,
        mtime_ns=header.mtime_ns,
    )
    if same_grid(own, grid):
        return file
    return replace(file, axes=axes_between(own, grid))


def assemble(parts: list[Part], grid: Grid, mask_file: FileBands | None, *, mask: str) -> xr.DataArray:
    """Build the lazy scene on `grid`; ``mask`` as for `open_scene`."""
    files = tuple(
        replace(
            _file_bands(part.header, part.indexes, part.grid, grid),
            masks=tuple(part.masks()),
            nodata=part.nodata,
        )
        for part in parts
    )
    masks = [
        (replace(file, indexes=indexes), kind)
        for file, part in zip(files, parts, strict=True)
        for indexes, kind in part.masks()
    ]
    if mask_file is not None:
        masks.append((mask_file, "band"))
    pixels = PixelReader(files=files, height=grid.height, width=grid.width, dtype=parts[0].header.dtype)
    chunks = chunks_of(parts, grid)
    scene = _wrapped(lazy_array(pixels, chunks), grid)
    coords: dict[str, object] = {"band": [name for part in parts for name in part.names]}
    if masks:
        explicit = MaskReader(masks=tuple(masks), height=grid.height, width=grid.width)
        coords["valid"] = (("y", "x"), lazy_array(explicit, chunks[1:]))
    scene = (
        scene.assign_coords(coords)
        .assign_attrs(_attributes(parts, mask_file, "all" if mask == "all" else "any"))
        .rename(_name(parts))
    )
    scene.encoding["reader"] = pixels  # lets `select_bands` choose before anything is read
    scene.encoding["block_rows"] = _block_rows(parts, grid)
    return scene


def _wrapped(data: da.Array, grid: Grid) -> xr.DataArray:
    if grid.crs is None:
        coords = {"y": np.arange(grid.height) + 0.5, "x": np.arange(grid.width) + 0.5}
        return xr.DataArray(data, dims=("band", "y", "x"), coords=coords)
    wrapped = odc.geo.xr.wrap_xr(data, grid.geobox, axis=1)
    return wrapped.rename(dict(zip(wrapped.dims, ("band", "y", "x"), strict=True)))


def chunks_of(parts: list[Part], grid: Grid) -> tuple[tuple[int, ...], int, int]:
    """Chunk sizes (bands, rows, columns), whole blocks of the files, about `_CHUNK_BYTES`."""
    bands: list[int] = []
    for part in parts:
        together = part.header.interleave == "PIXEL"
        bands += [len(part.indexes)] if together else [1] * len(part.indexes)
    rows, columns = max((part.header.block for part in parts), key=lambda block: block[0] * block[1])
    sequential = parts[0].header.driver in ("PNG", "JPEG")  # rows below cost all rows above
    itemsize = max(bands) * parts[0].header.dtype.itemsize
    width = grid.width if sequential or columns >= grid.width else _multiple(columns, _CHUNK_SIDE)
    height = max(1, _CHUNK_BYTES // (min(width, grid.width) * itemsize))
    if not sequential:
        height = _multiple(rows, min(height, _CHUNK_SIDE))
    return tuple(bands), min(height, grid.height), min(width, grid.width)


def _block_rows(parts: list[Part], grid: Grid) -> int:
    """Rows of the scene that are decoded together: of a row of tiles, or of a strip, in its files."""
    rows = max(part.header.block[0] * grid.height / part.grid.height for part in parts)
    return max(1, min(round(rows), grid.height))


def _multiple(block: int, limit: int) -> int:
    return block * max(1, limit // block)


def _attributes(parts: list[Part], mask_file: FileBands | None, mask: str) -> dict[str, object]:
    units = {part.units.units for part in parts}
    sensors = {part.sensor for part in parts}
    nodata = _merged([part.nodata[i - 1] for part in parts for i in part.indexes])
    return {
        "units": units.pop() if len(units) == 1 else "unknown",
        "scale": _per_band(parts, "scale"),
        "offset": _per_band(parts, "offset"),
        "nodata": nodata,
        "mask": mask,
        "sensor": sensors.pop() if len(sensors) == 1 else None,
        "date": common_date([date_of(part.header.path, part.header.tags) for part in parts]),
        # A mask decides on the result as the pixels do: whoever identifies the input must know it.
        "source": tuple(file.path for file in (*(part.header for part in parts), mask_file) if file),
        "notes": tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    }


def _per_band(parts: list[Part], key: str) -> Number:
    values: list[float] = []
    for part in parts:
        value: Number = getattr(part.units, key)
        values += value if isinstance(value, tuple) else [value] * len(part.indexes)
    return values[0] if len(set(values)) == 1 else tuple(values)


def _merged(values: list[float | None]) -> float | tuple[float | None, ...] | None:
    # NaN differs from itself: compared by its text.
    return values[0] if len({repr(value) for value in values}) == 1 else tuple(values)


def _name(parts: list[Part]) -> str:
    """File stem, or what the stems of several files begin with."""
    stems = [Path(part.header.path).stem for part in parts]
    common = os.path.commonprefix(stems)  # noqa: RUF071 - of names, character by character
    if len(stems) > 1:
        common = re.sub(r"[_\-. ]?(B|band|SR)?[_\-. 0]*$", "", common, flags=re.IGNORECASE)
    return raw_name(common) or raw_name(stems[0]) or "scene"
