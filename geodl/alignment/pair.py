"""A pair of dates made comparable in one step: what `--coregister` and `--normalise` do."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from geodl.alignment.normalisation import METHODS
from geodl.alignment.normalisation import normalise as fit_values
from geodl.alignment.registration import MODES, register
from geodl.alignment.window import token_of
from geodl.errors import OptionError, SceneError
from geodl.scene.lazy import array_name, lazy_array
from geodl.scene.pair.common import grid_of_scene
from geodl.scene.pair.place import place_between
from geodl.scene.pair.reader import DateReader, SeriesReader, StackReader, ValidReader
from geodl.scene.pair.stack import series_of
from geodl.tiles import Window

OFF = "off"
QUALITY = "registration"
_CHUNK = 1024
_GLANCE = 6
"""Blocks along a side: enough to agree or not."""
_AGREED = 0.5
"""Share of them that must be used, and robust standard deviation around their shift in pixels."""
_MATTERS = 0.5
"""Pixels from which edges seem to change."""


def align_pair(pair: xr.DataArray, *, coregister: str = OFF, normalise: str = OFF) -> xr.DataArray:
    """Put the later date of a pair into its place, and its values onto those of the earlier one.

    The shift is measured and the values are compared now, which reads the pair; the result is lazy again.

    Parameters
    ----------
    pair : xarray.DataArray
        From `geodl.open_pair`: dims (time, band, y, x), lazy.
    coregister : str
        ``"off"``, ``"shift"`` or ``"field"``, see `register`.
    normalise : str
        ``"off"``, ``"histogram"``, ``"pif"`` or ``"irmad"``, see
        `geodl.alignment.normalise`; of the dates as they lie then.

    Returns
    -------
    xarray.DataArray
        As `pair`. What was found is told in the attribute `dates`, under ``"coregister"`` and ``"normalise"``
        of the later one; the coordinate `registration` (y, x) says how well the dates lie on each other, 0
        to 1, where they were registered.

    Raises
    ------
    OptionError
        An option is unknown.
    SceneError
        `pair` is not what `open_pair` returned; there is no shift that the dates agree on, or too little to
        compare.
    """
    for option, value, known in (("coregister", coregister, MODES), ("normalise", normalise, METHODS)):
        if value not in (OFF, *known):
            raise OptionError(f"--{option} {value}", "unknown", f"use {', '.join((OFF, *known))}")
    if coregister == OFF and normalise == OFF:
        return pair
    _refuse_other(pair)
    before, after = (_scene(pair, number) for number in range(2))
    found: dict[str, Any] = {}
    quality = None
    if coregister != OFF:
        registration = register(before, after, coregister)
        after, quality = registration.apply(after), registration.quality
        found["coregister"] = registration.report()
    if normalise != OFF:
        values = fit_values(before, after, normalise)
        after = values.apply(after)
        found["normalise"] = values.report()
    aligned = _with_after(pair, after, found)
    return aligned if quality is None else aligned.assign_coords({QUALITY: quality.variable})


def lie_beside(pair: xr.DataArray) -> tuple[float, float] | None:
    """Look quickly how far the later date of a pair lies off the earlier one, and whether that matters.

    Parameters
    ----------
    pair : xarray.DataArray
        From `geodl.open_pair`: dims (time, band, y, x), lazy. Some blocks are read, however large it is.

    Returns
    -------
    tuple of float or None
        Pixels down and to the right; None where it is less than half a pixel, or blocks do not agree.

    Raises
    ------
    SceneError
        `pair` is not what `open_pair` returned.
    """
    _refuse_other(pair)
    before, after = (_scene(pair, number) for number in range(2))
    try:
        found = register(before, after, most=_GLANCE)
    except SceneError:  # too small, or too different for anybody to tell
        return None
    agreed = found.spread <= _AGREED and found.used.mean() >= _AGREED
    return found.shift if agreed and math.hypot(*found.shift) >= _MATTERS else None


def quality_percent(scene: xr.DataArray, window: Window) -> np.ndarray:
    """Read how well registered dates lie on each other in a window: whole percent, uint8 (rows, columns)."""
    quality = scene.coords[QUALITY].variable[window.slices]
    return np.rint(100 * quality.compute(scheduler="synchronous").values).astype(np.uint8)


def _refuse_other(pair: xr.DataArray) -> None:
    reader = pair.encoding.get("reader")
    # Whatever was selected or computed since has another array, or none.
    dates = reader.dates if isinstance(reader, SeriesReader) and pair.chunks is not None else ()
    if reader is None or len(dates) != 2 or pair.data.name != array_name(reader):
        raise SceneError(
            f"scene {pair.name}",
            "is not a lazy pair of dates",
            "give what geodl.open_pair returned, unchanged",
        )


def _scene(pair: xr.DataArray, number: int) -> xr.DataArray:
    """Return one date as a scene whose bands can be chosen before anything is read."""
    date: DateReader = pair.encoding["reader"].dates[number]
    reader = StackReader(dates=(date,))
    chunks = tuple(min(_CHUNK, length) for length in reader.shape[1:])
    coords = {name: c for name, c in pair.coords.items() if name in ("band", "y", "x", "spatial_ref")}
    told = pair.attrs["dates"][number]
    scene = xr.DataArray(
        lazy_array(reader, (reader.together, *chunks)),
        dims=("band", "y", "x"),
        coords=coords,
        attrs={**pair.attrs, "dates": (told,), "source": told["source"]},
        name=told["name"],
    )
    if date.fill is None:
        seen = lazy_array(ValidReader(dates=(date,)), (1, *chunks))
        scene = scene.assign_coords(valid=(("y", "x"), seen[0]))
    kept = ("block_rows", "grid_mapping")
    scene.encoding = {key: value for key, value in pair.encoding.items() if key in kept}
    scene.encoding["reader"] = reader
    return scene


def _with_after(pair: xr.DataArray, after: xr.DataArray, found: dict[str, Any]) -> xr.DataArray:
    grid = grid_of_scene(after)
    earlier, later = pair.encoding["reader"].dates
    # Coordinates are as long as the scene and no window needs them.
    bare = after.drop_vars([name for name in ("y", "x") if name in after.coords])
    moved = replace(
        later,
        source=bare,
        token=token_of(after),
        place=place_between(grid, grid),
        lifted=False,
        resampling="nearest",
    )
    told = (pair.attrs["dates"][0], {**pair.attrs["dates"][1], **found})
    times = pair.coords["time"].values
    series = series_of(
        (earlier, moved),
        grid,
        bands=[str(name) for name in np.asarray(pair.coords["band"].values)],
        attributes={**pair.attrs, "dates": told},
        times=times,
    )
    series.encoding["block_rows"] = pair.encoding.get("block_rows")
    return series.rename(pair.name)
