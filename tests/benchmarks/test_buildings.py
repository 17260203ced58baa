"""What straight walls may cost, and that they are worth it."""

import json

import numpy as np
import pytest
import shapely

from tests.benchmarks.buildings import build_town, measure

pytestmark = pytest.mark.benchmark


@pytest.mark.parametrize("noise", [0.0, 0.6])
def test_straight_walls_beside_another_package(noise):
    pytest.importorskip("buildingregulariser", reason="pip install buildingregulariser")
    town = build_town(2500, noise)
    ours, other = measure(town, "geodl"), measure(town, "buildingregulariser")
    print(json.dumps({"noise": noise, "geodl": ours, "buildingregulariser": other}))
    assert ours["failures"] == ours["overlaps"] == ours["outlines left below 0.85"] == 0
    assert ours["IoU with the houses"] >= other["IoU with the houses"]
    assert ours["corners"] < 0.2 * np.mean(shapely.get_num_coordinates(town.outlines) - 1)
    assert ours["buildings per second"] >= 4 * other["buildings per second"]
