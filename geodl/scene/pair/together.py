"""Scenes of several dates as one lazy array on one grid."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from dask.base import tokenize
from odc.geo.geobox import GeoBox

from geodl.errors import OptionError, SceneError
from geodl.scene.adopt import PER_BAND, as_scene, select_bands
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


def opened(date: Date, reading: Mapping[str, Any]) -> xr.DataArray:
    """Open one date: a raster, the files of its bands, the folder of nothing but them, or a scene."""
    if isinstance(date, xr.DataArray):
        return as_scene(date)
    if isinstance(date, str | os.PathLike) and Path(date).is_dir():
        return open_scene(rasters_in(Path(date)), **reading)
    return open_scene(date, **reading)


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


def on_one_grid(
    scenes: Sequence[xr.DataArray], dates: Sequence[str | None], *, grid: str | GeoBox, resampling: str
) -> xr.DataArray:
    """Bring scenes to one grid, to the bands that all have and to one kind of values.

    Parameters
    ----------
    scenes : sequence of xarray.DataArray
        Dims (band, y, x), from the first date to the last.
    dates : sequence of str or None
        When they were taken, as far as that is known.
    grid : str or GeoBox
        ``"before"``, ``"after"`` (the first, the last), ``"finer"``, or a GeoBox.
    resampling : str
        One of `RESAMPLINGS`.

    Returns
    -------
    xarray.DataArray
        dims (time, band, y, x), as `geodl.open_pair` describes it; without a name.

    Raises
    ------
    SceneError
        The scenes share no place or no band.
    OptionError
        An option has a value that cannot be used.
    """
    if resampling not in RESAMPLINGS:
        raise OptionError(f"--resampling {resampling}", "unknown", f"use {' or '.join(RESAMPLINGS)}")
    names = shared_bands(scenes)
    scenes = [select_bands(scene, names) for scene in scenes]
    # Whatever moves or normalises a date replaces it here: what follows sees arrays, not files.
    where, values = shared_grid(scenes, grid), shared_values(scenes)
    readers = [_reader(scene, where, values, resampling) for scene in scenes]
    series = series_of(
        readers,
        where,
        bands=names,
        attributes=_attributes(scenes, values, dates, resampling),
        times=np.array(dates, "datetime64[ns]") if all(dates) else np.arange(len(scenes)),
    )
    series.encoding["block_rows"] = _block_rows(scenes, readers, where)
    return series


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
