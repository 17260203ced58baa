"""On a GPU: the same map as on a processor, by streams and by tiles; `python -m pytest -m gpu`."""

import numpy as np
import pytest
import torch

import geodl
from geodl.forward import forward_for
from geodl.models.bundle import load_model
from geodl.scene import open_scene
from geodl.stream import Graph
from tests.conftest import ROOT

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
EQUAL = 0.9999  # share of pixels; the order in which a GPU adds is its own


@pytest.fixture(scope="module")
def scene():
    return open_scene(ROOT / "sample_scenes" / "s2_valley_2023.tif")


@pytest.mark.parametrize("tile", [None, 336], ids=["stream", "tiles"])
@pytest.mark.parametrize("options", [{}, {"tta": True}], ids=["", "tta"])
def test_the_map_is_that_of_a_processor(scene, tile, options):
    found, expected = (
        geodl.predict(scene, "landcover-s2", tile=tile, device=device, precision="fp32", **options).compute()
        for device in ("cuda", "cpu")
    )
    valid = expected["class"].values != 255
    assert valid.any()
    assert (found["class"].values == expected["class"].values)[valid].mean() >= EQUAL
    probabilities = (result["confidence"].values[valid] for result in (found, expected))
    np.testing.assert_allclose(*probabilities, atol=1e-3)


def test_blocks_do_not_change_the_classes(scene):
    found = [
        geodl.predict(scene, "landcover-s2", device="cuda", block=block)["class"].values
        for block in (256, 4096)
    ]
    assert (found[0] == found[1]).mean() >= EQUAL


def test_batches_do_not_change_the_classes(scene):
    found = [
        geodl.predict(scene, "landcover-s2", device="cuda", tile=336, batch=batch)["class"].values
        for batch in (1, 5)
    ]
    assert (found[0] == found[1]).mean() >= EQUAL


def test_the_network_streams_there_too():
    graph = forward_for(load_model("landcover-s2"), "cuda", "bf16").graph
    assert isinstance(graph, Graph)
    assert graph.dtype == torch.bfloat16
