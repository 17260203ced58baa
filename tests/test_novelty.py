"""What a model has not seen, and how sure it should be: distances to the training data, temperature."""

import json

import numpy as np
import pytest
import rasterio
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats
from sklearn.covariance import EmpiricalCovariance

import geodl
from geodl.assess.calibration import ConfidenceCounts
from geodl.cli import main
from geodl.errors import ModelError
from geodl.job import RunOptions, connect, run_scene
from geodl.models.bundle import FAMILIAR_FILE, Model, add_familiar, load_model, save_model
from geodl.models.distances import Features, WithDistances
from geodl.models.familiarity import fit_familiar, read_familiar
from geodl.models.spec import BandSpec, ClassSpec
from geodl.models.table import build_network, tiling_of
from geodl.scene import open_scene
from geodl.scores import Meaning
from geodl.training import train
from geodl.training.evaluate import Validation
from geodl.training.familiar import familiarise, look_back
from geodl.training.plots import decode

from .conftest import make_model, make_spec, whole_scene_probabilities, write_scene
from .test_training_fit import recipe_of, write_pair


def clouds(count=4000, seed=0):
    """Pixels of three classes in five features that are correlated, one of which never varies."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(5, 5))
    mixing[:, 4] = 0
    labels = rng.integers(0, 3, count)
    middles = np.array([[0, 0, 0, 0, 1], [6, 0, 3, 0, 1], [0, 9, 0, -4, 1.0]])
    return (rng.normal(size=(count, 5)) @ mixing + middles[labels]).astype(np.float32), labels


def features_of(network, inputs):
    tap = Features(network)
    with torch.inference_mode():
        network(inputs)
    features = tap.take()
    tap.remove()
    return features


def familiar_of(model, seed=0):
    """What noise looks like to a network."""
    generator = torch.Generator().manual_seed(seed)
    side = 2 * tiling_of(model.spec.architecture, model.spec.parameters).stride * 8
    inputs = torch.randn(1, len(model.spec.bands), side, side, generator=generator)
    pixels = features_of(model.network(), inputs)[0].flatten(1).T.numpy()
    return fit_familiar(pixels, np.arange(len(pixels)) % 3)


@pytest.fixture(scope="module")
def knowing(tiny_model, tmp_path_factory):
    """The tiny model, which knows what noise looks like."""
    folder = tmp_path_factory.mktemp("knowing") / "tiny"
    model = save_model(folder, tiny_model.spec, tiny_model.network(), familiar=familiar_of(tiny_model))
    assert model.hash != tiny_model.hash
    return model


class TestDistances:
    def test_are_those_of_scikit_learn(self):
        features, labels = clouds()
        features = features[:, :4]  # the covariance of what varies has an inverse
        familiar = fit_familiar(features, labels, seed=3)
        order = np.random.default_rng(3).permutation(len(features))[800:]
        known, classes = features[order], labels[order]
        means = np.array([known[classes == code].mean(axis=0) for code in range(3)])
        pooled = EmpiricalCovariance(assume_centered=True).fit(known - means[classes])
        expected = np.min([pooled.mahalanobis(features - mean) for mean in means], axis=0)
        # The shrinkage of a thousandth is all that they differ by.
        np.testing.assert_allclose(familiar.distances(features), expected, rtol=0.05, atol=0.02)

    def test_a_feature_that_never_varied_is_watched(self):
        features, labels = clouds()
        familiar = fit_familiar(features, labels)
        usual = familiar.distances(features)
        assert np.isfinite(usual).all()
        features[:, 4] += 1
        assert familiar.distances(features).min() > usual.max()

    def test_survive_the_file(self):
        familiar = fit_familiar(*clouds())
        again = read_familiar(familiar.to_bytes(), "file")
        for name, value in vars(familiar).items():
            np.testing.assert_array_equal(getattr(again, name), value)

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("means", np.zeros((3, 4), np.float32), "shapes"),
            ("means", np.zeros((0, 5), np.float32), "shapes"),
            ("quantiles", np.zeros(7, np.float32), "shapes"),
            ("centre", np.full(5, np.nan, np.float32), "not finite"),
            ("quantiles", np.arange(101, 0, -1, dtype=np.float32), "do not ascend"),
        ],
    )
    def test_a_file_of_something_else_is_refused(self, name, value, message):
        from safetensors.numpy import save

        content = save({**vars(fit_familiar(*clouds(200))), name: value})
        with pytest.raises(ModelError, match=rf"{message}.*geodl models familiarise"):
            read_familiar(content, "file")

    def test_too_few_pixels_are_refused(self):
        features, labels = clouds(9)
        with pytest.raises(ModelError, match="9 labelled pixels are too few: give more labels"):
            fit_familiar(features, labels)

    @pytest.mark.parametrize(
        ("architecture", "parameters"),
        [
            ("unet_compact", {"widths": (4, 8), "blocks": 1}),
            ("segnet", {"widths": (4, 8), "convolutions": (1, 1)}),
            ("fcn", {"filters": 4}),
            ("unet", {"encoder": "resnet18", "depth": 3}),
            ("fpn", {"encoder": "resnet18"}),
            ("deeplabv3plus", {"encoder": "resnet18"}),
            ("segformer", {"encoder": "resnet18"}),
        ],
    )
    def test_come_with_every_kind_of_network(self, architecture, parameters):
        tiling = tiling_of(architecture, parameters)
        fields = {"tile": tiling.tile, "halo": tiling.halo, "stride": tiling.stride, "stitch": "blend"}
        spec = make_spec(architecture=architecture, parameters=parameters, **fields)
        torch.manual_seed(0)
        network = build_network(spec).eval()
        inputs = torch.randn(1, 3, 64, 96)
        features = features_of(network, inputs)
        pixels = features[0].flatten(1).T.numpy()
        familiar = fit_familiar(pixels, np.arange(len(pixels)) % 2)
        with torch.inference_mode():
            scores = network(inputs)
            both = WithDistances(network, familiar)(inputs)
        assert torch.equal(both[:, :4], scores)
        assert both.shape == (1, 4 + 2, 64, 96)
        step = 64 // features.shape[2]
        found = both[0, 4:, ::step, ::step].amin(dim=0).flatten().numpy()
        expected = familiar.distances(pixels)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * expected.max())

    def test_of_another_network_are_refused(self, tiny_model):
        with pytest.raises(ModelError, match=r"measured on 5 features, the network has 7.*familiarise"):
            WithDistances(tiny_model.network(), fit_familiar(*clouds()))(torch.zeros(1, 3, 32, 32))


@given(st.integers(0, 99), st.booleans())
def test_novelty_is_where_a_distance_lies_among_the_usual_ones(seed, ties):
    rng = np.random.default_rng(seed)
    quantiles = np.sort(rng.exponential(5, 101)).astype(np.float32)
    if ties:
        quantiles[20:60] = quantiles[20]
    distances = rng.exponential(8, (1, 2, 6, 7)).astype(np.float32)
    distances[0, :, 0, 0] = [np.inf, np.nan]
    distances[0, :, 0, 1] = quantiles[0]
    output = torch.cat([torch.zeros(1, 2, 6, 7), torch.from_numpy(distances)], dim=1)
    meaning = Meaning(values=[1, 2], quantiles=torch.from_numpy(quantiles))
    found = meaning.novelty(output)[0].numpy()
    assert found[0, 0] == 1
    nearest = distances.min(axis=1)[0].ravel()[1:]
    share = np.interp(nearest, *np.unique(quantiles, return_index=True)) / 100
    if not ties:
        np.testing.assert_allclose(found.ravel()[1:], share, atol=1e-5)
    assert ((found >= 0) & (found <= 1)).all()
    ordered = found.ravel()[1:][np.argsort(nearest)]
    assert (np.diff(ordered) >= 0).all()


class TestMaps:
    def test_stream_and_tiles_say_what_the_whole_scene_says(self, scene_file, knowing):
        scene = open_scene(scene_file)
        streamed = geodl.predict(scene, knowing, novelty=True).compute()
        tiled = geodl.predict(scene, knowing, novelty=True, tile=96).compute()
        plain = geodl.predict(scene, knowing).compute()
        valid = streamed["class"].values != 255
        np.testing.assert_allclose(streamed["confidence"], plain["confidence"], atol=1e-5)
        assert np.isnan(streamed["novelty"].values[~valid]).all()
        found = streamed["novelty"].values[valid]
        assert ((found >= 0) & (found <= 1)).all()
        assert np.ptp(found) > 0.3
        np.testing.assert_allclose(found, tiled["novelty"].values[valid], atol=1e-3)

    def test_the_result_does_not_depend_on_blocks(self, scene_file, knowing, small_chunks):
        scene = open_scene(scene_file)
        for tile in (None, 96):
            found = [
                geodl.predict(scene, knowing, novelty=True, tile=tile, block=block).compute()
                for block in (64, 999)
            ]
            assert found[0].identical(found[1])

    def test_bfloat16_measures_about_the_same(self, scene_file, knowing):
        scene = open_scene(scene_file).isel(y=slice(0, 128), x=slice(120, 280))
        exact, half = (
            geodl.predict(scene, knowing, novelty=True, precision=precision)["novelty"].values
            for precision in ("fp32", "bf16")
        )
        assert np.nanmean(np.abs(exact - half)) < 0.02

    def test_turned_views_are_averaged(self, scene_file, knowing):
        scene = open_scene(scene_file).isel(y=slice(96, 192), x=slice(96, 192)).load()
        found = geodl.predict(scene, knowing, novelty=True, tta=True)["novelty"].values
        views = [
            np.rot90(
                geodl.predict(scene.copy(data=np.rot90(scene.values, turns, (1, 2))), knowing, novelty=True)[
                    "novelty"
                ].values,
                -turns,
            )
            for turns in range(4)
        ]
        mirrored = scene.copy(data=scene.values[..., ::-1])
        for turns in range(4):
            turned = scene.copy(data=np.rot90(mirrored.values, turns, (1, 2)))
            seen = geodl.predict(turned, knowing, novelty=True)["novelty"].values
            views.append(np.rot90(seen, -turns)[:, ::-1])
        np.testing.assert_allclose(found, np.mean(views, axis=0), atol=1e-4)

    def test_blended_tiles(self, scene_file, blend_model, tmp_path, small_chunks):
        model = save_model(
            tmp_path / "m", blend_model.spec, blend_model.network(), familiar=familiar_of(blend_model)
        )
        scene = open_scene(scene_file)
        whole, parts = (
            geodl.predict(scene, model, novelty=True, block=block).compute() for block in (999, 64)
        )
        assert whole.identical(parts)
        plain = geodl.predict(scene, blend_model).compute()
        np.testing.assert_array_equal(whole["class"], plain["class"])
        np.testing.assert_array_equal(whole["confidence"], plain["confidence"])
        assert np.nanmax(whole["novelty"]) <= 1
        assert np.ptp(whole["novelty"].values[np.isfinite(whole["novelty"])]) > 0.3

    def test_a_run_writes_it(self, scene_file, knowing, tmp_path):
        options = RunOptions(products=("map", "novelty"))
        with connect() as client:
            done = run_scene(open_scene(scene_file), knowing, tmp_path, options, client=client)
        expected = geodl.predict(open_scene(scene_file), knowing, novelty=True)["novelty"].values
        with rasterio.open(done / "novelty.tif") as file:
            assert file.scales == (0.01,)
            valid = file.read_masks(1) > 0
            np.testing.assert_array_equal(valid, np.isfinite(expected))
            np.testing.assert_allclose(file.read(1)[valid] / 100, expected[valid], atol=0.0051)
        assert "#440154" in (done / "novelty.qml").read_text()
        manifest = json.loads((done / "manifest.json").read_text())
        assert manifest["products"] == ["map", "novelty"]

    def test_a_model_that_does_not_know_is_refused(self, scene_file, tiny_model):
        with pytest.raises(ModelError, match=r"does not know what it has seen: .*models familiarise"):
            geodl.predict(open_scene(scene_file), tiny_model, novelty=True)


class TestFolder:
    def test_a_file_of_another_model_is_refused(self, knowing, tmp_path):
        model = save_model(
            tmp_path / "m", knowing.spec, knowing.network(), familiar=familiar_of(knowing, seed=1)
        )
        assert model.spec.familiar_sha256 != knowing.spec.familiar_sha256
        (model.folder / FAMILIAR_FILE).write_bytes((knowing.folder / FAMILIAR_FILE).read_bytes())
        with pytest.raises(ModelError, match=r"familiar.safetensors is not the file"):
            load_model(model.folder)
        (model.folder / FAMILIAR_FILE).unlink()
        with pytest.raises(ModelError, match=r"familiar.safetensors is missing"):
            load_model(model.folder)

    def test_it_goes_when_the_weights_do(self, knowing, tmp_path):
        first = save_model(tmp_path / "m", knowing.spec, knowing.network(), familiar=knowing.familiar())
        assert first == Model(spec=knowing.spec, folder=first.folder, hash=knowing.hash)
        second = save_model(tmp_path / "m", knowing.spec, knowing.network())
        assert second.spec.familiar_sha256 == ""
        assert not (tmp_path / "m" / FAMILIAR_FILE).exists()
        second.check()

    def test_adding_leaves_the_weights_alone(self, tiny_model, tmp_path):
        model = save_model(tmp_path / "m", tiny_model.spec, tiny_model.network(), half=True)
        (tmp_path / "m" / "curve.png").write_bytes(b"drawing")
        found = add_familiar(model, familiar_of(model))
        found.check()
        assert found.spec.weights_sha256 == model.spec.weights_sha256
        assert (tmp_path / "m" / "curve.png").read_bytes() == b"drawing"

    def test_bundled_models_are_not_changed(self, knowing):
        with pytest.raises(ModelError, match="comes with geodl and is not changed: copy its folder"):
            add_familiar(load_model("landcover-s2"), knowing.familiar())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("textures")
    for stem, seed in (("train_a", 0), ("train_b", 1), ("check", 2)):
        write_pair(folder, stem, seed)
    return folder


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    lines = []
    out = tmp_path_factory.mktemp("runs") / "textures"
    return train(recipe_of(folder), out, device="cpu", echo=lines.append), lines


class TestTraining:
    def test_pixels_like_those_of_the_training_are_spread_over_all_shares(self, folder, trained, tmp_path):
        model, _ = trained
        plots = decode(recipe_of(folder), tmp_path, gap=0)
        seen = Validation(plots=plots, spec=model.spec, device=torch.device("cpu"), role="train")
        first = look_back(model.network(), seen, seed=5)
        again = look_back(model.network(), seen, seed=5)
        assert first.to_bytes() == again.to_bytes()
        # The training scenes hold fewer pixels than are kept, so these distances are those of all of them.
        labels = geodl.predict(open_scene(folder / "train_a.tif"), model, novelty=True)
        shares = labels["novelty"].values
        shares = shares[np.isfinite(shares)]
        assert stats.kstest(shares, "uniform").statistic < 0.1

    def test_imagery_unlike_that_of_the_training_is_new(self, folder, trained, tmp_path):
        model, _ = trained
        usual = geodl.predict(open_scene(folder / "check.tif"), model, novelty=True)["novelty"].values
        strange = {}
        with rasterio.open(folder / "check.tif") as file:
            profile, pixels, names = file.profile, file.read(), file.descriptions
        rng = np.random.default_rng(0)
        for name, values in (
            ("inverted", 256 - pixels.astype(int)),
            ("noise", rng.integers(1, 255, pixels.shape)),
            ("flat", np.full(pixels.shape, 250)),
        ):
            with rasterio.open(tmp_path / f"{name}.tif", "w", **profile) as file:
                file.write(np.where(pixels == 0, 0, values).clip(0, 255).astype(np.uint8))
                file.descriptions = names
            mapped = geodl.predict(open_scene(tmp_path / f"{name}.tif"), model, novelty=True)
            strange[name] = np.nanmean(mapped["novelty"].values)
        assert np.nanmean(usual) < 0.65
        assert strange["noise"] > 0.9
        assert strange["flat"] > 0.9
        assert strange["inverted"] > np.nanmean(usual)

    def test_the_command_makes_what_the_training_made(self, folder, trained, tmp_path):
        model, _ = trained
        bare = save_model(tmp_path / "bare", model.spec, model.network())
        done = CliRunner().invoke(
            main, ["models", "familiarise", str(bare.folder), str(folder / "recipe.yaml"), "--device", "cpu"]
        )
        assert done.exit_code == 0, done.output
        assert "knows what it has seen" in done.output
        assert load_model(bare.folder).spec == model.spec

    def test_a_recipe_of_other_bands_is_refused(self, folder, trained):
        model, _ = trained
        recipe = recipe_of(folder).model_copy(update={"bands": ["red", "green"]})
        with pytest.raises(ModelError, match=r"its bands are .*green.*those of recipe"):
            familiarise(model, recipe)
        with pytest.raises(ModelError, match="comes with geodl and is not changed: copy its folder"):
            familiarise(load_model("landcover-s2"), recipe)

    def test_the_temperature_is_that_of_the_validation_pixels(self, folder, trained):
        model, lines = trained
        assert any(f"temperature {model.spec.temperature:g}" in line for line in lines)
        scene = open_scene(folder / "check.tif")
        plain = Model(
            spec=model.spec.model_copy(update={"temperature": 1.0}), folder=model.folder, hash="plain"
        )
        with rasterio.open(folder / "check_labels.tif") as file:
            labels = file.read(1)
        errors, losses, maps = [], [], []
        for each in (plain, model):
            found = geodl.predict(scene, each, probabilities=True)
            known = np.isin(labels, (4, 9)) & np.isfinite(found["confidence"].values)
            counts = ConfidenceCounts()
            counts.add(found["confidence"].values[known], (found["class"].values == labels)[known])
            errors.append(counts.result().expected_error)
            chances = np.where(labels == 4, found["probability"][0], found["probability"][1])[known]
            losses.append(-np.log(np.maximum(chances, 1e-12)).mean())
            maps.append(found["class"].values)
        assert model.spec.temperature != 1
        np.testing.assert_array_equal(*maps)
        assert losses[1] < losses[0]
        assert errors[1] <= errors[0]


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("warm") / "m", make_spec(temperature=2.5))


class TestTemperature:
    @pytest.mark.parametrize("options", [{}, {"tile": 96}])
    def test_scores_are_divided_by_it(self, scene_file, warm, options):
        scene = open_scene(scene_file)
        cold = Model(spec=warm.spec.model_copy(update={"temperature": 1.0}), folder=warm.folder, hash="cold")
        found = geodl.predict(scene, warm, probabilities=True, entropy=True, **options).compute()
        plain, valid = whole_scene_probabilities(scene, cold)
        expected = special.softmax(np.log(plain) / 2.5, axis=0)
        np.testing.assert_allclose(found["probability"].values[:, valid], expected[:, valid], atol=1e-4)
        np.testing.assert_allclose(found["confidence"].values[valid], expected.max(0)[valid], atol=1e-4)
        entropy = stats.entropy(expected, axis=0) / np.log(4)
        np.testing.assert_allclose(found["entropy"].values[valid], entropy[valid], atol=1e-4)
        np.testing.assert_array_equal(found["class"], geodl.predict(scene, cold, **options)["class"].values)

    def test_in_turned_views_and_blended_tiles(self, tmp_path, blend_model):
        scene = open_scene(write_scene(tmp_path / "small.tif", 96, 96, hole=False))
        for model, options in ((blend_model, {}), (None, {"tta": True})):
            cold = model or make_model(tmp_path / "local", make_spec())
            spec = cold.spec.model_copy(update={"temperature": 1e4})
            hot = Model(spec=spec, folder=cold.folder, hash=f"hot {cold.hash}")
            found = geodl.predict(scene, hot, probabilities=True, **options)
            np.testing.assert_allclose(found["probability"], 0.25, atol=1e-2)
            assert geodl.predict(scene, cold, **options)["confidence"].values.mean() > 0.4


def test_one_score_for_two_classes(tmp_path):
    classes = [ClassSpec(value=v, name=str(v), color="#000000") for v in (1, 2)]
    bands = [BandSpec(name="red", mean=0, std=1)]
    parameters = {"filters": 4, "one_score": True}
    tiling = tiling_of("fcn", parameters)
    spec = make_spec(
        architecture="fcn", parameters=parameters, classes=classes, bands=bands,
        tile=tiling.tile, halo=tiling.halo, stride=tiling.stride,
    )  # fmt: skip
    network = build_network(spec).eval()
    inputs = torch.randn(1, 1, 64, 64)
    pixels = features_of(network, inputs)[0].flatten(1).T.numpy()
    both = WithDistances(network, fit_familiar(pixels, np.arange(len(pixels)) % 2))
    with torch.inference_mode():
        assert both(inputs).shape == (1, 4, 64, 64)
