"""Results behave as xarray, geopandas, notebooks and rasterio's command line expect."""

import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import geopandas
import numpy as np
import odc.geo.xr  # noqa: F401 - registers the .odc accessor
import pandas
import pytest
import rasterio
import xarray as xr
from click.testing import CliRunner

import geodl
from geodl.batch import connect
from geodl.errors import ProductError
from geodl.job import RunOptions, run_scene
from geodl.models.page import model_page
from geodl.models.spec import ClassSpec
from geodl.scene import open_scene
from tests.conftest import make_spec, write_scene

pytestmark = pytest.mark.filterwarnings("ignore:grid_mapping=spatial_ref is not pointing")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return open_scene(write_scene(tmp_path_factory.mktemp("manners") / "valley.tif", 90, 110))


@pytest.fixture(scope="module")
def result(scene, tiny_model):
    return geodl.predict(scene, tiny_model, probabilities=True).compute()


@pytest.fixture(scope="module")
def product(scene, tiny_model, tmp_path_factory):
    options = RunOptions(device="cpu", probabilities=True)
    with connect(None) as client:
        return run_scene(scene, tiny_model, tmp_path_factory.mktemp("out"), options, client=client)


def test_results_are_cf(result):
    flags = result["class"].attrs
    assert flags["flag_values"].dtype == result["class"].dtype
    assert flags["flag_meanings"].split() == ["water", "forest", "grassland", "built-up"]
    assert len(flags["flag_colors"].split()) == len(flags["flag_values"])
    assert result.attrs["Conventions"].startswith("CF-")
    assert result["confidence"].attrs["units"] == "1"


def test_selections_keep_their_place(result):
    part = result.sel(x=slice(result.x[10], result.x[29]), y=slice(result.y[5], result.y[14]))
    assert part["class"].shape == (10, 20)
    assert part["class"].odc.geobox == result["class"].odc.geobox[5:15, 10:30]
    water = result["probability"].sel(class_name="water")
    assert water.shape == result["class"].shape
    point = result.sel(x=float(result.x[40]) + 2, y=float(result.y[70]) - 2, method="nearest")
    assert point["class"].item() == result["class"].values[70, 40]


def to_zarr(data, path):
    data.to_zarr(path, consolidated=False)
    return xr.open_zarr(path, decode_coords="all", consolidated=False)


def to_netcdf(data, path):
    data.to_netcdf(path, engine="h5netcdf")
    return xr.open_dataset(path, decode_coords="all", engine="h5netcdf")


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("there_and_back", [to_zarr, to_netcdf])
def test_files_of_xarray_keep_everything(result, tmp_path, there_and_back):
    read = there_and_back(result, tmp_path / "result")
    xr.testing.assert_equal(read, result)
    assert read["class"].dtype == np.uint8
    assert read["class"].odc.geobox == result["class"].odc.geobox
    assert list(read["class"].attrs["flag_values"]) == [1, 2, 3, 7]
    ours = geodl.vectorize(result["class"])
    theirs = geodl.vectorize(read["class"])
    assert ours.equals(theirs)
    path = geodl.write_cog(read["class"], tmp_path / "map.tif")
    with rasterio.open(path) as source:
        assert source.colormap(1)[1][:3] == (0x2B, 0x6C, 0xB0)


def test_lazy_results_go_straight_to_a_store(scene, tiny_model, result, tmp_path):
    lazy = geodl.predict(scene, tiny_model, probabilities=True, block=64)
    read = to_zarr(lazy, tmp_path / "lazy.zarr")
    xr.testing.assert_equal(read.load(), result)


def test_results_plot(result):
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    flags = result["class"].attrs
    values = flags["flag_values"]
    drawn = result["class"].where(result["class"] != flags["nodata"])
    artist = drawn.plot.imshow(
        levels=[*values, values[-1] + 1], colors=flags["flag_colors"].split(), add_colorbar=False
    )
    colours = artist.to_rgba(np.ma.masked_invalid(drawn.values))
    water = result["class"].values == 1
    assert np.allclose(colours[water][:, :3], np.array([0x2B, 0x6C, 0xB0]) / 255, atol=1 / 255)
    assert artist.axes.get_xlabel() == "x [metre]"
    pyplot.close("all")


def test_layers_have_categories_and_colours(result, tmp_path):
    layer = geodl.vectorize(result["class"], confidence=result["confidence"])
    assert list(layer["name"].cat.categories) == ["water", "forest", "grassland", "built-up"]
    assert layer.attrs["class_colors"]["built-up"] == "#c1440e"
    values = dict(zip(layer["name"], layer["class"], strict=True))
    assert values.items() <= {"water": 1, "forest": 2, "grassland": 3, "built-up": 7}.items()
    areas = layer.groupby("name", observed=False)["area_m2"].sum()
    assert list(areas.index) == list(layer["name"].cat.categories)
    both = pandas.concat([layer, geodl.vectorize(result["class"].isel(x=slice(0, 5)))])
    assert isinstance(both["name"].dtype, pandas.CategoricalDtype)
    layer.to_file(tmp_path / "map.gpkg")
    assert list(geopandas.read_file(tmp_path / "map.gpkg")["name"]) == list(layer["name"])
    layer.to_parquet(tmp_path / "map.parquet")
    assert geopandas.read_parquet(tmp_path / "map.parquet")["name"].dtype == layer["name"].dtype


