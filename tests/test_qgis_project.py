"""``map.qgz``: what is in it, that it is the same each time, and names that try to break out."""

import json
import shutil
import zipfile
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

import geodl
from geodl.errors import ProductError, SceneError
from geodl.map_project import imagery
from geodl.models.spec import ClassSpec
from geodl.publish import RasterGrid
from geodl.publish.project import (
    Bounds,
    Group,
    Layer,
    MapProject,
    StackBand,
    path_from,
    write_project,
    write_stack,
)
from geodl.publish.project.document import document
from geodl.publish.project.layout import at_round_scale, framed, legend_size, scale_segment
from geodl.publish.project.words import BREAK, breakable, identifier, lines_of, plain
from tests.map_products import TREE, make_product, write_colors

HOSTILE = (
    ClassSpec(value=1, name="<script>alert('1')</script> & \"quotes\"", color="#2b6cb0"),
    ClassSpec(value=2, name="[% 7 * 191 %] été 水 лес", color="#22643a"),
    ClassSpec(value=7, name="long " * 25, color="#c1440e"),
)


@pytest.fixture
def scene_file(tmp_path):
    return write_colors(tmp_path / "valley.tif")


def read(product):
    with zipfile.ZipFile(product / "map.qgz") as archive:
        assert archive.namelist() == ["map.qgs"]
        text = archive.read("map.qgs").decode()
    assert text.startswith("<!DOCTYPE qgis ")
    return Xml.fromstring(text)


def layers(root):
    return {layer.findtext("datasource"): layer for layer in root.iter("maplayer")}


def tree(group):
    """Names of groups and layers as nested lists, those that are not ticked in brackets."""
    found = []
    for node in group:
        if node.tag in ("layer-tree-group", "layer-tree-layer"):
            name = node.get("name") if node.get("checked") == "Qt::Checked" else f"({node.get('name')})"
            found.append([name, *tree(node)] if node.tag == "layer-tree-group" else name)
    return found


def label_texts(root):
    return {
        item.get("id"): item.get("labelText") for item in root.iter("LayoutItem") if item.get("labelText")
    }


# --- what is shown


def test_vectors_lie_over_the_result_over_the_imagery(tmp_path, scene_file):
    root = read(make_product(tmp_path / "out", geodl.open_scene(scene_file)))
    assert root.findtext("title") == "Land cover: valley"
    assert root.findtext("projectCrs/spatialrefsys/authid") == "EPSG:32632"
    probabilities = ["(Probability of each class)", "(class 1)", "(class 2)", "(class 3)"]
    assert tree(root.find("layer-tree-group")) == [
        ["Vectors", "Land cover polygons"],
        ["Result", "(Confidence)", probabilities, "Land cover"],
        ["Imagery", "valley"],
    ]
    sources = [layer.findtext("datasource") for layer in root.iter("maplayer")]
    assert sources == [
        "./landcover.gpkg|layername=landcover", "./confidence.tif", *["./probability.tif"] * 3,
        "./landcover.tif", "../../valley.tif",
    ]  # fmt: skip
    assert {layer.findtext("srs/spatialrefsys/authid") for layer in root.iter("maplayer")} == {"EPSG:32632"}
    assert root.findtext("properties/Paths/Absolute") == "false"
    in_tree = [node.get("id") for node in root.find("layer-tree-group").iter("layer-tree-layer")]
    assert in_tree == [layer.findtext("id") for layer in root.iter("maplayer")]
    assert len(set(in_tree)) == len(in_tree)


def test_layers_are_drawn_as_their_styles_say(tmp_path, scene_file):
    root = read(make_product(tmp_path / "out", geodl.open_scene(scene_file)))
    found = layers(root)
    classes = found["./landcover.tif"].find("pipe/rasterrenderer")
    assert classes.get("type") == "paletted"
    assert [e.get("label") for e in classes.iter("paletteEntry")] == [c.name for c in TREE]
    assert found["./confidence.tif"].find("pipe/rasterrenderer").get("opacity") == "0.6"
    polygons = found["./landcover.gpkg|layername=landcover"]
    assert [e.get("label") for e in polygons.iter("category")] == [
        "water",
        "forest & moor",
    ]  # those that occur
    assert (polygons.get("hasScaleBasedVisibilityFlag"), polygons.get("minScale")) == ("1", "40000")
    bands = [e.get("band") for e in root.iter("rasterrenderer") if e.get("type") == "singlebandpseudocolor"]
    assert bands == ["1", "1", "2", "3"]


