"""The files of a scene, one by one understood and then compared: names, units, sensor and grid."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from geodl.errors import OptionError, SceneError
from geodl.scene.bands import name_bands, parse_bands, parse_sensor, sensor_of
from geodl.scene.georeference import crs_name, grid_of
from geodl.scene.grid import Grid, corner_distance, pixel_size_metres, same_grid
from geodl.scene.header import Header, read_header
from geodl.scene.units import Units, parse_scale, units_of

PathLike = str | os.PathLike[str]


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
        """Nodata value of each band of the file."""
        if not self.use_masks or self.header.pixel_mask:
            return (None,) * self.header.count
        return self.header.nodata

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
    """Give the parts the names of the user; names must be distinct."""
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
    """Find the finest grid of the files of one acquisition.

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
    """Make the grid of the option ``resample``: same origin and area, square pixels on the ground."""
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
