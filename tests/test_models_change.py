"""Networks of two dates: they tell the dates apart, look as far as they say, stream, and learn change."""

import numpy as np
import pytest
import rasterio
import torch
import yaml
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.errors import ModelError
from geodl.models.date_parameters import SiameseUnetParameters
from geodl.models.dates import bands_of_each
from geodl.models.probe import measure_overhang
from geodl.models.table import tiling_of
from geodl.stream import Plan, Stream, trace
from geodl.training import load_recipe, train
from tests.test_models_table import LARGE, SMALL, make_network
from tests.test_stream_operations import pixels, streamed

CHANGE = ("siamese_unet", "fc_siam_conc", "fc_siam_diff", "btc", "changevit")
CONCATENATION = {**SMALL["siamese_unet"], "fusion": "concatenation"}
LOCAL = [
    ("siamese_unet", SMALL["siamese_unet"]),
    ("siamese_unet", CONCATENATION),
    ("fc_siam_conc", SMALL["fc_siam_conc"]),
    ("fc_siam_diff", SMALL["fc_siam_diff"]),
]


def run(network, *dates):
    with torch.inference_mode():
        return network(torch.cat(dates, dim=1))


@pytest.mark.parametrize("bands", [1, 3, 7])
@pytest.mark.parametrize("name", CHANGE)
def test_bands_that_are_not_those_of_two_dates_are_refused(name, bands):
    with pytest.raises(ModelError, match=rf"bands: {bands} bands are not .* 2 dates: name .*before.red"):
        make_network(name, SMALL[name], bands=bands)


def test_bands_are_shared_out_among_dates():
    assert bands_of_each(12, dates=3) == 4
    with pytest.raises(ModelError, match="2 bands are not the same bands on 3 dates"):
        bands_of_each(2, dates=3)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"fusion": "concatenation", "widths": [8, 16, 16], "blocks": 2},
        {"widths": [8, 8], "blocks": 0, "date_blocks": 0},
        {"widths": [8, 8, 8, 16], "blocks": 1, "date_blocks": 2},
    ],
)
def test_siamese_unet_sees_as_far_as_it_says(parameters):
    declared = SiameseUnetParameters(**parameters).overhang
    network = make_network("siamese_unet", parameters, bands=4)
    stride = tiling_of("siamese_unet", parameters).stride
    assert measure_overhang(network, bands=4, stride=stride, reach=2 * declared) == declared


def test_siamese_unet_is_bounded_and_small_on_purpose():
    assert tiling_of("siamese_unet").halo == 104
    for fusion, millions in (("difference", 1.27), ("concatenation", 1.29)):
        network = make_network("siamese_unet", {"fusion": fusion}, bands=12, classes=2)
        assert millions - 0.02 < sum(p.numel() for p in network.parameters()) / 1e6 < millions


def test_a_difference_is_the_same_both_ways_and_a_concatenation_is_not():
    before, after = pixels(32, 40, bands=2), pixels(32, 40, bands=2, seed=1)
    difference = make_network("siamese_unet", SMALL["siamese_unet"])
    there, back = run(difference, before, after), run(difference, after, before)
    torch.testing.assert_close(there, back, atol=1e-5, rtol=0)
    for name, parameters in LOCAL[1:]:
        network = make_network(name, parameters)
        there, back = run(network, before, after), run(network, after, before)
        assert (there - back).abs().max() > 0.1 * there.std()


