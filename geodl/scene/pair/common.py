"""The grid, the bands and the kind of values that several dates share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.crs import CRS
from shapely.geometry.base import BaseGeometry

from geodl.errors import OptionError, SceneError
from geodl.scene.adopt import per_band
from geodl.scene.georeference import crs_name
from geodl.scene.grid import SAME_PIXELS, Grid, pixel_size_metres
from geodl.scene.nodata import empty_value, holds
from geodl.scene.pair.place import moved, outline

GRIDS = ("before", "after", "finer")
SMALLEST = 1e-6  # share of a pixel that a common area must have


@dataclass(frozen=True, kw_only=True)
class Values:
    """What the pixels of all dates become."""

    dtype: np.dtype
    lifted: bool
    """They are converted to physical values."""
    fill: float | None
    """Value of pixels without data; None where none is free."""


def grid_of_scene(scene: xr.DataArray) -> Grid:
    """Return the grid of a scene; without a CRS in pixel coordinates."""
    geobox, (height, width) = scene.odc.geobox, (scene.sizes["y"], scene.sizes["x"])
    if geobox is None:
        return Grid(height=height, width=width, transform=Affine.identity(), crs=None)
    return _grid(geobox)


def _grid(geobox: GeoBox) -> Grid:
    height, width = geobox.shape
    crs = None if geobox.crs is None else CRS.from_user_input(geobox.crs.proj.to_wkt())
    return Grid(height=height, width=width, transform=geobox.affine, crs=crs)


def shared_grid(scenes: Sequence[xr.DataArray], wanted: str | GeoBox) -> Grid:
    """Choose the grid of `open_pair` and cut it to the area that all dates cover; a GeoBox stays whole.

    Raises
    ------
    OptionError
        `wanted` is no grid.
    SceneError
        The dates do not overlap, or only some have a CRS.
    """
    grids = [grid_of_scene(scene) for scene in scenes]
    chosen = _chosen(grids, wanted)
    for scene, grid in zip(scenes, grids, strict=True):
        if (grid.crs is None) != (chosen.crs is None):
            raise SceneError(
                f"scene {scene.name}",
                "has a CRS and the other has none" if grid.crs else "has no CRS and the other has one",
                "say where it lies with --crs, or take neither's with --ungeoreferenced",
            )
    area: BaseGeometry = shapely.box(0, 0, chosen.width, chosen.height)
    for grid in grids:
        area = area.intersection(_seen_from(chosen, grid))
    if area.area < SMALLEST:
        raise SceneError(
            f"scenes {' and '.join(str(scene.name) for scene in scenes)}",
            f"do not overlap: {_places(grids)}",
            "give two scenes of one place; if one is placed wrongly, mend it with --crs",
        )
    return chosen if isinstance(wanted, GeoBox) else _cut(chosen, area.bounds)


def _chosen(grids: Sequence[Grid], wanted: str | GeoBox) -> Grid:
    if isinstance(wanted, GeoBox):
        return _grid(wanted)
    if wanted not in GRIDS:
        raise OptionError(f"--grid {wanted}", "unknown", f"use {', '.join(GRIDS)}")
    if wanted == "finer":
        return min(grids, key=_pixel_area)  # of equal ones the first
    return grids[0] if wanted == "before" else grids[-1]


def _pixel_area(grid: Grid) -> float:
    x, y = pixel_size_metres(grid) or grid.pixel_size
    return round(x * y, 6)


def _seen_from(grid: Grid, other: Grid) -> BaseGeometry:
    """Area of `other` in pixels of `grid`."""
    points = outline(other, grid.crs)
    if len(points) < 3:
        return shapely.Polygon()
    column, row = moved(~grid.transform, points[:, 0], points[:, 1])
    return shapely.make_valid(shapely.Polygon(np.stack([column, row], axis=1)))


def _cut(grid: Grid, bounds: tuple[float, float, float, float]) -> Grid:
    """Keep the pixels whose centres lie within bounds (left, top, right, bottom), in pixels; at least one."""
    spans = []
    for low, high, length in ((bounds[0], bounds[2], grid.width), (bounds[1], bounds[3], grid.height)):
        first = min(max(0, math.ceil(low - 0.5 - SAME_PIXELS)), length - 1)
        stop = min(length, math.floor(high - 0.5 + SAME_PIXELS) + 1)
        spans.append((first, max(stop, first + 1)))
    (left, right), (top, bottom) = spans
    transform = grid.transform @ Affine.translation(left, top)
    return Grid(height=bottom - top, width=right - left, transform=transform, crs=grid.crs)


def _places(grids: Sequence[Grid]) -> str:
    told = []
    for grid in grids:
        left, bottom, right, top = grid.bounds
        crs = "pixel coordinates" if grid.crs is None else crs_name(grid.crs)
        told.append(f"x {left:.7g} to {right:.7g}, y {bottom:.7g} to {top:.7g} in {crs}")
    return "; the other ".join(told)


def shared_bands(scenes: Sequence[xr.DataArray]) -> list[str]:
    """Return the bands that all dates have, in the order of the first.

    Raises
    ------
    SceneError
        There is none.
    """
    names = [[str(name) for name in scene.coords["band"].values] for scene in scenes]
    shared = [name for name in names[0] if all(name in others for others in names[1:])]
    if not shared:
        raise SceneError(
            f"scenes {' and '.join(str(scene.name) for scene in scenes)}",
            f"share no band: {'; '.join(', '.join(some) for some in names)}",
            "name their bands with --bands, or the sensor with --sensor (--after-bands, --after-sensor)",
        )
    return shared


def shared_values(scenes: Sequence[xr.DataArray]) -> Values:
    """Choose what the pixels become: they stay as they are where all dates count alike.

    Otherwise (dtype, scale, offset or units differ) they become physical values.
    """
    kinds = {
        (str(scene.dtype), scene.attrs.get("units"), per_band(scene, "scale"), per_band(scene, "offset"))
        for scene in scenes
    }
    if len(kinds) > 1:
        return Values(dtype=np.dtype("float32"), lifted=True, fill=empty_value(np.dtype("float32")))
    dtype = scenes[0].dtype
    if dtype.kind == "f":
        return Values(dtype=dtype, lifted=False, fill=empty_value(dtype))
    nodata = {value for scene in scenes for value in per_band(scene, "nodata")}
    value = nodata.pop() if len(nodata) == 1 else None
    by_any = all(scene.attrs.get("mask") == "any" for scene in scenes)
    free = value is not None and by_any and holds(dtype, value)
    return Values(dtype=dtype, lifted=False, fill=value if free else None)
