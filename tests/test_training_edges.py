"""Labels of buildings and roads: rims that keep houses apart, files that are missing, parts that count."""

from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import yaml
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from scipy.ndimage import binary_erosion, label
from shapely.geometry import LineString, box

from geodl.assess.labels import EdgedLabels, open_labels
from geodl.errors import RecipeError
from geodl.tiles import Window
from geodl.training.description import make_spec
from geodl.training.plots import decode, find_pairs
from geodl.training.recipe import load_recipe

WORKFLOWS = Path(__file__).resolve().parent.parent / "workflows"
CRS = "EPSG:32632"
TRANSFORM = Affine(0.5, 0, 600000, 0, -0.5, 5200000)
GRID = GeoBox((40, 40), TRANSFORM, CRS)
CLASSES = [
    {"value": 0, "name": "background", "color": "#ffffff"},
    {"value": 1, "name": "building", "color": "#c1440e"},
    {"value": 2, "name": "building edge", "color": "#7a1f04"},
]
EDGES = {"of": "building", "into": "building edge", "pixels": 2}


class Drawn:
    """Labels in memory."""

    def __init__(self, codes, features=None):
        self.codes = codes.astype(np.uint8)
        self.numbers = np.zeros(codes.shape, np.int32) if features is None else features.astype(np.int32)

    def read(self, window):
        return self.codes[window.slices].copy()

    def features(self, window):
        return self.numbers[window.slices]


def edged(codes, features=None, pixels=2):
    return EdgedLabels(Drawn(codes, features), codes.shape, of=1, into=2, pixels=pixels)


def whole(labels, shape):
    return labels.read(Window(0, 0, *shape))


def squares(*places):
    """Boxes of (row, column, height, width) in pixels of GRID, on the ground."""
    shapes = []
    for row, column, height, width in places:
        left, top = TRANSFORM @ (column, row)
        right, bottom = TRANSFORM @ (column + width, row + height)
        shapes.append(box(left, bottom, right, top))
    return geopandas.GeoDataFrame(geometry=shapes, crs=CRS)


def write_image(path, value=100, side=40, georeferenced=True, **profile):
    placed = {"crs": CRS, "transform": TRANSFORM} if georeferenced else {}
    pixels = np.random.default_rng(3).integers(value, value + 50, (3, side, side)).astype(np.uint8)
    with rasterio.open(
        path, "w", driver="GTiff" if path.suffix == ".tif" else "PNG", count=3, height=side, width=side,
        dtype="uint8", **placed, **profile,
    ) as file:  # fmt: skip
        file.write(pixels)
    return path


def write_recipe(folder, sources, **changes):
    content = {
        "name": "small", "task": "buildings", "bands": ["red", "green", "blue"], "units": "digital_number",
        "classes": CLASSES, "edges": EDGES, "sources": sources, **changes,
    }  # fmt: skip
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_the_rim_of_a_mask_is_what_erosion_takes(seed, pixels):
    random = np.random.default_rng(seed)
    codes = np.kron(random.integers(0, 2, (5, 6)), np.ones((7, 7), int))
    found = whole(edged(codes, pixels=pixels), codes.shape)
    size = np.ones((2 * pixels + 1,) * 2)
    inner = binary_erosion(np.pad(codes == 1, pixels, mode="edge"), size)[pixels:-pixels, pixels:-pixels]
    np.testing.assert_array_equal(found == 1, inner)
    np.testing.assert_array_equal(found > 0, codes == 1)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(2, 11), st.integers(2, 11))
def test_the_rim_does_not_depend_on_windows(seed, pixels, height, width):
    random = np.random.default_rng(seed)
    codes = random.choice([0, 1, 1, 1, 255], (23, 19))
    numbers = np.kron(random.integers(1, 5, (6, 5)), np.ones((4, 4), int))[:23, :19]
    labels = edged(codes, numbers, pixels)
    expected = whole(labels, codes.shape)
    for row in range(0, 23, height):
        for column in range(0, 19, width):
            window = Window(row, column, min(height, 23 - row), min(width, 19 - column))
            np.testing.assert_array_equal(labels.read(window), expected[window.slices])


def test_the_border_of_the_scene_and_unknown_ground_are_no_rims():
    codes = np.ones((12, 12), int)
    codes[4:8, 4:8] = 255
    np.testing.assert_array_equal(whole(edged(codes), codes.shape), codes)


def test_houses_that_touch_come_apart(tmp_path):
    path = tmp_path / "houses.gpkg"
    squares((10, 5, 8, 9), (10, 14, 8, 9), (18, 14, 8, 9)).to_file(path)
    with open_labels(path, GRID, background=0) as labels:
        plain = whole(labels, GRID.shape)
        found = whole(EdgedLabels(labels, GRID.shape, of=1, into=2, pixels=1), GRID.shape)
    assert label(plain == 1)[1] == 1
    assert label(found == 1, structure=np.ones((3, 3)))[1] == 3
    assert (found == 1).sum() == 3 * 6 * 7
    np.testing.assert_array_equal(found > 0, plain == 1)


