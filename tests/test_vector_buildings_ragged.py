"""Buildings that no straight walls fit: few corners, and room for their neighbours."""

import numpy as np
import pytest
import shapely
from rasterio.features import rasterize
from scipy import ndimage

from geodl.vector.buildings.draw import CLOSER
from geodl.vector.buildings.settle import TOO_MUCH, respectful, yielding
from geodl.vector.buildings.shapes import FAITHFUL, LEAST_AGREEMENT, agreement, generalised, simplified
from tests.test_vector_buildings import HALF_METRE, in_pixels, layer


def blob(seed, size=120, wobble=7.0):
    """A mask of one ragged piece, neither round nor rectangular."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] - size / 2
    noise = ndimage.gaussian_filter(rng.normal(size=(size, size)), 4)
    mask = np.hypot(x, y) + wobble * noise / noise.std() < size / 3.2
    labels, _ = ndimage.label(mask)
    return (labels == labels[size // 2, size // 2]).astype(np.uint8)


def outline(mask):
    from rasterio.features import shapes

    (shape,) = (shapely.geometry.shape(s) for s, value in shapes(mask, mask > 0, connectivity=4) if value)
    return shape


@pytest.mark.parametrize("seed", range(4))
def test_ragged_outlines_lose_corners_and_little_else(seed):
    raw = np.array([outline(blob(seed))])
    plain, coarse = simplified(raw, 1.25), generalised(raw, 1.25)
    assert shapely.is_valid(coarse).all()
    assert agreement(raw, coarse)[0] >= FAITHFUL
    assert shapely.get_num_coordinates(coarse)[0] < 0.7 * shapely.get_num_coordinates(plain)[0]


def test_outlines_that_would_lose_their_shape_are_simplified_as_usual():
    snake = np.array(
        [shapely.LineString([(5, 5), (50, 8), (55, 40), (90, 42)]).buffer(1.5, cap_style="flat")]
    )
    assert shapely.equals(generalised(snake, 4.0), simplified(snake, 4.0)).all()


def test_shapes_yield_the_pixels_of_others_and_keep_the_rest():
    raw = np.array([shapely.box(0, 0, 40, 30), shapely.box(40, 10, 46, 16)])
    shape = np.array([shapely.box(0, 0, 43, 30), raw[1]])
    assert respectful(raw, shape).tolist() == [False, True]
    result = yielding(raw, shape, np.arange(2))
    assert respectful(raw, result).all()
    assert result[0].equals(shape[0].difference(raw[1]))
    assert result[1].equals(raw[1])


def test_a_shape_that_would_lose_too_much_has_its_outline():
    raw = np.array([shapely.box(0, 0, 10, 10), shapely.box(10, 0, 40, 10)])
    shape = np.array([shapely.box(5, 0, 40, 10), raw[1]])
    assert agreement(raw[:1], shapely.difference(shape[:1], raw[1:]))[0] < LEAST_AGREEMENT
    assert yielding(raw, shape, np.arange(2))[0].equals(raw[0])


@pytest.mark.parametrize("seed", range(3))
def test_ragged_neighbours_stay_apart_and_simple(seed):
    """Pieces of a ragged town that touch each other everywhere, sheds among them."""
    rng = np.random.default_rng(seed)
    mask = blob(seed, 200, wobble=14.0) > 0
    cuts = rasterize(
        [shapely.LineString(rng.uniform(20, 180, (3, 2))).buffer(0.8) for _ in range(7)],
        mask.shape,
        dtype="uint8",
    )
    classes = np.where(mask, np.where(cuts > 0, 2, 1), 0).astype(np.uint8)
    columns = layer(classes)
    shapes = in_pixels(columns["geometry"])
    assert shapely.is_valid(shapes).all()
    one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    common = shapely.area(shapely.intersection(shapes[one], shapes[other]))[one < other]
    assert common.max(initial=0) < 1e-3
    assert columns["iou"].min() >= LEAST_AGREEMENT
    exact = columns["iou"] > 1 - 1e-9
    large = shapely.area(shapes) > 400
    assert not (exact & large).any()
    parts = [layer(classes, strip_rows=rows) for rows in (16, 64)]
    for part in parts:
        assert all(shapely.equals_exact(part["geometry"], columns["geometry"], 1e-6))


def test_the_last_tolerance_still_takes_the_steps_out():
    """The steps of a wall at 45 degrees lie 0.71 pixels beside it; the usual tolerance is 1.25."""
    assert np.sqrt(0.5) < CLOSER[-1] * 1.25 < 1
    assert 0 < TOO_MUCH < 0.1


def test_a_thick_rim_belongs_to_its_house():
    """Uncertain models draw rims of 8 pixels: the corners of a house are 16 steps from its inside."""
    classes = np.zeros((60, 60), np.uint8)
    classes[10:50, 10:46] = 2
    classes[18:42, 18:38] = 1
    columns = layer(classes, transform=HALF_METRE)
    assert len(columns["id"]) == 1
    assert columns["iou"][0] == pytest.approx(1)
    assert shapely.get_num_coordinates(columns["geometry"])[0] == 5
