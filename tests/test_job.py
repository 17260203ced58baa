import json
import sqlite3
from pathlib import Path

import geopandas
import numpy as np
import psutil
import pytest
import rasterio
import scipy.stats
from rasterio.features import shapes

import geodl
from geodl.errors import GeodlError, OptionError, ProductError
from geodl.job import RunOptions, connect, run_scene
from geodl.scene import open_scene
from tests.conftest import write_scene

FILES = {
    "landcover.tif", "landcover.tif.aux.xml", "landcover.qml", "landcover.gpkg",
    "confidence.tif", "confidence.qml", "manifest.json", "map.qgz",
    "item.json", "model.json", "thumbnail.png", "report.html",
}  # fmt: skip


@pytest.fixture(scope="module")
def client():
    with connect() as client:
        yield client


@pytest.fixture(scope="module")
def product(scene_file, tiny_model, client, tmp_path_factory):
    out = tmp_path_factory.mktemp("products")
    return run_scene(open_scene(scene_file), tiny_model, out, RunOptions(block=100), client=client)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_product_is_complete_and_nothing_else_is_left(product):
    assert product.name == "valley"
    assert {path.name for path in product.iterdir()} >= FILES
    assert [path.name for path in product.parent.iterdir()] == ["valley"]


def test_raster_is_what_the_library_predicts(product, scene_file, tiny_model):
    expected = geodl.predict(open_scene(scene_file), tiny_model).compute()
    with rasterio.open(product / "landcover.tif") as map_file, rasterio.open(scene_file) as scene:
        np.testing.assert_array_equal(map_file.read(1), expected["class"])
        assert (map_file.crs, map_file.transform, map_file.shape) == (scene.crs, scene.transform, scene.shape)
        assert map_file.nodata == 255
        assert map_file.colormap(1)[7][:3] == (0xC1, 0x44, 0x0E)
        assert map_file.profile["compress"].lower() == "deflate"
        assert tiny_model.hash in json.dumps(map_file.tags())
    with rasterio.open(product / "confidence.tif") as file:
        percent = file.read(1)
        assert file.nodata == 255
        assert file.scales == (0.01,)
    confidence = expected["confidence"].values
    assert (percent[np.isnan(confidence)] == 255).all()
    valid = np.isfinite(confidence)
    np.testing.assert_allclose(percent[valid] / 100, confidence[valid], atol=0.0051)


def test_polygons_are_those_of_the_whole_raster(product):
    layer = geopandas.read_file(product / "landcover.gpkg", layer="landcover")
    with rasterio.open(product / "landcover.tif") as file:
        classes = file.read(1)
        expected = [value for _, value in shapes(classes, mask=classes != 255, transform=file.transform)]
        crs = file.crs
    assert len(layer) == len(expected)
    assert layer.crs == crs
    assert layer.geometry.is_valid.all()
    assert set(layer["name"]) <= {"water", "forest", "grassland", "built-up"}
    # UTM is true to area within its scale factor, 0.9996 to 1.001 squared.
    np.testing.assert_allclose(layer["area_m2"].sum(), (classes != 255).sum() * 100, rtol=2.5e-3)
    assert layer["confidence"].between(0, 1).all()


def test_style_lies_in_the_geopackage(product):
    with sqlite3.connect(product / "landcover.gpkg") as database:
        rows = database.execute("select f_table_name, useAsDefault, styleQML from layer_styles").fetchall()
    assert len(rows) == 1
    assert rows[0][1]
    assert "built-up" in rows[0][2]


def test_manifest_tells_where_it_came_from(product, scene_file, tiny_model):
    manifest = json.loads((product / "manifest.json").read_text())
    assert manifest["model"]["hash"] == tiny_model.hash
    assert manifest["inputs"][0]["name"] == "valley.tif"
    listed = {row["path"]: row for row in manifest["files"]}
    assert set(listed) == {path.name for path in product.iterdir()} - {"manifest.json"}
    for name, row in listed.items():
        assert row["bytes"] == (product / name).stat().st_size


@pytest.mark.parametrize("block", [1, 97, 10**6])
def test_products_are_the_same_bytes_for_every_block_size(
    product, scene_file, tiny_model, client, tmp_path, block
):
    other = run_scene(open_scene(scene_file), tiny_model, tmp_path, RunOptions(block=block), client=client)
    assert contents(other) == contents(product)


