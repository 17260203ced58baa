import json
import sys

import numpy as np
import pytest
import rasterio
import torch
import xarray as xr
from affine import Affine
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from pyproj import Transformer
from rio_cogeo import cog_validate
from torch import nn

import geodl
from geodl.cli import main
from geodl.errors import ModelError, OptionError, ProductError
from geodl.explain import explain, write_explanation
from geodl.explain.activation import deepest_layer
from geodl.explain.bars import MOST_BANDS, most_important
from geodl.explain.place import pixel_at
from geodl.explain.result import BandImportance
from geodl.explain.subject import back_to_scene
from geodl.models.bundle import Model
from geodl.models.spec import ClassSpec
from geodl.models.table import build_network
from geodl.scene import open_scene
from geodl.tiles import Window, reflect
from tests.conftest import ROOT, make_model, make_spec, write_scene

VALLEY = ROOT / "sample_scenes" / "s2_valley_2024.tif"


@pytest.fixture(scope="module")
def scene(scene_file):
    return open_scene(scene_file)


@pytest.fixture
def few_steps(monkeypatch):
    """For tests to which the sum of attributions does not matter: random networks need many steps."""
    monkeypatch.setattr("geodl.explain.gradients.MOST_STEPS", 32)


@pytest.fixture(scope="module")
def inputs(scene):
    """What a network with the tiny model's description sees of the whole scene: (bands, y, x)."""
    bands = make_spec().bands
    pixels = scene.compute()
    mean, std = (np.array([getattr(b, k) for b in bands], np.float32)[:, None, None] for k in ("mean", "std"))
    scaled = (pixels.values.astype(np.float32) * np.float32(1e-4) - mean) / std
    return np.where((pixels.values != 0).all(axis=0), scaled, 0)


def with_network(monkeypatch, model, network):
    monkeypatch.setattr(Model, "network", lambda *_: network.eval())
    return model


def place_of_pixel(row, column):
    return 600000 + 10 * (column + 0.5), 5200000 - 10 * (row + 0.5)


