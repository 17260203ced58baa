"""Files to a scene: headers are read and judged, pixels stay where they are until they are computed."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import dask.array as da
import numpy as np
import odc.geo.xr  # registers the `.odc` accessor
import xarray as xr

from geodl.errors import OptionError, SceneError
from geodl.scene.bands import name_bands, parse_bands, parse_sensor, raw_name, sensor_of
from geodl.scene.georeference import crs_name, grid_of
from geodl.scene.grid import Grid, corner_distance, pixel_size_metres, same_grid
from geodl.scene.header import Header, read_header
from geodl.scene.lazy import lazy_array
from geodl.scene.reader import FileBands, MaskReader, PixelReader, Target
from geodl.scene.units import Number, Units, parse_scale, units_of

PathLike = str | os.PathLike[str]

# A chunk is what one task reads when a whole scene is computed; smaller windows read only themselves.
_CHUNK_BYTES = 64 * 2**20
_CHUNK_SIDE = 2048


@dataclass(frozen=True, kw_only=True)
class Part:
    """One file of a scene, understood: which bands it gives, where, and in what units."""

    header: Header
    grid: Grid
    names: tuple[str, ...]
    indexes: tuple[int, ...]
    sensor: str | None
    units: Units
    notes: tuple[str, ...]
    use_masks: bool

    @property
    def nodata(self) -> tuple[float | None, ...]:
        """Nodata value of each band that is used."""
        if not self.use_masks or self.header.pixel_mask:
            return tuple(None for _ in self.indexes)
        return tuple(self.header.nodata[i - 1] for i in self.indexes)

    def masks(self) -> list[tuple[tuple[int, ...], str]]:
        """(band indexes, kind of `MaskReader`) of its explicit masks."""
        if not self.use_masks:
            return []
        found: list[tuple[tuple[int, ...], str]] = []
        if self.header.explicit_mask:
            found.append((self.indexes, "mask"))
        if self.header.alpha is not None and self.header.alpha not in self.indexes:
            found.append(((self.header.alpha,), "band"))
        return found


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
        `offset`, `nodata`, `mask`, `sensor`, `source`, `notes`.

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


def understand(
    paths: PathLike | Sequence[PathLike],
    *,
    bands: str | Sequence[str] | None,
    scale: str | float | Sequence[float] | None,
    mask: str,
    sensor: str | None,
    crs: str | None,
    ungeoreferenced: bool,
    allow_sparse: bool,
    lenient: bool = False,
) -> list[Part]:
    """Read the headers of all files of a scene; parameters as for `open_scene` and `grid_of`."""
    listed = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not listed:
        raise SceneError("scene", "no file is named", "name a raster")
    chosen_sensor, chosen_units, names = parse_sensor(sensor), parse_scale(scale), parse_bands(bands)
    headers = [read_header(os.fspath(path), allow_sparse=allow_sparse) for path in listed]
    keep_alpha = mask == "none" or (
        names is not None and len(names) == sum(header.count for header in headers)
    )
    parts = []
    for header in headers:
        grid, notes = grid_of(header, crs=crs, ungeoreferenced=ungeoreferenced, lenient=lenient)
        parts.append(
            _part(
                header, grid, notes, chosen_sensor, chosen_units, mask != "none", keep_alpha, len(headers) > 1
            )
        )
    return _named(parts, names)


def _part(
    header: Header, grid: Grid, notes: list[str], sensor: str | None, units: Units | None,
    use_masks: bool, keep_alpha: bool, stacked: bool,
) -> Part:  # fmt: skip
    indexes = tuple(i for i in range(1, header.count + 1) if keep_alpha or i != header.alpha)
    at = [i - 1 for i in indexes]
    descriptions = [header.names[i] for i in at]
    sensor = sensor or sensor_of(header.path, header.tags, descriptions)
    names = name_bands(header.path, descriptions, [header.colors[i] for i in at], sensor, stacked=stacked)
    units = units or units_of(
        path=header.path,
        dtype=header.dtype,
        sensor=sensor,
        tags=header.tags,
        scales=[header.scales[i] for i in at],
        offsets=[header.offsets[i] for i in at],
        unit_tags=[header.units[i] for i in at],
    )
    if header.alpha is not None and not keep_alpha:
        notes = [
            *notes,
            f"band {header.alpha} is an alpha band and used as mask; for a data band use --mask none",
        ]
    if units.note:
        notes = [*notes, units.note]
    return Part(
        header=header, grid=grid, names=tuple(names), indexes=indexes, sensor=sensor, units=units,
        notes=tuple(notes), use_masks=use_masks,
    )  # fmt: skip


def _named(parts: list[Part], names: list[str] | None) -> list[Part]:
    """The parts with the names the user gives; names must be distinct."""
    found = [name for part in parts for name in part.names]
    what = f"scene {parts[0].header.path}"
    if names is not None:
        if len(names) != len(found):
            raise SceneError(
                what,
                f"has {len(found)} bands ({', '.join(found[:20])}), but --bands names {len(names)}",
                "name each of them once",
            )
        rest = iter(names)
        parts = [replace(part, names=tuple(next(rest) for _ in part.names)) for part in parts]
        found = names
    if doubled := sorted({name for name in found if found.count(name) > 1}):
        where = [Path(part.header.path).name for part in parts if set(doubled) & set(part.names)]
        raise SceneError(
            what,
            f"band name {', '.join(doubled)} occurs twice (in {', '.join(where[:4])})",
            "name all bands with --bands",
        )
    return parts


def common_grid(parts: list[Part]) -> Grid:
    """The finest grid of the files of one acquisition.

    Raises
    ------
    SceneError
        Their dtypes or CRS differ, or they do not cover the same area to half a coarse pixel.
    """
    finest = min(parts, key=lambda part: part.grid.pixel_size[0] * part.grid.pixel_size[1])
    grid = finest.grid
    for part in parts:
        what = f"scene {part.header.path}"
        if part.header.dtype != parts[0].header.dtype:
            raise SceneError(
                what,
                f"is {part.header.dtype}, but {Path(parts[0].header.path).name} is {parts[0].header.dtype}",
                "bring all files to one type with `gdal_translate -ot`",
            )
        if part.grid.crs != grid.crs:
            named = [crs_name(g.crs) if g.crs else "pixel coordinates" for g in (part.grid, grid)]
            raise SceneError(
                what,
                f"is in {named[0]}, but {Path(finest.header.path).name} is in {named[1]}",
                "warp all files to one CRS with `gdalwarp -t_srs`",
            )
        # Distance in pixels of this file, the coarser one.
        if not same_grid(part.grid, grid) and (grid.crs is None or corner_distance(part.grid, grid) > 0.5):
            raise SceneError(
                what,
                f"does not cover the same area as {Path(finest.header.path).name}",
                "stack only files of one acquisition and extent, or cut them with `gdalwarp -te`",
            )
    return grid


def resampled_grid(parts: list[Part], grid: Grid, metres: float) -> Grid:
    """The grid of the option ``resample``: same origin and area, square pixels on the ground."""
    size = pixel_size_metres(grid)
    if size is None:
        raise SceneError(
            f"scene {parts[0].header.path}",
            "has no CRS, so its pixel size is unknown",
            "leave --resample out",
        )
    if not 0 < metres < float("inf"):
        raise OptionError(f"--resample {metres}", "is not a pixel size", "give metres, like 10")
    return grid.scaled(metres / size[0], metres / size[1])


def mask_file_of(
    mask: str, parts: list[Part], grid: Grid, *, crs: str | None, ungeoreferenced: bool
) -> FileBands | None:
    """The mask file that the option ``mask`` names, if any, to be read on `grid`.

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
    target = None
    if not same_grid(own, grid):
        assert grid.crs is not None
        target = Target(
            height=grid.height, width=grid.width, transform=tuple(grid.transform[:6]), crs=grid.crs.to_wkt()
        )
    return FileBands(
        path=header.path, driver=header.driver, indexes=indexes, bytes=header.bytes, mtime_ns=header.mtime_ns,
        target=target, nodata=header.nodata if target else (), transform=tuple(own.transform[:6]) if target else None,
    )  # fmt: skip


