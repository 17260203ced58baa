"""What is declared about the reach of a network is what its gradient shows."""

import pytest
import torch

from geodl.models.parameters import SegnetParameters, UnetCompactParameters, is_local_encoder
from geodl.models.probe import measure_overhang
from geodl.models.receptive_field import overhang
from geodl.models.table import tiling_of
from geodl.models.unet_compact import receptive_field_radius
from tests.test_models_table import make_network


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