def test_objects_lie_on_the_imagery_and_the_raster_below_is_off(tmp_path, scene_file):
    product = make_product(
        tmp_path / "out", geodl.open_scene(scene_file), task="roads", layers=("edges", "nodes")
    )
    root = read(product)
    vectors, result, _ = tree(root.find("layer-tree-group"))
    assert vectors == ["Vectors", "Roads: junctions and ends", "Roads"]  # points over lines
    assert result[-1] == "(Roads)"
    legend = next(item for item in root.iter("LayoutItem") if item.get("id") == "legend")
    assert [node.get("name") for node in legend.iter("layer-tree-layer")] == ["Roads"]


def test_without_vectors_the_legend_names_the_raster(tmp_path, scene_file):
    root = read(make_product(tmp_path / "out", geodl.open_scene(scene_file), layers=()))
    assert [group[0] for group in tree(root.find("layer-tree-group"))] == ["Result", "Imagery"]
    legend = next(item for item in root.iter("LayoutItem") if item.get("id") == "legend")
    (named,) = legend.iter("layer-tree-layer")
    assert named.get("source") == "./landcover.tif"


def test_the_layout_has_what_a_map_needs(tmp_path, scene_file):
    scene = geodl.open_scene(scene_file)
    root = read(make_product(tmp_path / "out", scene.assign_attrs(date="2023-07-14")))
    items = {item.get("id"): item for item in root.iter("LayoutItem")}
    assert set(items) == {
        "page", "map", "title", "subtitle", "source", "legend", "north arrow", "scale bar", "scale",
    }  # fmt: skip
    texts = label_texts(root)
    assert texts["title"] == "Land cover: valley"
    assert texts["subtitle"] == "Tiny test model · 2023-07-14"
    assert "valley.tif" in texts["source"]
    assert "tiny (licence: CC0-1.0)" in texts["source"]
    extent = {name: float(value) for name, value in items["map"].find("Extent").attrib.items()}
    assert extent["xmin"] < 600000 < 601600 < extent["xmax"]
    assert extent["ymin"] < 5198800 < 5200000 < extent["ymax"]
    linked = {items[name].get("mapUuid") for name in ("north arrow", "scale bar", "scale")}
    assert {*linked, items["legend"].get("map_uuid")} == {items["map"].get("uuid")}
    view = root.find("ProjectViewSettings/DefaultViewExtent")
    assert [float(view.get(name)) for name in ("xmin", "ymin", "xmax", "ymax")] == [
        600000, 5198800, 601600, 5200000,
    ]  # fmt: skip


def test_a_scene_that_lies_nowhere_has_no_scale(tmp_path):
    file = write_colors(tmp_path / "photo.tif", crs=None, transform=Affine.identity())
    root = read(make_product(tmp_path / "out", geodl.open_scene(file, ungeoreferenced=True)))
    assert {item.get("id") for item in root.iter("LayoutItem")} == {
        "page", "map", "title", "subtitle", "source", "legend",
    }  # fmt: skip
    assert root.find("projectCrs/spatialrefsys/wkt") is None
    assert "./imagery.vrt" in layers(root)


# --- imagery


def stretches(renderer):
    names = [f"{color}ContrastEnhancement" for color in ("red", "green", "blue")]
    return [[float(renderer.findtext(f"{name}/{end}Value")) for end in ("min", "max")] for name in names]


def test_imagery_is_in_natural_colours_between_2_and_98_percent(tmp_path, scene_file):
    root = read(make_product(tmp_path / "out", geodl.open_scene(scene_file)))
    renderer = layers(root)["../../valley.tif"].find("pipe/rasterrenderer")
    assert [renderer.get(f"{color}Band") for color in ("red", "green", "blue")] == ["3", "2", "1"]
    with rasterio.open(scene_file) as file:
        values = file.read((3, 2, 1)).reshape(3, -1) * 0.0001  # QGIS applies the scale of the band
    np.testing.assert_allclose(stretches(renderer), np.percentile(values, (2, 98), axis=1).T, rtol=1e-6)


def test_without_blue_imagery_is_shown_as_infrared_film_shows_it(tmp_path):
    file = write_colors(tmp_path / "film.tif", names=("green", "red", "nir"))
    root = read(make_product(tmp_path / "out", geodl.open_scene(file)))
    renderer = layers(root)["../../film.tif"].find("pipe/rasterrenderer")
    assert [renderer.get(f"{color}Band") for color in ("red", "green", "blue")] == ["3", "2", "1"]