def assemble(parts: list[Part], grid: Grid, mask_file: FileBands | None, *, mask: str) -> xr.DataArray:
    """The lazy scene on `grid`; ``mask`` as for `open_scene`."""
    files = tuple(_file_bands(part.header, part.indexes, part.grid, grid) for part in parts)
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
        .assign_attrs(_attributes(parts, "all" if mask == "all" else "any"))
        .rename(_name(parts))
    )
    scene.encoding["reader"] = pixels  # lets `select_bands` choose before anything is read
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


def _multiple(block: int, limit: int) -> int:
    return block * max(1, limit // block)


def _attributes(parts: list[Part], mask: str) -> dict[str, object]:
    units = {part.units.units for part in parts}
    sensors = {part.sensor for part in parts}
    nodata = _merged([value for part in parts for value in part.nodata])
    return {
        "units": units.pop() if len(units) == 1 else "unknown",
        "scale": _per_band(parts, "scale"),
        "offset": _per_band(parts, "offset"),
        "nodata": nodata,
        "mask": mask,
        "sensor": sensors.pop() if len(sensors) == 1 else None,
        "source": tuple(part.header.path for part in parts),
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
    common = os.path.commonprefix(stems)
    if len(stems) > 1:
        common = re.sub(r"[_\-. ]?(B|band|SR)?[_\-. 0]*$", "", common, flags=re.IGNORECASE)
    return raw_name(common) or raw_name(stems[0]) or "scene"