def linear(kernel=1, classes=4, seed=1):
    torch.manual_seed(seed)
    return nn.Conv2d(3, classes, kernel_size=kernel, padding=kernel // 2)


def test_a_linear_network_is_explained_exactly(scene, inputs, tiny_model, monkeypatch):
    network = linear()
    found = explain(
        scene, with_network(monkeypatch, tiny_model, network), at=place_of_pixel(150, 200), size=50
    )
    values, weight = inputs[:, 150, 200], network.weight.detach().numpy()[:, :, 0, 0]
    scores = weight @ values + network.bias.detach().numpy()
    number = int(scores.argmax())
    expected = np.zeros((3, 50, 50), np.float32)
    expected[:, 25, 25] = weight[number] * values
    np.testing.assert_allclose(found.attributions.values, expected, atol=1e-5)
    assert found.class_value == (1, 2, 3, 7)[number]
    assert found.completeness.complete
    assert found.completeness.error < 1e-4
    assert found.completeness.baseline_score == pytest.approx(float(network.bias[number]))
    assert found.inside == pytest.approx(1)
    assert found.grad_cam is None

    def probability(seen):
        powers = np.exp(weight @ seen + network.bias.detach().numpy())
        return powers[number] / powers.sum()

    assert found.probability == pytest.approx(probability(values), abs=1e-5)
    sizes = np.abs(weight[number] * values)
    for band, (name, importance) in enumerate(zip(("red", "green", "nir"), found.bands, strict=True)):
        without = np.where(np.arange(3) == band, 0, values)
        assert importance.name == name
        assert importance.drop == pytest.approx(probability(values) - probability(without), abs=1e-5)
        assert importance.attribution == pytest.approx(weight[number, band] * values[band], abs=1e-5)
        assert importance.share == pytest.approx(sizes[band] / sizes.sum(), abs=1e-5)
        changed = (weight @ without + network.bias.detach().numpy()).argmax() != number
        assert importance.changed_target == changed


def test_the_share_of_changed_pixels_is_counted_over_valid_pixels(scene, inputs, tiny_model, monkeypatch):
    network = linear(seed=3)
    found = explain(
        scene, with_network(monkeypatch, tiny_model, network), at=place_of_pixel(60, 60), size=120
    )
    seen = torch.from_numpy(inputs[None, :, :120, :120])
    valid = ~(inputs[:, :120, :120] == 0).all(axis=0)
    assert 0 < valid.sum() < valid.size
    for band, importance in enumerate(found.bands):
        without = seen.clone()
        without[:, band] = 0
        with torch.no_grad():
            changed = (network(seen).argmax(1) != network(without).argmax(1))[0].numpy()
        assert importance.changed_view == pytest.approx(changed[valid].mean(), abs=1e-3)
    assert np.isnan(found.attributions.values[:, ~valid]).all()
    assert (found.classes.values[~valid] == 255).all()


def test_at_the_border_reflected_pixels_count_for_those_they_show(scene, inputs, tiny_model, monkeypatch):
    network = linear(kernel=5)
    found = explain(
        scene, with_network(monkeypatch, tiny_model, network), at=place_of_pixel(229, 309), size=30
    )
    number = [c.value for c in tiny_model.spec.classes].index(found.class_value)
    whole = torch.from_numpy(np.pad(inputs, ((0, 0), (0, 2), (0, 2)), mode="reflect")[None, :, -7:, -7:])
    weight = network.weight.detach()[number]
    onto = np.zeros((3, 7, 7), np.float32)
    onto[:, 2:, 2:] = weight * whole[0, :, 2:, 2:]
    expected = onto[:, :5, :5].copy()
    # Rows 5 and 6 of the cut are the reflection of rows 3 and 2; columns likewise.
    full = onto.copy()
    full[:, 3], full[:, 2] = full[:, 3] + full[:, 5], full[:, 2] + full[:, 6]
    full[:, :, 3], full[:, :, 2] = full[:, :, 3] + full[:, :, 5], full[:, :, 2] + full[:, :, 6]
    expected = full[:, :5, :5]
    np.testing.assert_allclose(found.attributions.values[:, -5:, -5:], expected, atol=1e-5)
    assert found.attributions.values[:, :-5].any() == False  # noqa: E712 - of an array
    assert found.completeness.error < 1e-3


def test_integrated_gradients_equal_a_sum_of_many_gradients(scene, inputs, tiny_model):
    found = explain(scene, tiny_model, at=place_of_pixel(120, 160), size=100)
    number = [c.value for c in tiny_model.spec.classes].index(found.class_value)
    network, top, left = tiny_model.network(), 120 - 32, 160 - 32
    seen = torch.from_numpy(inputs[None, :, top : top + 64, left : left + 64]).float()
    total, steps = torch.zeros_like(seen), 400
    for step in range(steps):
        point = (seen * (step + 0.5) / steps).requires_grad_()
        network(point)[0, number, 32, 32].backward()
        total += point.grad / steps
    ours = found.attributions.values[:, 18 : 18 + 64, 18 : 18 + 64]
    theirs = (total * seen)[0].numpy()
    assert np.abs(ours - theirs).max() < 0.03 * np.abs(theirs).max()
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.999
    difference = found.completeness.score - found.completeness.baseline_score
    assert float(found.attributions.sum()) == pytest.approx(difference, abs=0.02 * max(abs(difference), 0.1))


def test_grad_cam_of_a_linear_network_is_what_its_features_add(scene, inputs, tiny_model, monkeypatch):
    network = nn.Sequential(linear(classes=5), nn.Conv2d(5, 4, 1))
    found = explain(
        scene, with_network(monkeypatch, tiny_model, network), at=place_of_pixel(150, 200), size=40
    )
    number = [c.value for c in tiny_model.spec.classes].index(found.class_value)
    with torch.no_grad():
        features = network[0](torch.from_numpy(inputs[None, :, 130:170, 180:220]))[0]
        expected = (network[1].weight[number, :, 0, 0][:, None, None] * features).sum(0).relu().numpy()
    assert found.grad_cam_layer == "0"
    np.testing.assert_allclose(found.grad_cam.values, expected, atol=1e-4)


@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize(("row", "column"), [(120, 160), (229, 309), (0, 309), (83, 0)])
def test_class_and_probability_are_those_of_the_map(scene, tiny_model, row, column):
    whole = geodl.predict(scene, tiny_model, probabilities=True).compute()
    found = explain(scene, tiny_model, at=place_of_pixel(row, column), size=60)
    assert (found.target.row, found.target.col) == (row, column)
    part = {"y": slice(found.view.row, found.view.row_stop), "x": slice(found.view.col, found.view.col_stop)}
    xr.testing.assert_allclose(found.classes.drop_attrs(), whole["class"].isel(part).drop_attrs())
    assert found.class_value == int(whole["class"][row, column])
    at = whole["probability"][:, row, column]
    for name, value in found.probabilities.items():
        assert value == pytest.approx(float(at.sel(class_name=name)), abs=1e-5)
    assert found.attributions.odc.geobox == scene.odc.geobox[part["y"], part["x"]]


@pytest.mark.usefixtures("few_steps")
def test_what_is_found_does_not_depend_on_what_is_shown(scene, tiny_model):
    small, large = (explain(scene, tiny_model, at=place_of_pixel(121, 163), size=size) for size in (40, 130))
    for name in ("attributions", "grad_cam"):
        one, other = getattr(small, name), getattr(large, name)
        part = other.sel(y=one.y, x=one.x)
        np.testing.assert_allclose(one.values, part.values, atol=1e-4 * float(np.nanmax(np.abs(other))))
    assert small.grad_cam_layer == "bottom"
    assert large.inside == pytest.approx(1)
    assert small.inside < 1
    assert small.completeness == large.completeness


def test_of_a_window_the_pixels_of_the_class_are_explained(scene, inputs, tiny_model, monkeypatch):
    network = linear()
    model = with_network(monkeypatch, tiny_model, network)
    found = explain(scene, model, window=(100, 120, 9, 14), size=30)
    with torch.no_grad():
        classes = network(torch.from_numpy(inputs[None, :, 100:109, 120:134])).argmax(1)[0].numpy()
    number = np.bincount(classes.ravel()).argmax()
    assert found.class_value == (1, 2, 3, 7)[number]
    assert found.pixels == (classes == number).sum()
    inside = found.target.relative_to(found.view).slices
    expected = np.where(
        classes == number,
        network.weight.detach().numpy()[number] * inputs[:, 100:109, 120:134] / found.pixels,
        0,
    )
    np.testing.assert_allclose(found.attributions.values[(slice(None), *inside)], expected, atol=1e-5)


@pytest.mark.usefixtures("few_steps")
def test_of_a_single_place_any_class_may_be_asked_for(scene, tiny_model):
    names = [c.name for c in tiny_model.spec.classes]
    found = {
        name: explain(scene, tiny_model, at=place_of_pixel(90, 90), size=8, class_name=name) for name in names
    }
    assert sum(one.probability for one in found.values()) == pytest.approx(1, abs=1e-5)
    assert {one.class_name for one in found.values()} == set(names)


def test_against_another_class_the_difference_of_scores_is_explained(scene, inputs, tiny_model, monkeypatch):
    network = linear()
    model = with_network(monkeypatch, tiny_model, network)
    options = {"at": place_of_pixel(150, 200), "size": 9, "class_name": "forest"}
    alone, found = (explain(scene, model, **options, against=against) for against in (None, "built-up"))
    weight, bias = network.weight.detach().numpy()[:, :, 0, 0], network.bias.detach().numpy()
    expected = (weight[1] - weight[3]) * inputs[:, 150, 200]
    np.testing.assert_allclose(found.attributions.values[:, 4, 4], expected, atol=1e-5)
    assert found.probability == alone.probability
    assert "rather than" in found.to_text()
    assert "rather than" not in alone.to_text()
    powers = np.exp(bias)
    assert found.baseline_probability == pytest.approx(powers[1] / powers.sum(), abs=1e-5)


def test_a_class_that_the_mean_has_too_is_told(scene, tiny_model, monkeypatch):
    network = linear()
    with torch.no_grad():
        network.bias[0] += 9
    found = explain(
        scene, with_network(monkeypatch, tiny_model, network), at=place_of_pixel(150, 200), size=9
    )
    assert found.class_name == "water"
    assert any("every band is its mean" in note for note in found.notes)


@pytest.mark.usefixtures("few_steps")
def test_networks_that_look_at_whole_tiles_say_so(scene, blend_model):
    found = explain(scene, blend_model, at=place_of_pixel(120, 160))
    assert (found.view.height, found.view.width) == (64, 64)
    assert not found.exact
    assert any("whole tiles" in note for note in found.notes)
    with pytest.raises(OptionError, match="at most 60 x 60"):
        explain(scene, blend_model, window=(100, 100, 90, 20))


def test_attributions_that_do_not_add_up_are_told(scene, tiny_model, monkeypatch):
    monkeypatch.setattr("geodl.explain.gradients.TOLERANCE", 0.0)
    monkeypatch.setattr("geodl.explain.gradients.MOST_STEPS", 48)
    found = explain(scene, tiny_model, at=place_of_pixel(120, 160), size=20)
    assert found.completeness.steps == 48
    assert not found.completeness.complete
    assert any("miss the difference" in note for note in found.notes)
    assert "note: the attributions miss" in found.to_text()


@pytest.mark.parametrize(
    ("changes", "layer"),
    [
        ({}, "bottom"),
        ({"architecture": "segnet", "parameters": {"widths": (4, 8), "convolutions": (1, 2)}}, "decoder.1"),
        (
            {"architecture": "segformer", "parameters": {"encoder": "mit_b0"}, "stitch": "blend", "tile": 128,
             "halo": 32, "stride": 32},
            "encoder.block4",
        ),
        ({"architecture": "fcn", "parameters": {"filters": 4}}, "backbone"),
        ({"architecture": "unet", "parameters": {"encoder": "resnet18", "depth": 3}, "stride": 8, "halo": 24},
         "encoder.layer2"),
    ],
)  # fmt: skip
def test_grad_cam_takes_the_deepest_layer(changes, layer):
    spec = make_spec(**changes)
    network = build_network(spec).eval()
    assert deepest_layer(network, torch.zeros(1, 3, 64, 64), stride=spec.stride) == layer


def test_pooled_context_is_not_the_deepest_layer():
    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 6, 3, stride=4, padding=1), nn.ReLU())
            self.context = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(6, 6, 1))
            self.head = nn.Conv2d(6, 4, 1)

        def forward(self, x):
            deep = self.body(x)
            return nn.functional.interpolate(self.head(deep + self.context(deep)), scale_factor=4)

    assert deepest_layer(Pooled().eval(), torch.zeros(1, 3, 64, 64), stride=4) == "body"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"at": (0, 0)},
            r"--at 0,0.*outside scene valley: x 600000 to 603100.*EPSG:32632.*--at-crs EPSG:4326",
        ),
        ({"at": (600005, 5199995)}, "no data there"),
        ({"window": (0, 0, 4, 4)}, "no data there"),
        ({"at": place_of_pixel(90, 90), "class_name": "lava"}, "--class lava.*water, forest"),
        ({"at": place_of_pixel(90, 90), "against": "lava"}, "--against lava.*water, forest"),
        (
            {"at": place_of_pixel(90, 90), "class_name": "water", "against": "water"},
            "--against water.*another class",
        ),
        ({"at": place_of_pixel(90, 90), "size": 0}, "--size 0"),
        ({"at": place_of_pixel(90, 90), "size": 1025}, "--size 1025.*1 to 1024"),
        ({"at": place_of_pixel(90, 90), "at_crs": "EPSG:nothing"}, "--at-crs EPSG:nothing"),
        ({"at": (9, 200), "at_crs": "EPSG:4326"}, "no place in the coordinate system|outside"),
        ({"at": (float("nan"), 0)}, "no place"),
        ({"at": (1, 1), "window": (0, 0, 1, 1)}, "--at, --window"),
        ({}, "--at, --window"),
        ({"window": (220, 0, 20, 20)}, "--window 220,0,20,20.*230 rows and 310 columns"),
        ({"window": (0, 0, 0, 5)}, "--window 0,0,0,5"),
        ({"at": place_of_pixel(90, 90), "device": "nonsense"}, "--device nonsense"),
    ],
)
def test_what_cannot_be_explained_is_refused(scene, tiny_model, options, message):
    with pytest.raises(OptionError, match=message):
        explain(scene, tiny_model, **options)


