"""Many scenes of one place as one lazy array, from the first date to the last."""

import glob
import os
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import xarray as xr
from odc.geo.geobox import GeoBox

from geodl.errors import OptionError, SceneError
from geodl.scene.dates import common_date, date_of, parse_date, period_begin
from geodl.scene.header import read_header
from geodl.scene.pair import Date, on_one_grid, opened, rasters_in
from geodl.scene.part import PathLike


def open_series(
    paths: PathLike | Sequence[Date],
    *,
    dates: Sequence[str | None] | None = None,
    masks: PathLike | Sequence[PathLike] | None = None,
    grid: str | GeoBox = "before",
    resampling: str = "bilinear",
    stack: bool = False,
    **reading: Any,
) -> xr.DataArray:
    """Open scenes of one place, lazily, on one grid, ordered by date.

    Extent, CRS, pixel size, bands and dtype may differ: what all dates cover and all have remains. Dates may
    be missing, and parts of them hidden: whatever is no data in a scene is no observation.

    Parameters
    ----------
    paths : path, pattern, or sequence of paths, lists of paths, folders or xarray.DataArray
        One raster per date, as a pattern (``"ndvi_*.tif"``), a folder of nothing else, or a list whose
        entries are the dates as `geodl.open_pair` takes them.
    dates : sequence of str, optional
        When the scenes were taken, in their order: ``"2023-07-14"``; by default as tags and names tell. Of
        composites, whose names tell a period, it is the first day.
    masks : path, pattern or sequence of paths, optional
        One raster per date that is 0 where the scene of that date is hidden (cloud), on the grid of its
        scene, in the order of the scenes.
    grid : str or GeoBox
        ``"before"`` or ``"after"``: the pixels of the first or of the last date; ``"finer"``: the smallest
        ones; all cut to the common area. Or a GeoBox, which stays whole.
    resampling : str
        ``"bilinear"`` or ``"nearest"``, for the dates that are moved.
    stack : bool
        The files of one day are the bands of one scene, in their order; names or tags tell the days.
    **reading
        Options of `geodl.open_scene` for all dates.

    Returns
    -------
    xarray.DataArray
        dims (time, band, y, x), as `geodl.open_pair` describes it.

    Raises
    ------
    SceneError
        A scene cannot be opened; its day is not known; two are of one day; they share no place or no band.
    OptionError
        An option has a value that cannot be used.
    """
    given = _listed(paths)
    if stack:
        given = _by_day(given, dates)
    if len(given) < 2:
        raise OptionError(
            f"{len(given)} date{'s' * (len(given) != 1)}", "a series has two or more", "name scenes of others"
        )
    hidden = [None] * len(given) if masks is None else _of_each("--masks", _listed(masks), given)
    scenes = [
        opened(one, reading if mask is None else {**reading, "mask": str(mask)})
        for one, mask in zip(given, hidden, strict=True)
    ]
    days = _days(scenes, [None] * len(given) if dates is None else _of_each("--dates", dates, given))
    order = sorted(range(len(scenes)), key=lambda number: days[number])
    _refuse_twice(scenes, days, order)
    scenes, days = [scenes[number] for number in order], [days[number] for number in order]
    series = on_one_grid(scenes, days, grid=grid, resampling=resampling)
    return series.rename(_name([str(scene.name) for scene in scenes], days))


def _name(names: Sequence[str], days: Sequence[str]) -> str:
    """Name a series after what the names of its scenes begin with, and its first and last day.

    >>> _name(["ndvi_2019-01-05", "ndvi_2019-02-06"], ["2019-01-05", "2019-02-06"])
    'ndvi_2019-01-05_2019-02-06'
    """
    words = [re.findall(r"[^_\-. ]+", name) for name in names]
    shared = 0
    while all(len(each) > shared and each[shared] == words[0][shared] for each in words):
        shared += 1
    # The year of a day that all begin with is told by the days.
    kept = [word for word in words[0][:shared] if not re.fullmatch(r"(?:19|20)\d\d", word)]
    return "_".join([*(kept or ["series"]), days[0], days[-1]])


def _listed(paths: PathLike | Sequence[Date]) -> list[Any]:
    """Return what stands for each date: the files of a pattern or of a folder, or the entries of a list."""
    if not isinstance(paths, str | os.PathLike):
        return list(paths)
    if Path(paths).is_dir():
        return list(rasters_in(Path(paths)))
    found = sorted(glob.glob(str(paths), recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
    if not found:
        raise OptionError(f"series {paths}", "matches no file", "mend the pattern")
    return list(found)


def _by_day(files: Sequence[Any], dates: Sequence[str | None] | None) -> list[list[str]]:
    """Put the files of one day together, in their order."""
    if dates is not None:
        raise OptionError(
            "--dates with --stack",
            "the files of a date are found by their own days",
            "put the files of each date into a folder of its own, and name the folders",
        )
    days: dict[str, list[str]] = {}
    for file in files:
        if not isinstance(file, str | os.PathLike) or Path(file).is_dir():
            raise OptionError(f"--stack with {file}", "it is no file of one band", "name files only")
        header = read_header(str(file))
        days.setdefault(
            _day(f"scene {file}", date_of(header.path, header.tags) or period_begin(str(file))), []
        ).append(str(file))
    return list(days.values())


def _of_each(option: str, values: Sequence[Any], given: Sequence[Any]) -> list[Any]:
    if isinstance(values, str) or len(values) != len(given):
        count = 1 if isinstance(values, str) else len(values)
        raise OptionError(
            option, f"{count} for {len(given)} dates", "give one for each, in the order of the scenes"
        )
    return list(values)


def _days(scenes: Sequence[xr.DataArray], said: Sequence[str | None]) -> list[str]:
    return [
        _day(f"scene {scene.name}", _told(scene) if date is None else parse_date(date))
        for scene, date in zip(scenes, said, strict=True)
    ]


def _told(scene: xr.DataArray) -> str | None:
    """Return what tags and names tell; of a composite the day at which its period begins."""
    begins = common_date([period_begin(path) for path in scene.attrs["source"]])
    return scene.attrs.get("date") or begins


def _day(what: str, date: str | None) -> str:
    if date is None or len(date) < len("2023-07-14"):
        why = "neither its tags nor its name tell its date" if date is None else f"{date} is no single day"
        raise SceneError(what, why, "say the days of all scenes with --dates, e.g. 2018-08-29,2018-09-14")
    return date


def _refuse_twice(scenes: Sequence[xr.DataArray], days: Sequence[str], order: Sequence[int]) -> None:
    for one, other in pairwise(order):
        if days[one] == days[other]:
            raise SceneError(
                f"scene {scenes[other].name}",
                f"is of {days[other]}, as {scenes[one].name} is",
                "keep one of them; if they are bands of one scene, say --stack, or if their names mislead, "
                "say the days with --dates",
            )
