"""What a network is, is what its gradient, its crops and its shifts show."""

import errno
import json
import os
from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import nn

import geodl
from geodl.errors import MismatchError, ModelError
from geodl.models import load_model
from geodl.models.parameters import SegnetParameters, UnetCompactParameters, is_local_encoder
from geodl.models.probe import HaloError, measure_overhang, probe, write, write_probe
from geodl.models.receptive_field import overhang
from geodl.models.table import tiling_of
from geodl.models.unet_compact import receptive_field_radius
from geodl.scene import open_scene
from tests.conftest import make_model, whole_scene_probabilities
from tests.conftest import make_spec as make_tiny_spec
from tests.test_models_table import LARGE, SMALL, TRAINABLE, make_network

QUICK = {"window": 32, "noise": 2, "reach": 128}


def probed(name, parameters, **options):
    network = make_network(name, parameters)
    return probe(network, bands=4, stride=tiling_of(name, parameters).stride, **{**QUICK, **options})


def measured(name, parameters, reach):
    network = make_network(name, parameters, bands=3)
    return measure_overhang(network, bands=3, stride=tiling_of(name, parameters).stride, reach=reach)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"widths": [16, 32, 64], "blocks": 2},
        {"widths": [16, 32], "blocks": 0},
        {"widths": [8, 16, 16, 16, 16], "blocks": 1},
    ],
)
def test_unet_compact_sees_as_far_as_it_says(parameters):
    declared = receptive_field_radius(UnetCompactParameters(**parameters))
    assert measured("unet_compact", parameters, 2 * declared) == declared


def test_unet_compact_is_bounded_on_purpose():
    assert receptive_field_radius(UnetCompactParameters()) == 86
    assert tiling_of("unet_compact").halo == 88


@pytest.mark.parametrize(
    "parameters",
    [{"widths": [8, 8], "convolutions": [1, 2]}, {"widths": [16] * 3, "convolutions": [2, 2, 3]}],
)
def test_segnet_sees_no_farther_than_it_says(parameters):
    # Only the largest pixel of each pooling window passes a gradient, so one measurement may miss
    # the outermost pixels.
    declared = SegnetParameters(**parameters).overhang
    assert (
        declared - tiling_of("segnet", parameters).stride
        < measured("segnet", parameters, 2 * declared)
        <= declared
    )


def test_nothing_outside_the_halo_has_a_say():
    # The contract itself, in values: other pixels beyond the halo leave the core as it is, bit by bit.
    network, halo, stride = make_network("unet_compact"), 88, 8
    side = 2 * halo + 4 * stride
    pixels = torch.randn(1, 4, side + 2 * stride, side + 2 * stride)
    core = slice(halo + stride, halo + 5 * stride)
    other = 10 * torch.randn_like(pixels)
    other[..., stride:-stride, stride:-stride] = pixels[..., stride:-stride, stride:-stride]
    with torch.inference_mode():
        assert torch.equal(network(pixels)[..., core, core], network(other)[..., core, core])


def test_fcn_sees_five_pixels():
    assert measured("fcn", {"filters": 8}, 16) == 5


@pytest.mark.parametrize(
    ("encoder", "expected"), [("resnet18", 65), ("resnet34", 105), ("densenet121", 141), ("tu-resnet18", 65)]
)
def test_plain_encoders_at_depth_3_are_exact_at_their_halo(encoder, expected):
    parameters = {"encoder": encoder, "depth": 3}
    assert is_local_encoder(encoder)
    assert measured("unet", parameters, 192) == expected <= tiling_of("unet", parameters).halo


@pytest.mark.parametrize("encoder", ["efficientnet-b0", "mit_b0"])
def test_encoders_that_see_everything_are_blended(encoder):
    assert measured("unet", {"encoder": encoder, "depth": 3}, 64) is None
    assert tiling_of("unet", {"encoder": encoder, "depth": 3}).stitch == "blend"