def test_layers_are_ready_to_explore(result):
    folium = pytest.importorskip("folium")
    pytest.importorskip("mapclassify")
    layer = geodl.vectorize(result["class"], confidence=result["confidence"])
    colours = layer.attrs["class_colors"]
    shown = layer.explore("name", cmap=list(colours.values()), tiles=None)
    (drawn,) = (child for child in shown._children.values() if isinstance(child, folium.GeoJson))
    features = [feature["properties"] for feature in drawn.data["features"]]
    assert len(features) == len(layer)
    assert len({row["name"] for row in features}) > 1
    assert all(row["__folium_color"] == colours[row["name"]] for row in features)
    assert {"class", "name", "area_m2", "confidence"} <= set(features[0])
    west, south, east, north = layer.to_crs(4326).total_bounds
    assert np.allclose(shown.get_bounds(), [[south, west], [north, east]])
    legend = re.findall(
        r"background:(#\w{6}).*?</span>\s*([\w-]+)\s*</li>", shown.get_root().render(), re.DOTALL
    )
    assert {name: colour for colour, name in legend} == colours  # those that do not occur, too


def test_layers_without_a_legend_have_no_colours(result):
    bare = result["class"].copy()
    bare.attrs = {"nodata": 255}
    layer = geodl.vectorize(bare)
    assert "class_colors" not in layer.attrs
    assert set(layer["name"]) == {str(value) for value in layer["class"]}


def test_a_product_reads_back_as_it_was_computed(product, result):
    read = geodl.open_product(product)
    read.check()
    rasters = read.rasters.compute()
    assert list(rasters) == ["class", "confidence", "probability"]
    assert set(rasters["class"].attrs) == set(result["class"].attrs)
    np.testing.assert_array_equal(rasters["class"], result["class"])
    np.testing.assert_allclose(rasters["confidence"], result["confidence"], atol=0.00501)
    np.testing.assert_allclose(
        rasters["probability"].sel(class_name="forest"),
        result["probability"].sel(class_name="forest"),
        atol=0.00501,
    )
    assert rasters["class"].odc.geobox == result["class"].odc.geobox
    assert rasters["class"].attrs["flag_meanings"] == result["class"].attrs["flag_meanings"]
    assert list(read.vectors) == ["landcover"]
    layer = read.vectors["landcover"]
    assert layer.attrs["class_colors"]["water"] == "#2b6cb0"
    assert len(layer) == len(geodl.vectorize(rasters["class"]))
    with pytest.raises(KeyError):
        _ = read.vectors["nodes"]


def test_products_of_products(product, tmp_path):
    rasters = geodl.open_product(product).rasters
    xr.testing.assert_equal(to_zarr(rasters, tmp_path / "again.zarr").load(), rasters.compute())


def test_changed_and_foreign_folders_are_refused(product, tmp_path):
    with pytest.raises(ProductError, match="holds no complete product"):
        geodl.open_product(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(product, copy)
    (copy / "landcover.qml").write_text("changed")
    with pytest.raises(ProductError, match=r"landcover\.qml: was changed"):
        geodl.open_product(copy).check()
    (copy / "landcover.qml").unlink()
    with pytest.raises(ProductError, match=r"landcover\.qml: is missing"):
        geodl.open_product(copy).check()
    (copy / "landcover.gpkg").write_text("<OGRVRTDataSource/>")
    assert list(geodl.open_product(copy).vectors) == []
    manifest = json.loads((copy / "manifest.json").read_text())
    for change in (
        {"files": [{"path": "../../etc/passwd"}]},
        {"files": 3},
        {"files": None},
        {"model": {"task": "horoscopes"}},
        {"model": None},
    ):
        (copy / "manifest.json").write_text(json.dumps({**manifest, **change}))
        with pytest.raises(ProductError, match="holds no complete product"):
            geodl.open_product(copy)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.text = set(), ""

    def handle_starttag(self, tag, attrs):
        self.found.add(tag)
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data):
        self.text += data


HOSTILE = "<script>alert('x')</script>"


def test_notebooks_show_models_and_products(product, tiny_model):
    page = Tags()
    page.feed(tiny_model._repr_html_())
    assert "Tiny test model" in page.text
    assert "red, green, nir (reflectance)" in page.text
    assert "not measured" in page.text
    assert repr(tiny_model).startswith("<geodl model tiny: landcover; bands red, green, nir")
    page = Tags()
    page.feed(geodl.open_product(product)._repr_html_())
    assert {"img", "table"} <= page.found
    assert "110 x 90 pixels" in page.text
    assert "water" in page.text
    spec = make_spec(
        title=HOSTILE,
        licence=HOSTILE,
        classes=[
            ClassSpec(value=1, name=HOSTILE, color="#000000"),
            ClassSpec(value=2, name="b", color="#ffffff"),
        ],
    )
    page = Tags()
    page.feed(model_page(spec))
    assert "script" not in page.found
    assert page.text.count(HOSTILE) == 3


def test_rio_has_our_commands(scene):
    done = subprocess.run(
        [
            sys.executable,
            "-P",
            "-c",
            "from rasterio.rio.main import main_group; main_group()",
            "geodl",
            "--help",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "predict" in done.stdout
    from geodl.rio_plugin import geodl as group

    assert group.name == "geodl"
    refused = CliRunner().invoke(group, ["info", "no-such-file.tif"])
    assert refused.exit_code == 1
    assert "no-such-file.tif" in refused.output


@pytest.mark.slow
def test_the_page_about_python_runs(tmp_path, monkeypatch):
    root = Path(__file__).resolve().parent.parent
    (tmp_path / "sample_scenes").symlink_to(root / "sample_scenes")
    blocks = re.findall(r"```python\n(.*?)```", (root / "docs" / "python.md").read_text(), re.DOTALL)
    (tmp_path / "page.py").write_text("\n".join(blocks))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    done = subprocess.run([sys.executable, "page.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "bare ground" in done.stdout
    assert (tmp_path / "part.tif").exists()