def test_one_band_is_grey(tmp_path):
    file = write_colors(tmp_path / "pan.tif", names=("pan",))
    root = read(make_product(tmp_path / "out", geodl.open_scene(file)))
    renderer = layers(root)["../../pan.tif"].find("pipe/rasterrenderer")
    assert (renderer.get("type"), renderer.get("grayBand")) == ("singlebandgray", "1")


def test_of_a_large_scene_windows_are_read_and_the_stretch_is_nearly_the_same(tmp_path, monkeypatch):
    file = write_colors(tmp_path / "large.tif", height=700, width=900)
    scene = geodl.open_scene(file)
    whole = imagery._stretch(imagery._sample(scene))
    monkeypatch.setattr(imagery, "_WHOLE", 1000)
    monkeypatch.setattr(imagery, "_SIDE", 16)
    sample = imagery._sample(scene)
    assert sample.shape == (4, 64 * 16 * 16)
    np.testing.assert_allclose(imagery._stretch(sample), whole, rtol=0.05)


def test_dates_share_their_stretch(tmp_path):
    files = [write_colors(tmp_path / f"place_{year}.tif", seed=year) for year in (2023, 2024)]
    product = make_product(tmp_path / "out", geodl.open_pair(*files), task="change")
    root = read(product)
    assert tree(root.find("layer-tree-group"))[-1] == ["Imagery", "After: place_2024", "Before: place_2023"]
    found = layers(root)
    after, before = (
        stretches(found[f"../../place_{year}.tif"].find("pipe/rasterrenderer")) for year in (2024, 2023)
    )
    assert after == before
    assert label_texts(root)["subtitle"].endswith("2023 to 2024")


def test_bands_of_several_files_are_joined_without_copying_pixels(tmp_path):
    files = []
    for number, name in enumerate(("red", "green", "blue")):
        size = {"height": 60, "width": 80, "transform": Affine(20, 0, 600000, 0, -20, 5200000)}
        file = write_colors(
            tmp_path / f"valley_{name}.tif", names=(name,), seed=number, **(size if name == "blue" else {})
        )
        files.append(file)
    product = make_product(tmp_path / "out", geodl.open_scene(files, bands="red,green,blue"))
    renderer = layers(read(product))["./imagery.vrt"].find("pipe/rasterrenderer")
    assert [renderer.get(f"{color}Band") for color in ("red", "green", "blue")] == ["1", "2", "3"]
    with rasterio.open(product / "imagery.vrt") as joined, rasterio.open(files[0]) as red:
        assert (joined.crs, joined.transform, joined.shape) == (red.crs, red.transform, red.shape)
        np.testing.assert_array_equal(joined.read(1), red.read(1))
        assert joined.read(3).std() > 0  # the coarser one is resampled
    shutil.move(tmp_path / "out", tmp_path / "moved")
    with rasterio.open(tmp_path / "moved" / product.name / "imagery.vrt") as joined:
        assert joined.read(2).any()


def test_masked_pixels_are_transparent(tmp_path):
    mask = np.full((120, 160), 255, np.uint8)
    mask[:40, :50] = 0
    file = write_colors(tmp_path / "masked.tif", mask=mask)
    product = make_product(tmp_path / "out", geodl.open_scene(file))
    renderer = layers(read(product))["./imagery.vrt"].find("pipe/rasterrenderer")
    assert renderer.get("alphaBand") == "4"
    with rasterio.open(product / "imagery.vrt") as joined:
        np.testing.assert_array_equal(joined.read(4), mask)