@pytest.mark.parametrize("name", ["fpn", "deeplabv3plus", "upernet"])
def test_pooled_decoders_see_everything(name):
    assert measured(name, {}, 64) is None
    assert tiling_of(name).stitch == "blend"


def test_probe_refuses_training_mode():
    with pytest.raises(ValueError, match="training mode"):
        measure_overhang(make_network("fcn").train(), bands=4, stride=1, reach=8)


def test_overhang_refuses_unequal_levels():
    with pytest.raises(ValueError, match="encoder has 2 levels, decoder has 1"):
        overhang(encoder=[1, 1], bottom=1, decoder=[1])


# Deep networks are measured at depth 3: the same parts, a smaller field.
ROWS = SMALL | {name: {"encoder": "resnet18", "depth": 3} for name in ("unet", "unetplusplus")}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in TRAINABLE]
)
def test_every_row_is_found_to_be_what_it_declares(name):
    declared = tiling_of(name, ROWS[name])
    found = probed(name, ROWS[name], noise=2 if declared.local else 1)
    assert found.local == declared.local
    assert found.stitch == declared.stitch
    if not declared.local:
        assert found.overhang is None
        assert not found.decays
        # The gate by which LR-ASPP looks at the whole tile hardly moves with random weights.
        assert found.smallest_shift is None or name == "torchvision"
        assert "blended" in found.verdict
        assert found.table[-1].gradient_outside is None
        return
    assert found.overhang <= found.exact_halo <= declared.halo
    assert found.halo <= found.exact_halo == found.table[-1].halo
    assert found.smallest_shift == declared.stride
    assert "is exact" in found.verdict
    assert found.table[0].difference > 1e-3 > 1e-5 > found.table[-1].difference
    assert found.table[-1].gradient_outside == 0
    for tighter, wider in zip(found.table, found.table[1:], strict=False):
        assert tighter.halo < wider.halo
        assert tighter.gradient_outside > wider.gradient_outside
        assert tighter.cost < wider.cost


def test_squeeze_and_excitation_is_found():
    found = probed("unet", {"encoder": "tu-mobilenetv3_small_100", "depth": 3}, noise=1)
    assert not found.local
    assert "looks at the whole tile" in found.verdict


class Blindfolded(nn.Module):
    """Adds the mean of the whole tile, but lets no gradient through it."""

    def forward(self, x):
        return x + x.detach().mean(dim=(2, 3), keepdim=True)