def test_a_class_that_a_window_does_not_have_is_refused(scene, tiny_model, monkeypatch):
    network = linear()
    with torch.no_grad():
        network.bias[2] = -1e4
    model = with_network(monkeypatch, tiny_model, network)
    with pytest.raises(OptionError, match=r"--class grassland.*no pixel of the window"):
        explain(scene, model, window=(100, 100, 9, 9), class_name="grassland")


def test_networks_from_onnx_files_are_refused(scene, tiny_model):
    model = Model(
        spec=make_spec(architecture="onnx", parameters={}), folder=tiny_model.folder, hash=tiny_model.hash
    )
    with pytest.raises(ModelError, match=r"gives no gradients.*exported from"):
        explain(scene, model, at=place_of_pixel(90, 90))


def test_captum_must_be_installed(scene, tiny_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "captum", None)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(OptionError, match=r"captum is not installed.*geodl\[explain\]"):
        explain(scene, tiny_model, at=place_of_pixel(90, 90))


@given(
    st.integers(0, 8), st.integers(0, 6), st.floats(-180, 180), st.floats(0.01, 0.99), st.floats(0.01, 0.99)
)
def test_points_in_a_pixel_are_that_pixel(row, column, angle, right, down):
    affine = Affine.translation(5e5, 5e6) @ Affine.rotation(angle) @ Affine.scale(3, -2)
    array = wrap_xr(np.zeros((9, 7), np.uint8), GeoBox((9, 7), affine, "EPSG:32632"))
    scene = array.rename(dict(zip(array.dims, ("y", "x"), strict=True))).expand_dims(band=["red"])
    assert pixel_at(scene, affine @ (column + right, row + down)) == Window(row, column, 1, 1)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(-9, 5), st.integers(-9, 5), st.integers(1, 9))
