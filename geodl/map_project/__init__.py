"""What the QGIS project of a product shows: its files, over the imagery that they were made from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from geodl.map_project.imagery import dates_of, imagery_layers
from geodl.models.method import MethodSpec
from geodl.models.spec import ModelSpec
from geodl.publish import Product, RasterGrid
from geodl.publish.project import Bounds, Group, MapProject, layers_of_folder, metres_per_unit, write_project
from geodl.task import TASKS

__all__ = ["FILE", "write_map_project"]

FILE = "map.qgz"
_SCREEN = 0.00025  # metres of a pixel on a screen


def write_map_project(
    product: Product, scene: xr.DataArray, spec: ModelSpec | MethodSpec, provenance: Mapping[str, Any]
) -> Path:
    """Write ``map.qgz`` for the files of a product, all of which are written.

    Raises
    ------
    SceneError
        The imagery cannot be read any more.
    ProductError
        A file of the product cannot be read, or the project not be written.
    """
    task, grid = TASKS[spec.task], RasterGrid.of(scene)
    extent = _bounds(grid)
    vectors, result = layers_of_folder(
        product.folder,
        main=task.raster,
        title=task.title,
        covers=task.vectorizer == "polygons",
        smallest_scale=_scale(grid, extent),
    )
    project = MapProject(
        title=f"{task.title}: {scene.name}",
        subtitle=" · ".join([spec.title or spec.name, *dates_of(scene)]),
        source=_source(spec, grid, provenance),
        licence=spec.licence,
        legend=task.title,
        crs=grid.crs,
        extent=extent,
        groups=(vectors, result, Group(title="Imagery", layers=imagery_layers(product, scene))),
    )
    return write_project(project, product.path(FILE))


def _bounds(grid: RasterGrid) -> Bounds:
    corners = [grid.transform @ (x, y) for x in (0, grid.width) for y in (0, grid.height)]
    xs, ys = zip(*corners, strict=True)
    return Bounds(min(xs), min(ys), max(xs), max(ys))


def _scale(grid: RasterGrid, extent: Bounds) -> float | None:
    """Return the denominator of the map scale at which a pixel of the scene is one of the screen."""
    if grid.crs is None:
        return None
    metres = metres_per_unit(grid.crs, (extent.bottom + extent.top) / 2)
    return float(f"{(extent.right - extent.left) / grid.width * metres / _SCREEN:.2g}")


def _source(spec: ModelSpec | MethodSpec, grid: RasterGrid, provenance: Mapping[str, Any]) -> tuple[str, ...]:
    inputs = ", ".join(row["name"] for row in provenance["inputs"])
    kind = "Model" if isinstance(spec, ModelSpec) else "Method"
    made = f"{kind}: {spec.name}" + (f" (licence: {spec.licence})" if spec.licence else "")
    known = None if grid.crs is None else grid.crs.to_authority()
    place = "without georeference" if grid.crs is None else ":".join(known) if known else "CRS of the scene"
    return (f"Imagery: {inputs}", " · ".join((made, place, f"made with geodl {provenance['geodl']}")))
