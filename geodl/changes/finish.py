"""What makes a map of change a whole product: QGIS project, page, thumbnail and entry for catalogues."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from geodl.alignment.pair import QUALITY, quality_percent
from geodl.catalogue import write_entry
from geodl.changes.product import NAME, strips, tags_of
from geodl.map_project import write_map_project
from geodl.models.legend import legend_of
from geodl.models.method import MethodSpec
from geodl.models.spec import NODATA_CLASS
from geodl.page import Subject, write_page
from geodl.publish import Product, RasterGrid, RasterLayer, write_cog_windows
from geodl.scene.pair import stack_dates
from geodl.tiles import Window
from geodl.vector.source import class_raster


def write_quality(product: Product, pair: xr.DataArray, provenance: Mapping[str, Any]) -> None:
    """Write ``registration.tif``, how well the dates lie on each other, if they were registered."""
    if QUALITY not in pair.coords:
        return
    grid = RasterGrid.of(pair)
    layer = RasterLayer(
        dtype="uint8",
        nodata=NODATA_CLASS,
        overview="average",
        scale=0.01,
        descriptions=("how well the dates lie on each other",),
        tags=tags_of(provenance),
    )
    windows = (
        (start, 0, quality_percent(pair, Window(start, 0, stop - start, grid.width)))
        for start, stop in strips(grid.height)
    )
    write_cog_windows(windows, product.path(f"{QUALITY}.tif"), grid=grid, layer=layer)


def write_rest(product: Product, pair: xr.DataArray, spec: MethodSpec, provenance: Mapping[str, Any]) -> None:
    """Write ``map.qgz``, ``report.html``, ``thumbnail.png`` and ``item.json`` of a map that is written.

    Raises
    ------
    SceneError
        The dates cannot be read any more.
    ProductError
        A file cannot be read or written.
    """
    scene = stack_dates(pair)
    raster = class_raster(product.path(f"{NAME}.tif"))

    def read(_: str, window: Window) -> np.ndarray:
        rows = raster.read(window.row, window.row_stop)
        return rows[:, window.col : window.col_stop]

    height, width = raster.shape
    write_map_project(product, scene, spec, provenance)
    subject = Subject(
        scene=scene,
        spec=spec,
        legend=legend_of(spec),
        windows=tuple(Window(start, 0, stop - start, width) for start, stop in strips(height)),
        read=read,
        layers=("class",),
        crs=raster.crs,
        transform=raster.transform,
        provenance=provenance,
    )
    write_page(product.folder, subject)
    write_entry(product, scene, spec, provenance)  # last: it lists the files that are there