def test_reflected_values_return_to_their_pixels(height, width, row, column, side):
    generator = np.random.default_rng(0)
    image, values = generator.normal(size=(2, height, width)), generator.normal(size=(2, side, side))
    rows, columns = reflect(row, row + side, height), reflect(column, column + side, width)
    back, inside = back_to_scene(values, Window(row, column, side, side), height, width)
    # What is read by reflection and what is given back are adjoint: both sums pair the same numbers.
    seen = (image[:, rows[:, None], columns] * values).sum()
    assert (image[(slice(None), *inside.slices)] * back).sum() == pytest.approx(seen)


def test_of_many_bands_the_most_important_are_drawn_in_order():
    bands = tuple(
        BandImportance(name=f"b{i}", attribution=0, share=i % 7 / 7, drop=0, changed_target=0, changed_view=0)
        for i in range(60)
    )
    kept = most_important(bands)
    assert len(kept) == MOST_BANDS
    assert [int(band.name[1:]) for band in kept] == sorted(int(band.name[1:]) for band in kept)
    assert min(band.share for band in kept) >= 4 / 7


def run(scene_file, model, *options):
    return CliRunner().invoke(main, ["explain", str(scene_file), "--model", str(model), *map(str, options)])


def test_the_bundled_model_is_explained_by_the_command(tmp_path):
    lon, lat = Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True).transform(614345, 5281315)
    out = tmp_path / "why"
    options = ("--at", f"{lon},{lat}", "--at-crs", "EPSG:4326", "--size", 64, "--out", out, "--json")
    done = run(VALLEY, "landcover-s2", *options)
    assert done.exit_code == 0, done.output
    figures = json.loads((out / "explain.json").read_text())
    told = json.loads(done.stdout)
    assert {key: figures[key] for key in told} == told
    assert figures["coordinates"] == [614345, 5281315]
    assert figures["integrated_gradients"]["complete"]
    assert figures["probability"] == max(figures["probabilities"].values())
    assert sum(band["share"] for band in figures["bands"]) == pytest.approx(1)
    assert {"geodl", "torch", "captum"} <= set(figures["versions"])
    names = {"attributions.tif", "grad_cam.tif", "class.tif", "overview.png", "bands.png", "explain.json"}
    manifest = json.loads((out / "manifest.json").read_text())
    assert names <= {file["path"] for file in manifest["files"]}
    view = figures["view"]
    with rasterio.open(VALLEY) as whole:
        transform = whole.transform @ Affine.translation(view["col"], view["row"])
        crs = whole.crs
    for name in ("attributions.tif", "grad_cam.tif", "class.tif"):
        assert cog_validate(out / name, strict=True)[0]
        with rasterio.open(out / name) as file:
            assert (file.shape, file.transform, file.crs) == ((64, 64), transform, crs)
    with rasterio.open(out / "attributions.tif") as file:
        assert file.descriptions == tuple(band["name"] for band in figures["bands"])
        assert file.dtypes == ("float32",) * 6
        assert file.tags()["GEODL_EXPLAINED_CLASS"] == figures["class"]
        values = file.read()
    sums = figures["integrated_gradients"]
    outside = np.abs(values).sum() * (1 / sums["inside_view"] - 1)
    assert 0.5 < sums["inside_view"] <= 1
    assert abs(values.sum() - sums["total"]) <= outside + 1e-3
    row, column = np.unravel_index(np.abs(values).sum(axis=0).argmax(), (64, 64))
    assert max(abs(row - 32), abs(column - 32)) <= 8
    for name in ("overview.png", "bands.png"):
        picture = imread(out / name)
        assert min(picture.shape[:2]) > 500
        assert picture[..., :3].std() > 0.1