def test_a_recipe_makes_the_rim_a_class_that_no_file_need_hold(tmp_path):
    for name in ("a", "b"):
        write_image(tmp_path / f"{name}.tif")
        squares((5, 5, 10, 10), (5, 15, 10, 10)).to_file(tmp_path / f"{name}.gpkg")
    recipe = load_recipe(
        write_recipe(
            tmp_path,
            [
                {"scenes": f"{name}.tif", "labels": "{stem}.gpkg", "background": 0, "role": role}
                for name, role in (("a", "train"), ("b", "validation"))
            ],
        )
    )
    assert recipe.mapping == {0: 0, 1: 1}
    plots = decode(recipe, tmp_path / "run", gap=0)
    assert plots[0].train == (1400, 2 * 36, 200 - 2 * 36)
    assert plots[1].validation == plots[0].train


def test_without_a_label_file_there_is_nothing_only_if_the_recipe_says_so(tmp_path):
    for name in ("a", "b"):
        write_image(tmp_path / f"{name}.tif")
    squares((5, 5, 10, 10)).to_file(tmp_path / "a.gpkg")
    source = {"scenes": "[ab].tif", "labels": "{stem}.gpkg", "background": 0, "role": "train"}
    held_out = {"scenes": "a.tif", "labels": "{stem}.gpkg", "background": 0, "role": "validation"}
    with pytest.raises(RecipeError, match=r"b\.gpkg does not exist.*missing: background"):
        find_pairs(load_recipe(write_recipe(tmp_path, [source, held_out])))
    recipe = load_recipe(write_recipe(tmp_path, [{**source, "missing": "background"}, held_out]))
    plots = decode(recipe, tmp_path / "run", gap=0)
    assert plots[0].train == (1500, 36, 64)
    assert plots[1].train == (1600, 0, 0)
    (kept, _) = find_pairs(
        load_recipe(write_recipe(tmp_path, [{**source, "missing": "leave_out"}, held_out]))
    )
    assert kept.scene[0].name == "a.tif"
    wrong = {**source, "missing": "background", "labels": "{stem}.geojson"}
    with pytest.raises(RecipeError, match="no scene has a label file"):
        find_pairs(load_recipe(write_recipe(tmp_path, [wrong, held_out])))
    bare = {**source, "labels": "none"}
    plots = decode(load_recipe(write_recipe(tmp_path, [bare, held_out])), tmp_path / "bare", gap=0)
    assert [plot.train for plot in plots[:2]] == [(1600, 0, 0)] * 2


def test_each_source_may_name_its_classes_in_its_own_way(tmp_path):
    colours = np.zeros((3, 40, 40), np.uint8)
    colours[:, :20] = np.array([60, 16, 152], np.uint8)[:, None, None]
    colours[:, 30:] = np.array([110, 193, 228], np.uint8)[:, None, None]
    codes = np.zeros((1, 40, 40), np.uint8)
    codes[:, 10:30] = 255
    for name, mask in (("a", colours), ("b", codes)):
        write_image(tmp_path / f"{name}.tif", georeferenced=False)
        with rasterio.open(
            tmp_path / f"{name}.png", "w", driver="PNG", count=len(mask), height=40, width=40, dtype="uint8"
        ) as file:
            file.write(mask)
    recipe = load_recipe(
        write_recipe(
            tmp_path,
            [
                {"scenes": "a.tif", "labels": "a.png", "role": "train", "ungeoreferenced": True,
                 "classes": {"building": ["#3C1098"], "background": ["#6ec1e4"]}},
                {"scenes": "b.tif", "labels": "b.png", "role": "validation", "ungeoreferenced": True,
                 "classes": {"building": [255], "background": [0]}},
            ],
        )
    )  # fmt: skip
    first, second = decode(recipe, tmp_path / "run", gap=0)
    labels = np.asarray(first.labels("train"))
    assert (labels[:20] == 1).all()  # what lies beside it is unknown: no rim
    assert (labels[20:30] == 255).all()
    assert (labels[30:] == 0).all()
    assert second.validation == (800, 16 * 40, 4 * 40)


def test_only_the_rows_and_columns_named_count(tmp_path):
    write_image(tmp_path / "a.tif")
    line = LineString([TRANSFORM @ (0, 20), TRANSFORM @ (40, 20)])
    geopandas.GeoDataFrame(geometry=[line], crs=CRS).to_file(tmp_path / "a.gpkg")
    source = {"scenes": "a.tif", "labels": "a.gpkg", "background": 0, "width": 4}
    recipe = load_recipe(
        write_recipe(
            tmp_path,
            [
                {**source, "role": "train", "rows": [0, 30], "columns": [10, 40]},
                {**source, "role": "validation", "resample": 1.0, "rows": [0, 12]},
            ],
            edges=None,
        )
    )
    fine, coarse = decode(recipe, tmp_path / "run", gap=0)
    labels = np.asarray(fine.labels("train"))
    assert (labels[30:] == 255).all()
    assert (labels[:, :10] == 255).all()
    assert (labels[16:24, 10:] == 1).all()  # 4 m at 0.5 m
    assert fine.train == (22 * 30, 8 * 30, 0)
    assert (coarse.height, coarse.width) == (20, 20)
    assert coarse.validation == (8 * 20, 4 * 20, 0)


