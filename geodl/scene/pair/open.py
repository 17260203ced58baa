"""Two scenes of one place as one lazy array."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr
from odc.geo.geobox import GeoBox

from geodl.errors import OptionError, SceneError
from geodl.scene.dates import earlier, parse_date
from geodl.scene.pair.together import Date, on_one_grid, opened


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
    scenes = [opened(before, reading), opened(after, {**reading, **(after_reading or {})})]
    _refuse_same(before, after, scenes)
    known = _known_dates(scenes, dates)
    series = on_one_grid(scenes, known, grid=grid, resampling=resampling)
    return series.rename(pair_name(str(scenes[0].name), str(scenes[1].name)))


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
