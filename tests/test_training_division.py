"""How scenes are divided: by blocks, scenes and polygons, in folds, with a gap; and what is learnt from."""

import geopandas
import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import maximum_filter
from scipy.stats import chi2_contingency, chisquare
from shapely.geometry import Point, box

from geodl.errors import RecipeError
from geodl.training.plots import decode
from geodl.training.recipe import Recipe
from geodl.training.samples import Draws, band_statistics
from geodl.training.split import choose_folds
from geodl.training.split_map import PARTS, draw_split, split_codes

SIZE = (96, 128)
CLASSES = [
    {"value": 1, "name": "a", "color": "#aa0000"},
    {"value": 2, "name": "b", "color": "#00aa00"},
    {"value": 3, "name": "c", "color": "#0000aa"},
]


def write_pair(folder, stem, *, seed, left=500000.0, top=5200000.0, size=SIZE):
    """Two bands of noise around the class, and labels of three classes in patches; a corner unlabelled."""
    rng = np.random.default_rng(seed)
    labels = np.kron(
        rng.choice([1, 2, 3], (size[0] // 8, size[1] // 8), p=[0.7, 0.25, 0.05]), np.ones((8, 8))
    )
    labels = labels.astype(np.uint8)
    pixels = (60 * labels + rng.normal(0, 9, (2, *size))).clip(1, 255).astype(np.uint8)
    labels[:16, :16] = 0
    profile = {
        "driver": "GTiff", "height": size[0], "width": size[1], "dtype": "uint8", "crs": "EPSG:32632",
        "transform": Affine(10, 0, left, 0, -10, top),
    }  # fmt: skip
    with rasterio.open(folder / f"{stem}.tif", "w", count=2, nodata=0, **profile) as file:
        file.write(pixels)
        file.descriptions = ("red", "nir")
    (folder / "labels").mkdir(exist_ok=True)
    with rasterio.open(folder / "labels" / f"{stem}.tif", "w", count=1, **profile) as file:
        file.write(labels, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two dates of one place, a neighbour that overlaps it, and two places elsewhere."""
    folder = tmp_path_factory.mktemp("places")
    write_pair(folder, "home_2023", seed=1)
    write_pair(folder, "home_2024", seed=1)
    write_pair(folder, "next", seed=2, left=501000)
    write_pair(folder, "far", seed=3, left=520000)
    write_pair(folder, "farther", seed=4, left=540000)
    return folder


def recipe_of(folder, *, scenes="*.tif", **changes):
    source = {"scenes": scenes, "labels": "labels/{stem}.tif", **changes.pop("source", {})}
    return Recipe.model_validate(
        {
            "name": "places",
            "bands": ["red", "nir"],
            "units": "digital_number",
            "classes": CLASSES,
            "parameters": {"widths": [4, 8], "blocks": 1},
            "data_root": folder,
            "sources": changes.pop("sources", [source]),
            **changes,
        }
    )


def parts(plot):
    """Pixels used for training and for validation, bool each."""
    nothing = np.zeros((plot.height, plot.width), dtype=bool)
    return tuple(
        np.asarray(plot.labels(role)) != 255 if sum(getattr(plot, role)) else nothing
        for role in ("train", "validation")
    )


@given(st.integers(2, 6), st.integers(0, 3), st.integers(6, 40))
def test_folds_are_equal_parts_of_the_labelled_blocks(folds, seed, blocks):
    rng = np.random.default_rng(blocks)
    counts = rng.integers(0, 50, (blocks, 3)) * (rng.random(blocks) < 0.8)[:, None]
    numbers = choose_folds(counts, folds, seed)
    labelled = counts.sum(axis=1) > 0
    assert ((numbers == -1) == ~labelled).all()
    sizes = np.bincount(numbers[labelled], minlength=folds)
    assert len(sizes) == folds
    assert sizes.max() - sizes.min() <= 1
    np.testing.assert_array_equal(numbers, choose_folds(counts, folds, seed))


def test_each_labelled_pixel_is_held_out_in_exactly_one_fold(folder, tmp_path):
    recipe = recipe_of(folder, scenes="*ar*.tif", split={"block": 16, "folds": 4, "gap": 3})
    times = [np.zeros(SIZE, dtype=int) for _ in range(2)]
    for fold in range(4):
        plots = decode(recipe.with_fold(fold), tmp_path / str(fold), gap=99)
        for plot, count in zip(plots, times, strict=True):
            train, held_out = parts(plot)
            count += held_out
            assert not (maximum_filter(held_out, size=7) & train).any()
            known = np.asarray(plot.labels("all")) != 255
            assert not (held_out & ~known).any()
    for plot, count in zip(plots, times, strict=True):
        np.testing.assert_array_equal(count, np.asarray(plot.labels("all")) != 255)


def test_the_default_gap_is_the_one_that_is_asked_for(folder, tmp_path):
    recipe = recipe_of(folder, scenes="far.tif", split={"block": 32})
    (plot,) = decode(recipe, tmp_path, gap=9)
    train, held_out = parts(plot)
    assert not (maximum_filter(held_out, size=19) & train).any()
    assert (maximum_filter(held_out, size=21) & train).any()


def test_dates_of_one_place_are_divided_alike(folder, tmp_path):
    with rasterio.open(folder / "home_2024.tif", "r+") as file:
        pixels = file.read()
        pixels[:, 40:70, 40:90] = 0  # a cloud: labels are unknown under it, so blocks hold other counts
        file.write(pixels)
    plots = decode(recipe_of(folder, scenes="home_*.tif", split={"block": 16, "gap": 0}), tmp_path, gap=0)
    (train, held_out), (other_train, other_held_out) = map(parts, plots)
    assert (other_held_out != held_out).any()
    assert not (held_out & other_train).any()
    assert not (other_held_out & train).any()


def test_ground_that_another_scene_holds_out_is_not_learnt_from(folder, tmp_path):
    # `next` begins 100 columns east of `home_2023`, whose last 28 columns it shows too.
    recipe = recipe_of(folder, scenes=["home_2023.tif", "next.tif"], split={"block": 16, "gap": 3})
    home, after = map(parts, decode(recipe, tmp_path, gap=0))
    size = (SIZE[0], 100 + SIZE[1])
    ground = {name: np.zeros((2, *size), dtype=bool) for name in ("train", "validation")}
    for number, name in enumerate(ground):
        ground[name][0, :, : SIZE[1]] = home[number]
        ground[name][1, :, 100:] = after[number]
    for one, other in ((0, 1), (1, 0)):
        near = maximum_filter(ground["validation"][one], size=7)
        assert (near[:, 100 : SIZE[1]]).any()
        assert not (near & ground["train"][other])[:, 103 : SIZE[1] - 3].any()
        assert ground["train"][other][:, 103 : SIZE[1] - 3].any()


@pytest.mark.parametrize("seed", range(4))
def test_by_scene_scenes_that_overlap_stay_together(folder, tmp_path, seed):
    recipe = recipe_of(folder, split={"by": "scene", "validation": 0.34}, seed=seed)
    plots = {plot.name: plot for plot in decode(recipe, tmp_path, gap=0)}
    roles = {name: "validation" if sum(plot.validation) else "train" for name, plot in plots.items()}
    assert all(not sum(plot.train) or not sum(plot.validation) for plot in plots.values())
    assert roles["home_2023"] == roles["home_2024"] == roles["next"]
    assert set(roles.values()) == {"train", "validation"}
    known = np.asarray(plots["far"].labels("all")) != 255
    assert sum(plots["far"].train) + sum(plots["far"].validation) == known.sum()


def test_folds_of_scenes(folder, tmp_path):
    recipe = recipe_of(folder, split={"by": "scene", "folds": 3})
    held_out = []
    for fold in range(3):
        plots = decode(recipe.with_fold(fold), tmp_path / str(fold), gap=0)
        held_out.append({plot.name for plot in plots if sum(plot.validation)})
    assert sorted(name for names in held_out for name in names) == sorted(
        ["home_2023", "home_2024", "next", "far", "farther"]
    )


@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:4326"])
def test_by_polygons_what_lies_inside_is_held_out(folder, tmp_path, crs):
    area = box(520302, 5199402, 520702, 5199702)  # columns 30..69, rows 30..59 of `far`
    frame = geopandas.GeoDataFrame(geometry=[area], crs="EPSG:32632").to_crs(crs)
    frame.to_file(folder / "areas.gpkg")
    recipe = recipe_of(
        folder, scenes="far*.tif", split={"by": "polygons", "polygons": "areas.gpkg", "gap": 6}
    )
    far, farther = decode(recipe, tmp_path, gap=0)
    train, held_out = parts(far)
    expected = np.zeros(SIZE, dtype=bool)
    expected[30:60, 30:70] = True
    np.testing.assert_array_equal(held_out, expected)
    assert not (maximum_filter(held_out, size=13) & train).any()
    assert (train | maximum_filter(held_out, size=13))[20:].all()
    assert not sum(farther.validation)
    assert sum(farther.train) == parts(farther)[0].sum() > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scenes": "far.tif", "split": {"by": "scene"}}, r"fewer than two places.*divide by blocks"),
        ({"scenes": "home*.tif", "split": {"by": "scene"}}, r"split\.by: there are fewer than two places"),
        ({"split": {"by": "scene", "folds": 4}}, r"3 labelled places cannot make 4 folds"),
        ({"scenes": "far.tif", "split": {"folds": 5, "block": 64}}, r"4 labelled blocks cannot make 5 folds"),
        ({"split": {"by": "polygons", "polygons": "no.gpkg"}}, r"no\.gpkg does not exist"),
        ({"scenes": "far.tif", "split": {"block": 32, "gap": 90}}, r"split: no labelled pixel is left"),
        ({"scenes": "far.tif", "classes": [{**c, "value": 7 + c["value"]} for c in CLASSES]},
         r"split\.block: scene far of 96 x 128 pixels cannot be divided"),
    ],
)  # fmt: skip
def test_what_cannot_be_divided_is_named(folder, tmp_path, changes, message):
    with pytest.raises(RecipeError, match=message):
        decode(recipe_of(folder, **changes), tmp_path, gap=0)


def test_statistics_are_those_of_the_training_part_alone(folder, tmp_path):
    recipe = recipe_of(folder, scenes="far.tif", split={"block": 32, "gap": 4})
    (plot,) = decode(recipe, tmp_path / "before", gap=0)
    before = band_statistics([plot], recipe.bands)
    train, _ = parts(plot)
    for n, band in enumerate(before):
        assert band.mean == pytest.approx(plot.image[n][train].mean(), rel=1e-9)
        assert band.std == pytest.approx(plot.image[n][train].std(), rel=1e-9)
    (tmp_path / "labels").mkdir()
    with rasterio.open(folder / "far.tif") as source, rasterio.open(folder / "labels/far.tif") as labels:
        pixels = source.read()
        pixels[:, ~train] = np.random.default_rng(9).integers(1, 255, (2, int((~train).sum())))
        with rasterio.open(tmp_path / "far.tif", "w", **source.profile) as file:
            file.write(pixels)
            file.descriptions = source.descriptions
        with rasterio.open(tmp_path / "labels" / "far.tif", "w", **labels.profile) as file:
            file.write(labels.read())
    changed = recipe.model_copy(update={"data_root": tmp_path})
    (plot,) = decode(changed, tmp_path / "after", gap=0)
    assert band_statistics([plot], recipe.bands) == before


@pytest.mark.parametrize("balanced", [0.0, 0.5, 1.0])
def test_draws_are_balanced_by_class_and_otherwise_by_area(folder, tmp_path, balanced):
    plots = decode(recipe_of(folder, scenes="*ar*.tif", split={"block": 32, "gap": 0}), tmp_path, gap=0)
    draws, random = Draws(plots, balanced=balanced, seed=0), np.random.default_rng(0)
    counts = np.array([plot.train for plot in plots])
    drawn = np.zeros_like(counts)
    for _ in range(4000):
        number, row, column = draws.draw(random)
        assert plots[number].valid[row, column]
        drawn[number, plots[number].labels("train")[row, column]] += 1
    by_class = counts.sum(axis=0)
    expected = balanced / 3 + (1 - balanced) * by_class / by_class.sum()
    expected = expected * counts / by_class  # within a class by area
    assert chisquare(drawn.ravel(), 4000 * expected.ravel()).pvalue > 1e-3


def test_a_source_of_weight_three_is_drawn_from_as_if_it_were_there_three_times(folder, tmp_path):
    labels = "labels/{stem}.tif"
    roles = {"far": "train", "farther": "train", "next": "validation"}
    far, farther, checked = ({"scenes": f"{n}.tif", "labels": labels, "role": roles[n]} for n in roles)
    recipes = [
        recipe_of(folder, sources=[*sources, farther, checked])
        for sources in ([far | {"weight": 3}], [far, far, far])
    ]
    shares = []
    for number, recipe in enumerate(recipes):
        plots = decode(recipe, tmp_path / str(number), gap=0)
        draws, random = Draws(plots, balanced=0.5, seed=0), np.random.default_rng(0)
        drawn = np.zeros(2)  # in one place and in the other, however often that is there
        for _ in range(4000):
            plot, _, _ = draws.draw(random)
            drawn[int(plots[plot].name == "far")] += 1
        shares.append(drawn)
    assert min(shares[0]) > 0
    assert chi2_contingency(shares).pvalue > 1e-3


def test_the_split_map_shows_every_part(folder, tmp_path, monkeypatch):
    plots = decode(recipe_of(folder, scenes="far.tif", split={"block": 32, "gap": 4}), tmp_path, gap=0)
    codes = split_codes(plots[0])
    train, held_out = parts(plots[0])
    np.testing.assert_array_equal(codes == list(PARTS).index("training"), train)
    np.testing.assert_array_equal(codes == list(PARTS).index("validation"), held_out)
    np.testing.assert_array_equal(
        codes == list(PARTS).index("unlabelled"), np.asarray(plots[0].labels("all")) == 255
    )
    assert (codes == 2).any()
    assert max(split_codes(plots[0], longest=50).shape) <= 50

    monkeypatch.setattr("geodl.training.split_map._PANELS", 4)
    draw_split(plots * 50, tmp_path / "split.png")
    with rasterio.open(tmp_path / "split.png") as picture:
        colours = {tuple(c) for c in picture.read([1, 2, 3]).reshape(3, -1).T.tolist()}
    for colour in PARTS.values():
        assert tuple(bytes.fromhex(colour[1:])) in colours


def test_points_and_tiles_by_name_in_a_recipe(folder, tmp_path):
    points = [Point(520105, 5199495), Point(520505, 5199095)]
    frame = geopandas.GeoDataFrame({"kind": ["a", "b"]}, geometry=points, crs="EPSG:32632")
    frame.to_crs("EPSG:4326").to_file(folder / "points.geojson")
    classes = [{**CLASSES[0], "from": ["a"]}, {**CLASSES[1], "from": ["b"]}]
    source = {"scenes": "far.tif", "labels": "points.geojson", "attribute": "kind"}
    sources = [{**source, "radius": 35.0, "role": "train"}, {**source, "role": "validation"}]
    train, held_out = decode(recipe_of(folder, classes=classes, sources=sources), tmp_path / "points", gap=0)
    assert held_out.validation == (1, 1)
    assert all(30 <= n <= 45 for n in train.train)

    tiles = tmp_path / "tiles"
    for row in (99, 100):
        name = f"18/155/{row}"
        for kind, count in (("images", 3), ("masks", 1)):
            path = tiles / kind / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            with rasterio.open(
                path, "w", driver="PNG", height=32, width=32, count=count, dtype="uint8"
            ) as file:
                file.write(np.full((count, 32, 32), row % 2 + 1, dtype=np.uint8))
    source = {"scenes": "images/*/*/*.png", "labels": "masks/{name}.png", "xyz": "{z}/{x}/{y}"}
    recipe = Recipe.model_validate(
        {
            "name": "tiles", "bands": ["red", "green", "blue"], "units": "digital_number",
            "classes": CLASSES[:2], "pixel_size": 4.8, "data_root": tiles, "sources": [source],
            "split": {"by": "scene"},
        }
    )  # fmt: skip
    plots = decode(recipe, tmp_path / "decoded", gap=0)
    counts = np.array([[plot.train, plot.validation] for plot in plots])  # (plot, role, class)
    assert counts.sum(axis=(0, 1)).tolist() == [1024, 1024]
    assert counts.sum(axis=(0, 2)).tolist() == [1024, 1024]
