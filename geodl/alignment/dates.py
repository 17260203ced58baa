"""Two scenes on one grid, read window by window in the bands that both have."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from geodl.errors import SceneError
from geodl.scene.adopt import as_scene, select_bands
from geodl.scene.grid import Grid, same_grid
from geodl.scene.masks import physical
from geodl.scene.pair.common import grid_of_scene, shared_bands
from geodl.tiles import Window

SIDE = 1024  # pixels of a window that is read at once, anchored at the origin of the scene


@dataclass(frozen=True, kw_only=True)
class Dates:
    """Two lazy scenes (band, y, x) with the same bands on the same grid."""

    before: xr.DataArray
    after: xr.DataArray
    grid: Grid
    names: tuple[str, ...]
    """Of the bands."""

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Read a window of both dates: float32 (bands, rows, columns) in physical units, NaN without data.

        The window may reach beyond the scene, where there is no data either.
        """
        return read(self.before, window), read(self.after, window)

    def windows(self) -> Iterator[Window]:
        """Windows that partition the scene, row by row."""
        whole = Window(0, 0, self.grid.height, self.grid.width)
        for row in range(0, self.grid.height, SIDE):
            for column in range(0, self.grid.width, SIDE):
                yield Window(row, column, SIDE, SIDE).intersect(whole)


def dates_of(before: xr.DataArray, after: xr.DataArray, bands: list[str] | None = None) -> Dates:
    """Check that two scenes lie on one grid, and choose the bands that both have, or those of `bands`.

    Raises
    ------
    SceneError
        The grids differ, or no band is shared, or one of `bands` is missing.
    """
    before, after = as_scene(before), as_scene(after)
    grid = grid_of_scene(before)
    refuse_other_grid(grid, after, str(before.name))
    names = shared_bands([before, after])
    if bands is not None:
        missing = [name for name in bands if name not in names]
        if missing:
            raise SceneError(
                f"scenes {before.name} and {after.name}",
                f"do not both have the band {', '.join(missing)}",
                f"choose among {', '.join(names)}",
            )
        names = bands
    return Dates(
        before=_selected(before, names),
        after=_selected(after, names),
        grid=grid,
        names=tuple(names),
    )


def dates_of_stack(scene: xr.DataArray) -> Dates:
    """Part a scene of two dates, as `geodl.scene.pair.stack_dates` made it, into its dates.

    Raises
    ------
    SceneError
        The dates share no band.
    """
    before, after = (_date(scene, date["label"]) for date in scene.attrs["dates"])
    return dates_of(before, after)


def _date(scene: xr.DataArray, label: str) -> xr.DataArray:
    own = [str(name) for name in scene.coords["band"].values if str(name).startswith(f"{label}.")]
    masks = [name for name in scene.coords if str(name).startswith("valid_")]
    bare = select_bands(scene.drop_vars(masks), own)
    reader = bare.encoding.get("reader")
    named = bare.assign_coords(band=[name.removeprefix(f"{label}.") for name in own])
    if f"valid_{label}" in masks:
        named = named.assign_coords(valid=scene.coords[f"valid_{label}"].variable)
    told = next(date for date in scene.attrs["dates"] if date["label"] == label)
    named.attrs = {**scene.attrs, **bare.attrs, "dates": (told,)}
    if reader is not None:
        named.encoding["reader"] = reader
    return named


def _selected(scene: xr.DataArray, names: list[str]) -> xr.DataArray:
    # Choosing bands of an array made elsewhere can mean that whole chunks are read for every window.
    has = [str(name) for name in scene.coords["band"].values]
    return scene if has == names else select_bands(scene, names)


def refuse_other_grid(grid: Grid, scene: xr.DataArray, name: str) -> None:
    """Refuse a scene whose pixels are not those of `grid`, the grid of the scene `name`."""
    other = grid_of_scene(scene)
    if other.crs != grid.crs or not same_grid(other, grid):
        raise SceneError(
            f"scene {scene.name}",
            f"does not lie on the grid of {name}",
            "open both dates on one grid with geodl.open_pair",
        )


def read(scene: xr.DataArray, window: Window) -> np.ndarray:
    """Read a window of a scene that may reach beyond it: float32 physical values, NaN without data."""
    out = np.full((scene.sizes["band"], window.height, window.width), np.nan, np.float32)
    inside = window.intersect(Window(0, 0, scene.sizes["y"], scene.sizes["x"]))
    if inside.height and inside.width:
        rows, columns = inside.slices
        # In this thread, and the mask from the pixels: asked for lazily, both would be read twice.
        part = scene.isel(y=rows, x=columns).compute(scheduler="synchronous")
        out[(slice(None), *inside.relative_to(window).slices)] = physical(part).values
    return out