def convolutions(*kernels, bands=2, classes=3, dilation=1):
    torch.manual_seed(0)
    widths = [bands, *[6] * (len(kernels) - 1), classes]
    layers = []
    for before, after, kernel in zip(widths, widths[1:], kernels, strict=False):
        padding = dilation * (kernel // 2)
        layers += [nn.Conv2d(before, after, kernel, padding=padding, dilation=dilation), nn.Tanh()]
    return nn.Sequential(*layers[:-1]).eval()


def test_context_without_a_gradient_shows_in_the_values():
    network = nn.Sequential(convolutions(3), Blindfolded()).eval()
    found = probe(network, bands=2, stride=2, **QUICK)
    assert (found.overhang, found.exact_halo, found.local) == (None, None, False)
    assert found.table[-1].difference > 1e-4


def test_align_corners_shows_in_the_shifts():
    resize = nn.Upsample(scale_factor=4, mode="bilinear", align_corners=True)
    network = nn.Sequential(nn.AvgPool2d(4), convolutions(3), resize).eval()
    found = probe(network, bands=2, stride=4, **QUICK)
    assert not found.local
    assert found.smallest_shift is None
    assert found.verdict.startswith("The output does not move along")


def test_depending_on_the_size_of_the_tile_is_told():
    found = probe(convolutions(3), bands=2, stride=1, **QUICK)
    last = replace(found.table[-1], difference=0.5, flips=0.1)
    broken = replace(found, table=(*found.table[:-1], last), exact_halo=None)
    assert not broken.local
    assert "with a halo of 1 pixels probabilities still differ by up to 0.5" in broken.verdict


def test_three_convolutions_look_three_pixels_far():
    found = probe(convolutions(3, 3, 3), bands=2, stride=1, **QUICK)
    assert (found.overhang, found.exact_halo, found.smallest_shift) == (3, 3, 1)
    assert [row.halo for row in found.table] == [0, 1, 2, 3]
    assert found.table[1].cost == pytest.approx((34 / 32) ** 2)
    shown = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert (shown["local"], shown["stitch"], shown["overhang"]) == (True, "crop", 3)
    assert shown["table"][3]["halo"] == 3


def test_the_declared_stride_may_be_a_multiple_of_the_measured_one():
    network = nn.Sequential(nn.AvgPool2d(3), convolutions(3), nn.Upsample(scale_factor=3)).eval()
    assert probe(network, bands=2, stride=12, **QUICK).smallest_shift == 3


def test_taps_that_jump_over_the_border_are_found():
    # A ring of taps 150 pixels away: followed for 64 or 128 pixels, the gradient looks finished.
    far = nn.Conv2d(2, 2, 3, padding=150, dilation=150).eval()
    assert measure_overhang(far, bands=2, stride=1, reach=256) == 150


@settings(max_examples=15, deadline=None)
@given(
    kernels=st.lists(st.sampled_from([1, 3, 5]), min_size=1, max_size=4),
    dilation=st.integers(1, 3),
    pool=st.sampled_from([1, 2, 4]),
)
def test_convolution_stacks_have_the_overhang_of_arithmetic(kernels, dilation, pool):
    radius = sum(dilation * (kernel // 2) for kernel in kernels)
    network = nn.Sequential(
        nn.AvgPool2d(pool), convolutions(*kernels, dilation=dilation), nn.Upsample(scale_factor=pool)
    ).eval()
    assert measure_overhang(network, bands=2, stride=pool, reach=128) == pool * radius
    assert measure_overhang(network, bands=2, stride=2 * pool, reach=128) == pool * radius


def test_a_far_field_that_fades_is_local_within_the_tolerance():
    # Weights that fall off by half per pixel over 40 pixels; followed for 32 only.
    kernel = 0.5 ** (torch.arange(81) - 40).abs().float()
    row, column = nn.Conv2d(2, 2, (1, 81), padding=(0, 40)), nn.Conv2d(2, 2, (81, 1), padding=(40, 0))
    torch.manual_seed(0)
    with torch.no_grad():
        row.weight.copy_(torch.randn(2, 2, 1, 1) * kernel.view(1, 1, 1, -1))
        column.weight.copy_(torch.randn(2, 2, 1, 1) * kernel.view(1, 1, -1, 1))
    found = probe(nn.Sequential(row, column).eval(), bands=2, stride=1, window=32, noise=2, reach=32)
    assert found.overhang is None
    assert found.decays
    assert found.local
    assert 8 <= found.halo <= 24
    assert "farther than 32 pixels, but ever less" in found.verdict


def test_memory_ends_the_search():
    network, options = (
        convolutions(*[5] * 40),
        {"bands": 2, "stride": 1, "window": 32, "noise": 1, "reach": 128},
    )
    assert probe(network, **options).overhang == 80
    short = probe(network, **options, memory=10**6)
    assert (short.overhang, short.reach) == (None, 64)


def test_the_worst_input_counts_and_the_network_stays_as_it_was():
    network = convolutions(3, 3)
    network[0].weight.requires_grad_(False)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    quiet = np.zeros((2, 20, 50))
    loud = 30 * np.random.default_rng(0).normal(size=(2, 300, 40))
    options = {"bands": 2, "stride": 1, **QUICK}
    alone, both = probe(network, **options), probe(network, inputs=[quiet, loud], **options)
    assert (both.noise_inputs, both.given_inputs) == (2, 2)
    assert both.table[0].difference > alone.table[0].difference
    assert both == probe(network, inputs=[quiet, loud], **options)
    assert [p.requires_grad for p in network.parameters()] == [False, True, True, True]
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_bfloat16_is_compared():
    network = make_network("unet_compact", SMALL["unet_compact"])
    found = probe(network, bands=4, stride=8, **QUICK)
    assert 0.97 < found.bf16_agreement <= 1
    assert 0 < found.bf16_difference < 0.2


class Cooled(nn.Module):
    """A network whose scores are divided."""

    def __init__(self, network, by):
        super().__init__()
        self.network, self.by = network, by

    def forward(self, x):
        return self.network(x) / self.by


def test_probabilities_are_those_of_a_map_with_the_temperature_of_the_model(tmp_path):
    model = make_model(tmp_path / "cool", make_tiny_spec(temperature=4.0))
    found = probe(model, **QUICK)
    spec = model.spec
    same = {"bands": len(spec.bands), "stride": spec.stride, "core": spec.core, **QUICK}
    by_hand = probe(Cooled(model.network(), 4.0).eval(), **same)
    warm = probe(model.network(), **same)
    assert [row.difference for row in found.table] == pytest.approx([row.difference for row in by_hand.table])
    assert found.bf16_difference == pytest.approx(by_hand.bf16_difference, rel=0.2)  # rounded before or after
    assert 0 < found.table[0].mean_difference < 0.9 * warm.table[0].mean_difference
    assert [row.flips for row in found.table] == [row.flips for row in warm.table]  # no class moves


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (
            np.zeros((3, 8, 8)),
            r"input 1: its shape is \(3, 8, 8\): give arrays of shape \(2, height, width\)",
        ),
        (np.full((2, 8, 8), np.nan), "input 1: it holds values that are not finite"),
    ],
)
def test_imagery_that_does_not_fit_is_refused(pixels, words):
    with pytest.raises(MismatchError, match=words):
        probe(convolutions(3), inputs=[pixels], bands=2, stride=1)


def test_missing_arguments_are_named():
    with pytest.raises(ValueError, match="give both"):
        probe(convolutions(3), bands=2)
    with pytest.raises(ValueError, match="noise is 0"):
        probe(convolutions(3), bands=2, stride=1, noise=0)
    with pytest.raises(ValueError, match="training mode"):
        probe(convolutions(3).train(), bands=2, stride=1)


def test_the_smallest_halo_is_the_one_from_which_on_all_pass():
    errors = (0.5, 1e-5, 0.1, 1e-4, 0.0)
    table = tuple(
        HaloError(halo=8 * i, difference=e, mean_difference=e, flips=0.0, gradient_outside=0.0, cost=1.0)
        for i, e in enumerate(errors)
    )
    found = replace(probe(convolutions(3), bands=2, stride=1, **QUICK), table=table)
    assert found.halo == 24
    assert replace(found, tolerance=1e-6).halo == 32
    many_flips = replace(table[-1], flips=0.01)
    assert replace(found, table=(*table[:-1], many_flips)).halo is None


@pytest.fixture
def generous(tmp_path):
    """A tiny model whose halo is larger than it need be."""
    return make_model(tmp_path / "models" / "tiny", make_tiny_spec(tile=160, halo=64))


def test_the_halo_found_stitches_like_the_whole_scene(generous, scene_file):
    found = probe(generous, window=64, noise=2)
    assert (found.core, found.weights) == (32, generous.spec.weights_sha256)
    lean = write_probe(generous, found)
    assert (lean.spec.halo, lean.spec.tile, lean.spec.stitch) == (28, 32 + 2 * 28, "crop")
    scene = open_scene(scene_file)
    expected, valid = whole_scene_probabilities(scene, generous)
    result = geodl.predict(scene, lean, probabilities=True).compute()
    assert np.abs(result["probability"].values - expected)[:, valid].max() < 1e-3
    classes = np.array(lean.spec.class_values)[expected.argmax(0)]
    assert (result["class"].values == classes)[valid].all()
    # One stride less is not enough: the probe asks for no more than is needed.
    assert found.table[-2].halo == 24
    assert not found.table[-2].within(1e-6)


def test_model_json_is_rewritten_and_nothing_else(generous):
    folder = generous.folder
    (folder / "metrics.csv").write_text("epoch\n")
    weights = (folder / "weights.safetensors").read_bytes()
    (folder / "model.json").chmod(0o640)
    found = probe(generous, window=32, noise=1)
    after = write_probe(generous, found)
    assert after == load_model(folder)
    assert after.hash != generous.hash
    assert (folder / "weights.safetensors").read_bytes() == weights
    assert (folder / "model.json").stat().st_mode & 0o777 == 0o640
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "model.json", "weights.safetensors", "metrics.csv",
    }  # fmt: skip
    changed = {"tile", "halo"}
    assert after.spec.model_dump(exclude=changed) == generous.spec.model_dump(exclude=changed)
    assert f"depends on {after.spec.halo} pixels" in (folder / "README.md").read_text()
    content = json.loads((folder / "model.json").read_text())
    assert content["properties"]["mlm:input"][0]["input"]["shape"] == [
        -1,
        3,
        after.spec.tile,
        after.spec.tile,
    ]
    assert write_probe(after, found) == after