def test_an_opacity_in_the_file_is_applied_and_no_data_keeps_its_digits(tmp_path):
    alpha = np.full((50, 60), 255, np.uint8)
    alpha[10:20] = 0
    fields = {"driver": "GTiff", "height": 50, "width": 60, "crs": "EPSG:32632", "count": 4, "dtype": "uint8"}
    place = Affine(1, 0, 600000, 0, -1, 5200000)
    with rasterio.open(
        tmp_path / "drone.tif", "w", transform=place, photometric="RGB", alpha="YES", **fields
    ) as file:
        file.write(np.stack([alpha // 3, alpha // 2, alpha // 4, alpha]))
    product = make_product(tmp_path / "out", geodl.open_scene(tmp_path / "drone.tif"))
    with rasterio.open(product / "imagery.vrt") as joined:
        np.testing.assert_array_equal(joined.read(4), alpha)
    lowest = float(np.finfo(np.float32).min)
    band = StackBand(path="./a.tif", band=1, dtype="float32", size=(5, 6), nodata=lowest)
    write_stack([band], tmp_path / "a.vrt", grid=RasterGrid(height=5, width=6))
    assert float(Xml.parse(tmp_path / "a.vrt").findtext("VRTRasterBand/NoDataValue")) == lowest


def test_imagery_that_is_gone_is_an_error(tmp_path, scene_file):
    scene = geodl.open_scene(scene_file)
    scene_file.unlink()
    with pytest.raises(SceneError, match="put the file back"):
        make_product(tmp_path / "out", scene)
    assert not (tmp_path / "out" / "valley").exists()


# --- the file


def test_the_same_product_makes_the_same_bytes(tmp_path, scene_file):
    scene = geodl.open_scene(scene_file)
    first, second = (make_product(tmp_path / name, scene) / "map.qgz" for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert [entry.date_time for entry in archive.infolist()] == [(1980, 1, 1, 0, 0, 0)]


def test_files_of_one_tree_are_found_again_after_it_was_moved():
    assert path_from(Path("/data/out/a"), Path("/data/scenes/b.tif")) == "../../scenes/b.tif"
    assert path_from(Path("/data/out"), Path("/data/out/b.tif")) == "./b.tif"
    assert path_from(Path("/data/out"), Path("/other/b.tif")) == "/other/b.tif"


def test_a_project_that_cannot_be_written_names_the_file(tmp_path):
    project = MapProject(title="t", extent=Bounds(0, 0, 1, 1), groups=())
    with pytest.raises(ProductError, match=r"nowhere/map\.qgz"):
        write_project(project, tmp_path / "nowhere" / "map.qgz")


# --- names


def test_hostile_names_stay_text(tmp_path, scene_file):
    scene = geodl.open_scene(scene_file).rename("[% 7 * 191 %] <script> & \"'\x07 水 " + "long " * 40)
    product = make_product(tmp_path / "out", scene, classes=HOSTILE, title="<b>[% 1 %]</b>")
    root = read(product)
    assert not [element for element in root.iter() if element.tag in ("script", "b")]
    shown = [e.get("label").replace(BREAK, "") for e in layers(root)["./landcover.tif"].iter("paletteEntry")]
    assert shown[0] == HOSTILE[0].name
    assert shown[1].replace("\N{ZERO WIDTH NON-JOINER}", "") == HOSTILE[1].name
    assert len(shown[2]) < 100
    texts = [value for element in root.iter() for value in element.attrib.values()]
    texts += [element.text or "" for element in root.iter()]
    assert not [text for text in texts if "[%" in text]  # what QGIS would compute
    # Qt writes these two into exported SVG without escaping them.
    assert not set("<>&") & set(root.findtext("title") + root.findtext("projectMetadata/abstract"))
    assert json.loads((product / "manifest.json").read_text())["files"]


@given(st.text())
def test_any_text_can_be_a_name(text):
    layer = Layer(title=text, source=f"./{text}", style=None)
    project = MapProject(
        title=text, subtitle=text, source=(text,), licence=text, legend=text, extent=Bounds(0, 0, 1, 1),
        groups=(Group(title=text, layers=(layer,)),),
    )  # fmt: skip
    root = Xml.fromstring(document(project))
    (found,) = root.iter("maplayer")
    assert (found.findtext("layername") or "").replace("\r", "") == plain(text).replace("\r", "")
    assert identifier(text).isascii()


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])), st.integers(2, 40))
def test_lines_keep_the_words_and_their_width(text, width):
    lines = lines_of(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(len(line) <= width for line in lines)
    assert breakable(text, width).count(BREAK) <= 2


@given(st.integers(1, 254))
def test_a_legend_ends_above_the_north_arrow(lines):
    size, columns = legend_size(lines)
    assert size * 5.55 / 9 * -(-lines // columns) <= 112 * 1.05
    assert (size == 9) == (lines <= 20)


@given(st.floats(1, 1e6), st.floats(1, 1e6))
def test_the_map_shows_the_whole_scene_at_a_round_scale(width, height):
    frame = framed(Bounds(0, 0, width, height), 1.3)
    found = at_round_scale(frame, 0.2)
    assert found.left < 0 < width < found.right
    assert found.bottom < 0 < height < found.top
    scale = (found.right - found.left) / 0.2
    assert float(f"{scale:.2g}") == pytest.approx(scale, rel=1e-6)
    assert scale < 1.11 * (frame.right - frame.left) / 0.2
    length, unit = scale_segment(found, rasterio.crs.CRS.from_epsg(32632), 200)
    share = length * (1000 if unit == "km" else 1) / (found.right - found.left)
    assert 0.04 < share <= 0.126
