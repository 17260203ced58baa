"""Product folders with a QGIS project, made of a scene and invented results: no network runs."""

from types import SimpleNamespace

import numpy as np
import rasterio
import shapely
import xarray as xr
from affine import Affine
from shapely.affinity import affine_transform

from geodl.map_project import write_map_project
from geodl.models.spec import ClassSpec
from geodl.publish import (
    RasterGrid,
    confidence_style,
    raster_style,
    stage,
    write_cog,
    write_style,
    write_vectors,
)
from geodl.scene import as_scene
from geodl.vector import FeatureBatch
from tests.conftest import make_spec

TREE = (
    ClassSpec(value=1, name="water", color="#2b6cb0"),
    ClassSpec(value=2, name="forest & moor", color="#22643a"),
    ClassSpec(value=7, name="never seen", color="#c1440e"),
)


def make_product(out, scene, *, task="landcover", classes=TREE, layers=("main",), title="Tiny test model"):
    """Publish rasters, a GeoPackage and ``map.qgz`` for a scene; returns the folder.

    `layers` are the vector layers: ``main`` (polygons of the first two classes), ``edges``, ``nodes``.
    """
    scene = as_scene(scene)
    spec = make_spec(task=task, title=title, classes=list(classes), licence="CC0-1.0")
    job = SimpleNamespace(scene=scene, model=SimpleNamespace(spec=spec))
    provenance = {"geodl": "0.1.0", "inputs": [{"name": "valley.tif"}]}
    with stage(out, str(scene.name)) as product:
        _write_rasters(product, scene, task, classes)
        if layers:
            grid = RasterGrid.of(scene)
            write_vectors(
                _batches(scene, layers),
                product.path(f"{task}.gpkg"),
                layer=task,
                crs=grid.crs,
                classes=classes,
            )
        write_map_project(product, job.scene, job.model.spec, provenance)
        return product.commit({"made": "by a test"})


def _write_rasters(product, scene, task, classes):
    shape = scene.shape[-2:]
    values = np.full(shape, classes[0].value, np.uint8)
    values[:, shape[1] // 2 :] = classes[1].value
    percent = np.full(shape, 80, np.uint8)
    write_cog(_like(scene, values), product.path(f"{task}.tif"), classes=classes)
    write_style(raster_style(classes), product.path(f"{task}.qml"))
    write_cog(_like(scene, percent), product.path("confidence.tif"), scale=0.01, overview="average")
    write_style(confidence_style(), product.path("confidence.qml"))
    several = xr.concat([_like(scene, percent)] * len(classes), dim="band")
    write_cog(several, product.path("probability.tif"), scale=0.01, overview="average")


def _like(scene, values):
    coords = {name: scene.coords[name] for name in ("y", "x", "spatial_ref") if name in scene.coords}
    return xr.DataArray(values, dims=("y", "x"), coords=coords, attrs={"nodata": 255})


def _batches(scene, layers):
    transform = RasterGrid.of(scene).transform
    height, width = scene.shape[-2:]
    for layer in layers:
        if layer == "main":
            halves = [shapely.box(0, 0, width / 2, height), shapely.box(width / 2, 0, width, height)]
            yield _batch(halves, transform, "Polygon", "", np.array([1, 2]))
        if layer == "edges":
            line = shapely.linestrings([[0, 0], [width / 2, height / 2], [width, height / 3]])
            yield _batch([line], transform, "LineString", "edges", np.array([1]))
        if layer == "nodes":
            yield _batch([shapely.Point(width / 2, height / 2)], transform, "Point", "nodes", np.array([1]))


def _batch(shapes, transform, kind, layer, classes):
    a, b, c, d, e, f = tuple(transform)[:6]
    geometry = np.array([affine_transform(shape, (a, b, d, e, c, f)) for shape in shapes])
    return FeatureBatch(columns={"class": classes}, geometry=geometry, geometry_type=kind, layer=layer)


def write_colors(path, *, height=120, width=160, crs="EPSG:32632", mask=None, seed=0, names=None, **profile):
    """An image of reflectance x 10000 with the bands blue, green, red, nir; `mask` is written beside them."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    base = 800 + 500 * np.sin(x / 15) * np.cos(y / 11)
    pixels = np.stack([base * (1 + band / 2) + rng.normal(0, 60, base.shape) for band in range(4)])
    names = names or ("blue", "green", "red", "nir")
    transform = profile.pop("transform", Affine(10, 0, 600000, 0, -10, 5200000))
    fields = {"driver": "GTiff", "count": len(names), "dtype": "uint16", "height": height, "width": width}
    with rasterio.open(path, "w", crs=crs, transform=transform, **fields, **profile) as file:
        file.write(pixels.clip(1, 9000).astype("uint16")[: len(names)])
        file.descriptions = names
        for band in range(1, len(names) + 1):
            file.set_band_unit(band, "reflectance")
        file.scales = (0.0001,) * len(names)
        if mask is not None:
            file.write_mask(mask)
    return path