def test_what_the_mask_of_a_scene_hides_does_not_count(tmp_path):
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        path = write_image(tmp_path / "a.tif")
        with rasterio.open(path, "r+") as file:
            seen = np.full((40, 40), 255, np.uint8)
            seen[:, 25:] = 0
            file.write_mask(seen)
    codes = np.zeros((1, 40, 40), np.uint8)
    codes[:, 10:20] = 1  # the road of the labels runs on where there is no image
    with rasterio.open(
        tmp_path / "road.tif", "w", driver="GTiff", count=1, height=40, width=40, dtype="uint8",
        crs=CRS, transform=TRANSFORM,
    ) as file:  # fmt: skip
        file.write(codes)
    source = {"scenes": "a.tif", "labels": "road.tif"}
    recipe = load_recipe(
        write_recipe(tmp_path, [{**source, "role": "train"}, {**source, "role": "validation"}], edges=None)
    )
    plot = decode(recipe, tmp_path / "run", gap=0)[0]
    assert plot.train == (30 * 25, 10 * 25, 0)
    assert (np.asarray(plot.labels("train"))[:, 25:] == 255).all()


def test_a_source_may_lie_in_another_folder(tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    for folder in ("here", "there"):
        write_image(tmp_path / folder / "a.tif")
        squares((5, 5, 10, 10)).to_file(tmp_path / folder / "a.gpkg")
    source = {"scenes": "a.tif", "labels": "{folder}/{stem}.gpkg", "background": 0}
    recipe = load_recipe(
        write_recipe(
            tmp_path,
            [{**source, "role": "train"}, {**source, "role": "validation", "root": "there"}],
            data_root="here",
        )
    )
    assert [pair.scene[0].parent.name for pair in find_pairs(recipe)] == ["here", "there"]
    assert [pair.labels.parent.name for pair in find_pairs(recipe)] == ["here", "there"]
    assert str(tmp_path) not in str(recipe.written())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"edges": {"of": "house", "into": "building edge"}}, "no class 'house'; the classes are background"),
        ({"edges": {"of": "building", "into": "building"}}, "must become another class"),
        ({"edges": {"of": "building", "into": "building edge", "pixels": 0}}, r"edges\.pixels"),
        ({"of_source": {"house": [1]}}, "no class 'house'"),
        ({"of_source": {"building": [1], "background": [1]}}, "label value occurs twice"),
        ({"missing": "background"}, "`missing: background` needs `background`"),
        ({"labels": "none"}, "`labels: none` needs `background`"),
        ({"rows": [9, 9]}, "`rows`"),
    ],
)
def test_contradictions_are_refused(tmp_path, changes, message):
    whole = {key: value for key, value in changes.items() if key == "edges"}
    part = {{"of_source": "classes"}.get(key, key): changes[key] for key in changes if key not in whole}
    source = {"scenes": "a.tif", "labels": "a.tif", **part}
    with pytest.raises(RecipeError, match=message):
        load_recipe(write_recipe(tmp_path, [source], **whole))


@pytest.mark.parametrize("name", ["buildings", "roads"])
def test_the_recipes_are_valid(name):
    recipe = load_recipe(WORKFLOWS / f"{name}.yaml")
    assert (recipe.name, recipe.task) == (name, name)
    assert make_spec(recipe).band_names == ["red", "green", "blue"]
    assert recipe.licence
    trained = [pattern for source in recipe.sources if source.role == "train" for pattern in source.patterns]
    assert not any("massachusetts" in pattern or "inria" in pattern for pattern in trained)  # no licence


def test_tiles_of_a_web_map_become_buildings_with_rims(real_data, tmp_path):
    place = real_data / "buildings" / "fair_oam" / "kampala_ug"
    recipe = load_recipe(WORKFLOWS / "buildings.yaml")
    sources = [
        source.model_copy(
            update={
                "root": place,
                "scenes": "images/*-19.png",
                "labels": "labels/{stem}.geojson",
                "missing": "leave_out",
            }
        )
        for source in recipe.sources
        if source.xyz
    ]
    plots = decode(recipe.model_copy(update={"sources": sources}), tmp_path, gap=0)
    alone = [plot for plot in plots if sum(plot.train)]
    assert len(alone) == 6  # of seven: one has no file and is full of houses
    built = sum(plot.train[1] + plot.train[2] for plot in alone) / sum(sum(plot.train) for plot in alone)
    assert 0.02 < built < 0.5
    for plot in alone:
        labels = np.asarray(plot.labels("train"))
        beside = binary_erosion(labels != 0, np.ones((3, 3)), border_value=1)
        assert (beside | (labels != 1)).all()  # between a house and the ground there is always a rim