def test_what_did_not_change_looks_like_nothing_whatever_it_is():
    for name in ("siamese_unet", "fc_siam_diff"):
        network = make_network(name, SMALL[name])
        here, there = pixels(32, 40, bands=2), pixels(32, 40, bands=2, seed=1)
        torch.testing.assert_close(run(network, here, here), run(network, there, there))
        assert (run(network, here, here) - run(network, here, there)).abs().max() > 0.01


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in CHANGE[1:]]
)
def test_networks_of_torchgeo_get_the_dates_as_they_want_them(name):
    from torchgeo import models

    network = make_network(name, SMALL[name], bands=6, classes=2)
    before, after = pixels(64, 64), pixels(64, 64, seed=1)
    dates = torch.stack([before, after], dim=1)
    if name == "btc":
        oracle = models.BTC("swin_tiny", classes=2)
        mean, std = (torch.tensor(v)[:, None, None] for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
        dates = (dates * std + mean).flatten(1, 2)  # it takes ImageNet's mean and deviation off itself
    elif name == "changevit":
        oracle = models.ChangeViT("vit_tiny_patch16_224", in_channels=3, num_classes=2)
    else:
        build = {"fc_siam_conc": models.FCSiamConc, "fc_siam_diff": models.FCSiamDiff}[name]
        oracle = build("resnet18", 3, None, decoder_channels=(64, 32, 16), in_channels=3, classes=2)
    # Stages of an encoder that no data flow through are left out of ours.
    missing, unexpected = oracle.load_state_dict(network.state_dict(), strict=False)
    assert not unexpected
    assert all(key.startswith("encoder.layer") for key in missing)
    with torch.inference_mode():
        expected = oracle.eval()(dates)
    torch.testing.assert_close(run(network, before, after), expected, atol=1e-4, rtol=1e-4)


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(LOCAL), st.integers(1, 20), st.integers(1, 12), st.integers(1, 6), st.integers(0, 3))
def test_streams_are_the_whole_scene_at_any_size(row, rows, columns, pushed, start):
    name, parameters = row
    stride = tiling_of(name, parameters).stride
    network = make_network(name, parameters, classes=2)
    canvas = pixels(stride * rows, stride * columns, bands=4)
    plan = Plan(graph=trace(network, bands=4, stride=stride), strip=stride * pushed)
    stream = Stream(plan, width=canvas.shape[3])
    with torch.inference_mode():
        whole = network(canvas).softmax(1)
    _, result = streamed(stream, canvas)
    result = result.softmax(1)
    assert (result - whole).abs().max() <= 1e-5
    clear = (whole[:, 0] - whole[:, 1]).abs() > 2e-5  # where rounding cannot turn the scale
    assert torch.equal(result.argmax(1)[clear], whole.argmax(1)[clear])
    row, restarted = streamed(stream, canvas, first=stride * min(start, rows - 1))
    if restarted is not None:
        assert torch.equal(restarted.softmax(1), result[:, :, row:])


def test_the_margin_of_a_stream_is_the_halo():
    network = make_network("siamese_unet", {})
    plan = Plan(graph=trace(network, bands=4, stride=8), strip=64)
    assert (plan.delay, plan.margin) == (102, 104)


def write_dates(folder, stem, seed, size=(120, 160)):
    """Two dates of stripes in one file; where they turn, change, and where only the light does, none."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    turned = np.sin(x / 11 + 2 * seed) + np.cos(y / 13 + seed) > 0.8
    upright = np.sin(x / 31 + seed) + np.sin(y / 17) > 0
    stripes = [np.where(kind, (x // 2) % 2, (y // 2) % 2) for kind in (upright, upright ^ turned)]
    light = 12 * np.sin(x / 40 + seed)
    dates = [100 + 50 * pattern + rng.normal(0, 5, (2, *size)) for pattern in stripes]
    dates[1] += light
    profile = {
        "driver": "GTiff", "height": size[0], "width": size[1], "dtype": "uint8", "crs": "EPSG:32632",
        "transform": Affine(1, 0, 500000, 0, -1, 5200000), "photometric": "minisblack",  # or one is alpha
    }  # fmt: skip
    with rasterio.open(folder / f"{stem}.tif", "w", count=4, **profile) as file:
        file.write(np.concatenate(dates).clip(0, 255).astype(np.uint8))
        file.descriptions = [f"{date}.{band}" for date in ("before", "after") for band in ("red", "nir")]
    with rasterio.open(folder / f"{stem}_labels.tif", "w", count=1, **profile) as file:
        file.write(turned.astype(np.uint8), 1)


def test_a_recipe_trains_a_siamese_network(tmp_path):
    for seed, stem in enumerate(("train_a", "train_b", "check")):
        write_dates(tmp_path, stem, seed)
    labels = "{folder}/{stem}_labels.tif"
    recipe = {
        "name": "turned",  # of no task that takes pairs: both dates come in one file
        "architecture": "siamese_unet",
        "parameters": {"widths": [8, 16], "blocks": 1},
        "bands": [f"{date}.{band}" for date in ("before", "after") for band in ("red", "nir")],
        "units": "digital_number",
        "dtype": "uint8",
        "classes": [
            {"value": 0, "name": "unchanged", "color": "#dddddd"},
            {"value": 1, "name": "changed", "color": "#cc0000"},
        ],
        "sources": [
            {"scenes": "train_?.tif", "labels": labels, "role": "train"},
            {"scenes": "check.tif", "labels": labels, "role": "validation"},
        ],
        "optimisation": {
            "epochs": 3, "samples_per_epoch": 64, "patch": 32, "batch": 8, "learning_rate": 0.02, "ema": 0.9,
            "precision": "32", "encoder_rate": 0.9,
        },
    }  # fmt: skip
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    model = train(
        load_recipe(tmp_path / "recipe.yaml"), tmp_path / "turned", device="cpu", echo=lambda _: None
    )
    iou = model.spec.accuracy.iou["changed"]
    assert 2 * iou / (1 + iou) > 0.85  # F1