def test_global_networks_are_written_as_blended(generous):
    found = replace(probe(generous, window=32, noise=1), overhang=None, decays=False, exact_halo=None)
    after = write_probe(generous, found)
    assert (after.spec.stitch, after.spec.tile, after.spec.halo) == ("blend", 160, 64)


def test_a_large_core_gives_way_to_the_halo(generous):
    spec = make_tiny_spec(tile=8192, halo=0)
    found = probe(generous, window=32, noise=1)
    tiled = write.tiled_as_probed(spec, found)
    assert (tiled.tile, tiled.halo) == (8192, 28)
    wide = replace(found, table=(replace(found.table[-1], halo=4100),))
    with pytest.raises(ModelError, match=r"halo.*larger tolerance"):
        write.tiled_as_probed(spec, wide)


@pytest.mark.parametrize("fails", ["fsync", "replace", "mkstemp"])
def test_a_broken_disk_leaves_the_old_model(generous, monkeypatch, fails):
    found = probe(generous, window=32, noise=1)
    content = (generous.folder / "model.json").read_bytes()

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    owner = {"fsync": os, "replace": write.Path, "mkstemp": write.tempfile}[fails]
    monkeypatch.setattr(owner, fails, full)
    with pytest.raises(ModelError, match=r"model\.json cannot be written \(No space left.*free the disk"):
        write_probe(generous, found)
    monkeypatch.undo()
    assert (generous.folder / "model.json").read_bytes() == content
    assert load_model(generous.folder) == generous
    kept = {"README.md", "model.json", "weights.safetensors"}
    assert {path.name for path in generous.folder.iterdir()} == kept


def test_another_model_is_refused(generous, tmp_path):
    other = make_model(tmp_path / "models" / "other", make_tiny_spec(), seed=1)
    with pytest.raises(ModelError, match="is not the model that was probed: probe it again"):
        write_probe(other, probe(generous, window=32, noise=1))


def test_bundled_models_are_changed_only_on_demand(generous, monkeypatch):
    found = probe(generous, window=32, noise=1)
    monkeypatch.setattr(write, "BUNDLED", generous.folder.parent)
    with pytest.raises(ModelError, match="it comes with geodl and is not changed: copy its folder"):
        write_probe(generous, found)
    assert load_model(generous.folder) == generous
    assert write_probe(generous, found, bundled=True).spec.halo == 28
