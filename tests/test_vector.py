"""The public way from class rasters to layers: arrays, lazy arrays and files."""

import threading

import dask.array as da
import numpy as np
import pytest
import rasterio
import shapely
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from geodl.errors import OptionError, SceneError
from geodl.models.spec import ClassSpec
from geodl.publish import write_cog
from geodl.task import TASKS
from geodl.vector import VECTORIZERS, vectorize, vectorize_batches

CLASSES = (
    ClassSpec(value=1, name="water", color="#2b6cb0"),
    ClassSpec(value=2, name="forest", color="#22643a"),
)
UTM = Affine(10, 0, 399_960, 0, -10, 5_300_040)


@pytest.fixture
def classes():
    rng = np.random.default_rng(1)
    small = rng.integers(1, 4, (12, 15)).astype(np.uint8)
    small[:3, :4] = 255
    array = np.kron(small, np.ones((5, 4), np.uint8))
    return wrap_xr(array, GeoBox(array.shape, UTM, "EPSG:32632"), nodata=255).rename("class")


def test_every_task_has_a_vectorizer():
    assert {task.vectorizer for task in TASKS.values()} <= set(VECTORIZERS)


def test_lazy_arrays_and_files_give_the_same_layer(classes, tmp_path):
    eager = vectorize(classes, classes=CLASSES)
    lazy = vectorize(classes.chunk({"y": 7, "x": 11}), classes=CLASSES)
    path = write_cog(classes, tmp_path / "map.tif", classes=CLASSES)
    from_file = vectorize(path)  # names come from the file
    assert eager.crs == "EPSG:32632"
    assert set(eager["name"]) == {"water", "forest", "3"}
    assert set(from_file.pop("source")) == {"map"}  # where the polygons come from, too
    for other in (lazy, from_file):
        assert eager.drop(columns="geometry").equals(other.drop(columns="geometry"))
        assert shapely.equals_exact(eager.geometry.values, other.geometry.values).all()
        assert other.crs == eager.crs


def test_areas_are_true_whatever_the_crs(classes):
    def total(crs, transform):
        array = wrap_xr(classes.values, GeoBox(classes.shape, transform, crs), nodata=255)
        return vectorize(array)["area_m2"].sum()

    pixels = np.count_nonzero(classes.values != 255)
    assert total("EPSG:6933", Affine(10, 0, 0, 0, -10, 5_000_000)) == pytest.approx(pixels * 100, rel=1e-6)
    # Web Mercator stretches by 1 / cos(latitude): at 60 degrees four times the area.
    assert total("EPSG:3857", Affine(10, 0, 0, 0, -10, 8_399_737)) == pytest.approx(pixels * 25, rel=0.01)


def test_without_a_crs_areas_are_pixels():
    array = xr.DataArray(np.full((4, 6), 1, np.uint8), dims=("y", "x"))
    layer = vectorize(array)
    assert layer.crs is None
    assert layer["area_px"].tolist() == [24]
    assert "area_m2" not in layer
    assert layer.geometry[0].equals(shapely.box(0, 0, 6, 4))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "bool"])
def test_dtypes(dtype):
    array = xr.DataArray(np.array([[0, 1], [1, 1]]).astype(dtype), dims=("y", "x"))
    assert vectorize(array)["class"].tolist() == [0, 1]


def test_nan_is_nodata_in_float_classes():
    array = xr.DataArray(np.array([[np.nan, 1.0], [2.0, 2.0]]), dims=("y", "x"))
    assert vectorize(array)["class"].tolist() == [1, 2]


def test_confidence_as_percent_and_as_fractions(classes):
    percent = classes.copy(data=np.where(classes == 1, 80, 40).astype(np.uint8))
    percent.attrs["nodata"] = 255
    fraction = (percent / 100).rename("confidence")
    a, b = (vectorize(classes, confidence=c) for c in (percent, fraction))
    assert np.allclose(a["confidence"], np.where(a["class"] == 1, 0.8, 0.4))
    assert np.allclose(a["confidence"], b["confidence"])


def test_an_empty_layer_has_the_columns(classes):
    layer = vectorize(classes.copy(data=np.full(classes.shape, 255, np.uint8)), confidence=classes)
    assert len(layer) == 0
    assert list(layer.columns) == [
        "id", "class", "name", "area_m2", "perimeter_m", "confidence", "confidence_min", "geometry",
    ]  # fmt: skip


def test_first_calls_from_several_threads(classes):
    results = []
    threads = [threading.Thread(target=lambda: results.append(len(vectorize(classes)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(set(results)) == 1
    assert len(results) == 4


def test_strips_are_read_one_at_a_time():
    tall = da.ones((5000, 8), chunks=(100, 8), dtype=np.uint8)
    reads = []
    watched = tall.map_blocks(
        lambda block: reads.append(1) or block, dtype=np.uint8, meta=np.empty((0, 0), np.uint8)
    )
    batches = vectorize_batches(xr.DataArray(watched, dims=("y", "x")))
    next(batches)
    assert not reads
    assert sum(len(batch) for batch in batches) == 1
    assert len(reads) >= 50


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "clouds"}, "'clouds' is unknown: choose one of landcover"),
        ({"connectivity": 6}, "choose 4 or 8"),
        ({"confidence": xr.DataArray(np.zeros((2, 2)), dims=("y", "x"))}, "give both on one grid"),
    ],
)
def test_bad_options_fail(classes, options, message):
    with pytest.raises(OptionError, match=message):
        vectorize(classes, **options)


def test_bad_files_fail(tmp_path):
    with pytest.raises(SceneError, match="is not a file"):
        vectorize(tmp_path / "absent.tif")
    with pytest.raises(SceneError, match="is not a file"):
        vectorize("/vsicurl/http://127.0.0.1/map.tif")
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(SceneError, match="cannot be opened"):
        vectorize(tmp_path / "text.tif")
    profile = {"driver": "GTiff", "height": 2, "width": 2, "count": 2, "dtype": "uint8"}
    with rasterio.open(tmp_path / "two.tif", "w", **profile) as target:
        target.update_tags(GEODL_CLASSES="[{")
    with pytest.raises(SceneError, match="has 2 bands: choose one with --band: 1, 2"):
        vectorize(tmp_path / "two.tif")
    with rasterio.open(tmp_path / "tag.tif", "w", **{**profile, "count": 1}) as target:
        target.update_tags(GEODL_CLASSES='[{"value": 1, "name": "a", "color": "red"}]')
    with pytest.raises(SceneError, match="tag GEODL_CLASSES is damaged"):
        vectorize(tmp_path / "tag.tif")
    with pytest.raises(SceneError, match="not whole numbers"):
        vectorize(xr.DataArray(np.array([[0.5]]), dims=("y", "x")))