@pytest.mark.usefixtures("few_steps")
def test_a_second_run_replaces_the_first(scene_file, tiny_model, tmp_path):
    out = tmp_path / "why"
    x, y = place_of_pixel(90, 90)
    first = run(scene_file, tiny_model.folder, "--at", f"{x},{y}", "--size", 20, "--out", out)
    assert first.exit_code == 0, first.output
    assert "Grad-CAM" in first.output
    second = run(scene_file, tiny_model.folder, "--window", "100,100,5,6", "--size", 24, "--out", out)
    assert second.exit_code == 0, second.output
    assert json.loads((out / "explain.json").read_text())["target"] == {
        "row": 100, "col": 100, "height": 5, "width": 6
    }  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["why"]


@pytest.mark.usefixtures("few_steps")
def test_folders_of_others_are_refused_and_nothing_is_left(scene_file, tiny_model, tmp_path):
    at = ("--at", "{},{}".format(*place_of_pixel(90, 90)), "--size", 20, "--out")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("all of it")
    refused = run(scene_file, tiny_model.folder, *at, mine)
    assert refused.exit_code == 1
    assert "not a geodl product" in refused.output
    (mine / "thesis.txt").unlink()
    (mine / "manifest.json").write_text('{"format": "geodl-product"}')
    refused = run(scene_file, tiny_model.folder, *at, mine)
    assert "another kind" in refused.output
    for out in (scene_file, tiny_model.folder):
        assert "would overwrite the input" in run(scene_file, tiny_model.folder, *at, out).output
    failed = run(scene_file, tiny_model.folder, "--at", "0,0", "--out", tmp_path / "new")
    assert failed.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("value", ["1", "1,2,3", "east,north"])
