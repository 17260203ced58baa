"""Two scenes of one place as one lazy array."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from dask.base import tokenize
from odc.geo.geobox import GeoBox

from geodl.errors import OptionError, SceneError
from geodl.scene.adopt import PER_BAND, as_scene, select_bands
from geodl.scene.dates import earlier, parse_date
from geodl.scene.grid import Grid
from geodl.scene.open import open_scene
from geodl.scene.pair.common import Values, grid_of_scene, shared_bands, shared_grid, shared_values
from geodl.scene.pair.date import DateReader
from geodl.scene.pair.place import Across, AlongAxes, place_between
from geodl.scene.pair.stack import labels_of, series_of
from geodl.scene.part import PathLike

RESAMPLINGS = ("bilinear", "nearest")
SUFFIXES = (".tif", ".tiff", ".jp2", ".png", ".jpg", ".jpeg")

Date = PathLike | Sequence[PathLike] | xr.DataArray


def open_pair(
    before: Date,
    after: Date,
    *,
    grid: str | GeoBox = "before",
    resampling: str = "bilinear",
    dates: tuple[str | None, str | None] | None = None,
    after_reading: Mapping[str, Any] | None = None,
    **reading: Any,
) -> xr.DataArray:
    """Open two dates of one place, lazily, on one grid.

    Extent, CRS, pixel size, bands and dtype may differ: what both dates cover and both have remains. Pixels
    are read and resampled when they are computed, each from the pixels around it alone.

    Parameters
    ----------
    before, after : path, list of paths, folder, or xarray.DataArray
        The earlier and the later scene: a raster, the files of one acquisition, the folder that holds
        nothing but them, or a scene from `open_scene`.
    grid : str or GeoBox
        ``"before"`` or ``"after"``: the pixels of that date; ``"finer"``: those of the date whose pixels are
        smaller; all cut to the common area. Or a GeoBox, which stays whole.
    resampling : str
        ``"bilinear"`` (averages where pixels become larger) or ``"nearest"``, for the date that is moved.
        Pixels that lie on pixels are never changed.
    dates : (str, str), optional
        When the scenes were taken: ``("2023-07-14", "2024")``; by default as tags and names tell.
    after_reading : mapping, optional
        Options of `open_scene` that differ for `after`.
    **reading
        Options of `open_scene` for both dates.

    Returns
    -------
    xarray.DataArray
        dims (time, band, y, x); `time` are dates where both are known, else 0 and 1. Where all dates count
        alike values stay as they are, else they are physical ones as float32, NaN without data. The
        coordinate `valid` (time, y, x) is there where no value of the pixels says it. Attributes as those of
        `open_scene`, and `dates`: for each its label, date, name, files and how it is read.

    Raises
    ------
    SceneError
        A date cannot be opened; both are the same, in the wrong order, or share no place or no band.
    OptionError
        An option has a value that cannot be used.
    """
    if resampling not in RESAMPLINGS:
        raise OptionError(f"--resampling {resampling}", "unknown", f"use {' or '.join(RESAMPLINGS)}")
    scenes = [_opened(before, reading), _opened(after, {**reading, **(after_reading or {})})]
    _refuse_same(before, after, scenes)
    known = _known_dates(scenes, dates)
    names = shared_bands(scenes)
    scenes = [select_bands(scene, names) for scene in scenes]
    # Whatever moves or normalises the second date replaces it here: what follows sees arrays, not files.
    where, values = shared_grid(scenes, grid), shared_values(scenes)
    readers = [_reader(scene, where, values, resampling) for scene in scenes]
    both = all(known)
    series = series_of(
        readers,
        where,
        bands=names,
        attributes=_attributes(scenes, values, known, resampling),
        times=np.array(known, "datetime64[ns]") if both else np.arange(len(scenes)),
    )
    series.encoding["block_rows"] = _block_rows(scenes, readers, where)
    return series.rename(pair_name(str(scenes[0].name), str(scenes[1].name)))


def rasters_in(folder: Path) -> list[str]:
    """Return the rasters of a folder by name: the files of one date.

    Raises
    ------
    SceneError
        There is none.
    """
    found = sorted(str(path) for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise SceneError(
            f"folder {folder}", f"holds no raster ({', '.join(SUFFIXES)})", "name the files of the date"
        )
    return found


def pair_name(before: str, after: str) -> str:
    """Join two names; words that both begin with stand once.

    >>> pair_name("s2_valley_2023", "s2_valley_2024"), pair_name("a", "b"), pair_name("imgs", "imgs")
    ('s2_valley_2023_2024', 'a_b', 'imgs_imgs')
    """
    one, other = re.split(r"[_\-. ]+", before), re.split(r"[_\-. ]+", after)
    shared = 0
    while shared < min(len(one), len(other)) - 1 and one[shared] == other[shared]:
        shared += 1
    return "_".join([before, *other[shared:]])


def _opened(date: Date, reading: Mapping[str, Any]) -> xr.DataArray:
    if isinstance(date, xr.DataArray):
        return as_scene(date)
    if isinstance(date, str | os.PathLike) and Path(date).is_dir():
        return open_scene(rasters_in(Path(date)), **reading)
    return open_scene(date, **reading)


def _refuse_same(before: Date, after: Date, scenes: Sequence[xr.DataArray]) -> None:
    files = [set(scene.attrs["source"]) for scene in scenes]
    if shared := sorted(files[0] & files[1]):
        raise SceneError(
            f"scene {shared[0]}", "is given as both dates", "name the files of two different dates"
        )
    if before is after:
        raise SceneError(f"scene {scenes[0].name}", "is given as both dates", "give two different scenes")


def _known_dates(
    scenes: Sequence[xr.DataArray], given: tuple[str | None, str | None] | None
) -> list[str | None]:
    known = [scene.attrs.get("date") for scene in scenes]
    if given is not None:
        if isinstance(given, str) or len(given) != len(scenes):
            raise OptionError(f"--dates {given}", "is not two dates", "write them like 2023-07-14,2024")
        known = [
            found if said is None else parse_date(said) for said, found in zip(given, known, strict=True)
        ]
    for (one, first), (other, second) in zip(
        zip(scenes, known, strict=True), zip(scenes[1:], known[1:], strict=True), strict=False
    ):
        if first is not None and second is not None and earlier(second, first):
            raise SceneError(
                f"scene {other.name}",
                f"is of {second}, earlier than {one.name} of {first}",
                "name the earlier scene first; if a file name misleads, say the dates with --dates",
            )
    return known


def _reader(scene: xr.DataArray, grid: Grid, values: Values, resampling: str) -> DateReader:
    decisive = [scene.attrs.get(key) for key in (*PER_BAND, "mask")]
    masks = [coord.data for name, coord in scene.coords.items() if str(name).startswith("valid")]
    # Coordinates are as long as the scene and no window needs them.
    bare = scene.drop_vars([name for name in ("y", "x") if name in scene.coords])
    return DateReader(
        source=bare,
        token=tokenize(scene.data, masks, decisive),
        place=place_between(grid_of_scene(scene), grid),
        height=grid.height,
        width=grid.width,
        dtype=values.dtype,
        lifted=values.lifted,
        fill=values.fill,
        resampling=resampling,
    )


def _attributes(
    scenes: Sequence[xr.DataArray], values: Values, dates: Sequence[str | None], resampling: str
) -> dict[str, Any]:
    first, units = scenes[0].attrs, {scene.attrs["units"] for scene in scenes}
    sensors = {scene.attrs.get("sensor") for scene in scenes}
    return {
        "units": units.pop() if len(units) == 1 else "unknown",
        "scale": 1.0 if values.lifted else first["scale"],
        "offset": 0.0 if values.lifted else first["offset"],
        "nodata": values.fill,
        "mask": "any",
        "sensor": sensors.pop() if len(sensors) == 1 else None,
        "source": tuple(path for scene in scenes for path in scene.attrs["source"]),
        "notes": tuple(dict.fromkeys(note for scene in scenes for note in scene.attrs.get("notes", ()))),
        "resampling": resampling,
        "dates": tuple(
            {
                "label": label,
                "date": date,
                "name": str(scene.name),
                "source": tuple(scene.attrs["source"]),
                **_reading(scene),
            }
            for label, date, scene in zip(labels_of(len(scenes)), dates, scenes, strict=True)
        ),
    }


def _reading(scene: xr.DataArray) -> dict[str, Any]:
    grid = grid_of_scene(scene)
    return {
        "shape": (grid.height, grid.width),
        "transform": tuple(grid.transform)[:6],
        "crs": None if grid.crs is None else grid.crs.to_wkt(),
        **{key: scene.attrs.get(key) for key in ("units", *PER_BAND, "mask")},
    }


def _block_rows(scenes: Sequence[xr.DataArray], readers: Sequence[DateReader], grid: Grid) -> int:
    """Rows of the grid that are decoded together in the files of the dates."""
    rows = [1.0]
    for scene, reader in zip(scenes, readers, strict=True):
        step = _step_down(reader.place)
        rows.append((scene.encoding.get("block_rows") or 1) / step)
    return max(1, min(round(max(rows)), grid.height))


def _step_down(place: AlongAxes | Across) -> float:
    return place.rows.step if isinstance(place, AlongAxes) else place.grown[0]