@pytest.mark.parametrize("products", [("map",), ("vectors", "confidence")])
def test_only_the_products_asked_for_are_made(product, scene_file, tiny_model, client, tmp_path, products):
    options = RunOptions(products=products)
    done = run_scene(open_scene(scene_file), tiny_model, tmp_path, options, client=client)
    made = {path.name for path in done.iterdir()}
    assert ("landcover.tif" in made) == ("map" in products)
    assert ("confidence.tif" in made) == ("confidence" in products)
    assert ("landcover.gpkg" in made) == ("vectors" in products)
    assert not {"map.qgz", "report.html"} & made
    assert made <= FILES
    for name in {"landcover.tif", "confidence.tif"} & made:
        assert (done / name).read_bytes() == (product / name).read_bytes()


def test_entropy_says_where_the_model_is_undecided(scene_file, tiny_model, client, tmp_path):
    options = RunOptions(products=("entropy",), probabilities=True)
    done = run_scene(open_scene(scene_file), tiny_model, tmp_path, options, client=client)
    with rasterio.open(done / "probability.tif") as file:
        share, valid = file.read() / 100, file.read_masks(1) > 0
    with rasterio.open(done / "entropy.tif") as file:
        assert file.scales == (0.01,)
        np.testing.assert_array_equal(file.read_masks(1) > 0, valid)
        found = file.read(1)[valid] / 100
    expected = scipy.stats.entropy(share[:, valid], base=len(share), axis=0)
    np.testing.assert_allclose(found, expected, atol=0.06)  # both are rounded to percent
    assert (done / "entropy.qml").exists()


def test_an_unknown_product_is_refused():
    with pytest.raises(OptionError, match="--products map,tiles: 'tiles' is none: use map, confidence"):
        RunOptions(products=("map", "tiles"))


def test_probabilities_sum_to_one(scene_file, tiny_model, client, tmp_path):
    options = RunOptions(probabilities=True)
    done = run_scene(open_scene(scene_file), tiny_model, tmp_path, options, client=client)
    with rasterio.open(done / "probability.tif") as file:
        assert file.descriptions == ("water", "forest", "grassland", "built-up")
        percent = file.read()
        classes = rasterio.open(done / "landcover.tif").read(1)
    valid = classes != 255
    assert (percent[:, ~valid] == 255).all()
    assert np.abs(percent[:, valid].astype(int).sum(0) - 100).max() <= 2
    assert (np.array([1, 2, 3, 7])[percent[:, valid].argmax(0)] == classes[valid]).mean() > 0.98


def test_scene_without_data_gives_an_empty_valid_layer(tiny_model, client, tmp_path):
    path = write_scene(tmp_path / "empty.tif", 70, 80)
    with rasterio.open(path, "r+") as file:
        file.write(np.zeros((3, 70, 80), "uint16"))
    done = run_scene(open_scene(path), tiny_model, tmp_path / "out", RunOptions(), client=client)
    layer = geopandas.read_file(done / "landcover.gpkg", layer="landcover")
    assert len(layer) == 0
    assert {"class", "name", "area_m2", "confidence"} <= set(layer.columns)


def test_a_foreign_folder_is_not_overwritten(scene_file, tiny_model, client, tmp_path):
    (tmp_path / "valley").mkdir()
    (tmp_path / "valley" / "thesis.doc").write_text("years of work")
    with pytest.raises(ProductError, match="valley"):
        run_scene(open_scene(scene_file), tiny_model, tmp_path, RunOptions(), client=client)
    assert (tmp_path / "valley" / "thesis.doc").read_text() == "years of work"


def test_a_block_that_cannot_be_read_is_an_error_not_a_hole(scene_file, tiny_model, client, tmp_path):
    path = tmp_path / "cut.tif"
    scene = write_scene(path, 600, 600, compress="deflate")
    opened = open_scene(scene)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(GeodlError, match=r"cut\.tif"):
        run_scene(opened, tiny_model, tmp_path / "out", RunOptions(), client=client)
    assert not (tmp_path / "out" / "cut").exists()


def test_no_scheduler_at_the_address():
    with pytest.raises(OptionError, match="--scheduler"), connect("tcp://127.0.0.1:1", patience=1):
        pass


def test_the_local_client_listens_on_loopback_only(client):
    listening = [c.laddr.ip for c in psutil.Process().net_connections() if c.status == psutil.CONN_LISTEN]
    assert set(listening) <= {"127.0.0.1", "::1"}


@pytest.mark.slow
def test_a_cluster_of_processes_gives_the_same_bytes(product, scene_file, tiny_model, tmp_path):
    import distributed

    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        connect(cluster.scheduler_address) as client,
    ):
        done = run_scene(
            open_scene(scene_file), tiny_model, Path(tmp_path), RunOptions(block=60), client=client
        )
    assert contents(done) == contents(product)