def test_the_command_refuses_what_is_no_place(scene_file, tiny_model, tmp_path, value):
    done = run(scene_file, tiny_model.folder, "--at", value, "--out", tmp_path / "why")
    assert done.exit_code == 2
    assert "is not X,Y" in done.output


@pytest.mark.usefixtures("few_steps")
def test_scenes_without_georeferencing_are_explained_by_pixels(tmp_path):
    file = write_scene(tmp_path / "bare.tif", 90, 70, crs=None, transform=Affine.identity(), hole=False)
    classes = [ClassSpec(value=v, name=n, color="#102030") for v, n in ((1, "$x^{"), (2, "<b>%s</b>\\frac"))]
    model = make_model(tmp_path / "odd", make_spec(name="odd", classes=classes, pixel_size=None))
    bare = open_scene(file, ungeoreferenced=True)
    found = explain(bare, model, at=(30, 41), size=33)
    assert found.target == Window(41, 30, 1, 1)
    assert "column 30, row 41" in found.where
    with pytest.raises(OptionError, match="no coordinate system"):
        explain(bare, model, at=(30, 41), at_crs="EPSG:4326")
    folder = write_explanation(found, tmp_path / "why")
    assert imread(folder / "overview.png").shape[2] == 4
    with pytest.raises(ProductError, match="cannot be given"):
        write_explanation(found, tmp_path / " odd. ")
