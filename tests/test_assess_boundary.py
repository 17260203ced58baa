from importlib import import_module

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from scipy import ndimage

from geodl.assess.boundary import Tolerance, outline
from geodl.assess.compare import assess
from geodl.errors import OptionError
from geodl.scene.grid import Grid

METRES = Grid(height=10, width=10, transform=Affine(10, 0, 6e5, 0, -10, 5e6), crs=CRS.from_epsg(32632))
NOWHERE = Grid(height=10, width=10, transform=Affine.identity(), crs=None)


def write(path, pixels):
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=pixels.shape[0], width=pixels.shape[1], dtype="uint8",
        crs="EPSG:32632", transform=METRES.transform, nodata=255,
    ) as file:  # fmt: skip
        file.write(pixels, 1)
    return path


@pytest.fixture
def pair(tmp_path):
    rng = np.random.default_rng(3)
    smooth = ndimage.gaussian_filter(rng.normal(size=(3, 90, 110)), (0, 6, 6))
    reference = smooth.argmax(axis=0).astype(np.uint8)
    mapped = np.roll(reference, 2, axis=1)
    mapped[rng.random(mapped.shape) < 0.01] = 2
    reference[20:30, 40:60] = 255
    mapped[:4] = 255
    return write(tmp_path / "map.tif", mapped), write(tmp_path / "truth.tif", reference), mapped, reference


def boundary_by_erosion(classes, number, distance):
    """As the paper's reference code: what `distance` erosions take away, unknown counted as the class."""
    mask = (classes == number) | (classes == 255)
    inner = ndimage.binary_erosion(mask, np.ones((3, 3)), iterations=distance, border_value=1)
    return (classes == number) & ~inner


@pytest.mark.parametrize("distance", [1, 3])
def test_equals_erosion_class_by_class(pair, distance):
    map_path, truth_path, mapped, reference = pair
    found = assess(map_path, truth_path, boundary=f"{distance}px").boundary
    known = (mapped != 255) & (reference != 255)
    for number in range(3):
        g = boundary_by_erosion(reference, number, distance) & known
        p = boundary_by_erosion(mapped, number, distance) & known
        assert found.iou[number] == pytest.approx((g & p).sum() / (g | p).sum())
    assert found.mean == pytest.approx(np.mean(found.iou))


def test_windows_change_nothing(pair, monkeypatch):
    map_path, truth_path, *_ = pair
    whole = assess(map_path, truth_path, boundary="3px")
    monkeypatch.setattr(import_module("geodl.assess.compare"), "_SIDE", 17)
    parts = assess(map_path, truth_path, boundary="3px")
    assert parts.to_dict() == whole.to_dict()


def test_a_shift_costs_boundary_iou_more_than_iou(pair):
    map_path, truth_path, *_ = pair
    found = assess(map_path, truth_path, boundary="2")
    assert found.boundary.mean < 0.8 * found.accuracy.mean_iou
    assert "boundary IoU (2 px)" in found.to_text()
    assert found.to_dict()["boundary"]["tolerance_pixels"] == 2
    assert assess(truth_path, truth_path, boundary="2").boundary.iou == (1, 1, 1)


@given(st.data())
def test_neither_the_border_nor_what_is_unknown_is_an_outline(data):
    shape = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    unknown = np.array(data.draw(st.lists(st.booleans(), min_size=shape[0] * shape[1])))[
        : shape[0] * shape[1]
    ]
    classes = np.where(unknown.reshape(shape), 255, 4).astype(np.uint8)
    assert not outline(classes, data.draw(st.integers(1, 12))).any()


@pytest.mark.parametrize(
    ("text", "pixels"), [("3px", 3), ("3", 3), ("25m", 2), ("26 m", 3), ("5m", 1), ("2.4px", 2)]
)
def test_tolerances(text, pixels):
    assert Tolerance.parse(text, METRES).pixels == pixels


@pytest.mark.parametrize(
    ("text", "grid", "match"),
    [
        ("wide", METRES, "is no distance"),
        ("-2px", METRES, "is no distance"),
        ("nan", METRES, "is no distance"),
        ("4m", METRES, "less than half a pixel"),
        ("30m", NOWHERE, "no CRS.*give pixels"),
    ],
)
def test_bad_tolerances(text, grid, match):
    with pytest.raises(OptionError, match=match):
        Tolerance.parse(text, grid)
