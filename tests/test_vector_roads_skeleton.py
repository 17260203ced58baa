"""The skeleton of roads and its paths: against scikit-image, and the same from any windows."""

import networkx
import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.measure import euler_number, label
from skimage.morphology import thin as thin_by_skimage

from geodl.vector.roads.ground import Ground
from geodl.vector.roads.lines import DEVIATION, smoothed
from geodl.vector.roads.mask import RoadRows
from geodl.vector.roads.skeleton import Reach, half_widths, skeleton_rows
from geodl.vector.roads.thinning import hollow, thin
from geodl.vector.roads.trace import trace_paths
from geodl.vector.source import ClassRaster

PIXELS = Ground(scale=(1.0, 1.0), unit="px", transform=Affine.identity(), crs=None)


def blobs(seed, shape, grain, share):
    """A mask of winding bands and patches."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), grain)
    return noise > np.quantile(noise, 1 - share)


masks = st.builds(
    blobs,
    seed=st.integers(0, 2**32),
    shape=st.tuples(st.integers(1, 60), st.integers(2, 60)),
    grain=st.floats(0.3, 4),
    share=st.floats(0.1, 0.8),
)


def class_raster(mask):
    classes = np.asarray(mask, np.uint8)
    return ClassRaster(
        shape=classes.shape,
        crs=None,
        transform=Affine.identity(),
        nodata=255,
        read=lambda start, stop: classes[start:stop],
    )


def strips(mask, ground=PIXELS, **windows):
    return skeleton_rows(RoadRows(class_raster(mask), 1), mask.shape, ground, **windows)


def skeleton_of(mask, ground=PIXELS, **windows):
    skeleton = np.zeros(mask.shape, bool)
    width = np.zeros(mask.shape)
    for strip in strips(mask, ground, **windows):
        own = (strip.row >= strip.start) & (strip.row < strip.stop)
        skeleton[strip.row[own], strip.column[own]] = True
        width[strip.row[own], strip.column[own]] = strip.half_width[own]
    return skeleton, width


def paths_of(mask, **windows):
    paths = [path for paths in trace_paths(strips(mask, **windows), mask.shape[1]) for path in paths]
    return sorted(paths, key=lambda path: path.order)


@settings(deadline=None, max_examples=60)
@given(mask=masks, iterations=st.sampled_from([1, 2, 5, 100]))
def test_thinning_is_that_of_scikit_image(mask, iterations):
    assert np.array_equal(thin(mask, iterations), thin_by_skimage(mask, max_num_iter=iterations))


@settings(deadline=None, max_examples=40)
@given(mask=masks, rows=st.integers(1, 70), columns=st.integers(1, 70))
def test_windows_do_not_change_skeleton_or_widths(mask, rows, columns):
    whole, width = skeleton_of(mask)
    cut, cut_width = skeleton_of(mask, strip_rows=max(rows, 12), window_columns=max(columns, 12))
    assert np.array_equal(whole, cut)
    assert np.array_equal(width, cut_width)


@settings(deadline=None, max_examples=40)
@given(mask=masks, rows=st.integers(3, 20))
def test_strips_do_not_change_paths(mask, rows):
    whole, cut = paths_of(mask), paths_of(mask, strip_rows=rows, window_columns=40)
    assert [path.order for path in whole] == [path.order for path in cut]
    assert [path.ring for path in whole] == [path.ring for path in cut]
    for one, other in zip(whole, cut, strict=True):
        assert np.array_equal(one.pixel, other.pixel)
        assert np.array_equal(one.half_width, other.half_width)


def test_a_window_of_the_real_halo_sees_enough():
    """Small masks lie within every halo: a large one with wide roads and patches does not."""
    mask = blobs(5, (700, 300), 9, 0.4) | blobs(6, (700, 300), 2, 0.2)
    ground = Ground(scale=(4.0, 4.0), unit="m", transform=Affine.identity(), crs=None)
    assert Reach.on(ground).halo < 50
    whole, width = skeleton_of(mask, ground)
    assert hollow(thin(mask, Reach.on(ground).half_road)).sum() > 0
    cut, cut_width = skeleton_of(mask, ground, strip_rows=64, window_columns=50)
    assert np.array_equal(whole, cut)
    assert np.array_equal(width, cut_width)


@settings(deadline=None, max_examples=40)
@given(mask=masks)
def test_paths_have_the_parts_and_holes_that_scikit_image_counts(mask):
    skeleton, _ = skeleton_of(mask)
    graph = networkx.MultiGraph([path.ends for path in paths_of(mask)])
    number, count = label(skeleton, connectivity=2, return_num=True)
    alone = np.count_nonzero(np.bincount(number.ravel())[1:] == 1)
    parts = networkx.number_connected_components(graph)
    assert parts == count - alone
    squares = skeleton[1:, 1:] & skeleton[1:, :-1] & skeleton[:-1, 1:] & skeleton[:-1, :-1]  # rings of four
    holes = count - euler_number(skeleton, connectivity=2) + np.count_nonzero(squares)
    assert graph.number_of_edges() - graph.number_of_nodes() + parts == holes


def test_every_skeleton_pixel_is_on_a_path():
    mask = blobs(3, (90, 120), 3, 0.5)
    skeleton, _ = skeleton_of(mask)
    on_paths = np.unique(np.concatenate([path.pixel for path in paths_of(mask)]))
    alone = ndimage.label(skeleton, np.ones((3, 3)))[0]
    size = np.bincount(alone.ravel())
    assert np.array_equal(np.flatnonzero(skeleton & (size > 1)[alone]), on_paths)


def test_a_ring_is_one_path_from_its_first_pixel():
    rows, columns = np.indices((60, 60))
    distance = np.hypot(rows - 30, columns - 30)
    (ring,) = paths_of((distance > 15) & (distance < 22), strip_rows=13)
    assert ring.ring
    assert ring.ends[0] == ring.ends[1] == ring.pixel.min()
    assert len(np.unique(ring.pixel)) == len(ring.pixel) - 1


@pytest.mark.parametrize("width", range(1, 12))
def test_half_widths_of_a_straight_road(width):
    mask = np.zeros((40, 60), bool)
    mask[14 : 14 + width] = True
    skeleton, half_width = skeleton_of(mask)
    rows = np.unique(np.nonzero(skeleton)[0])
    assert len(rows) == 1
    assert abs(rows[0] - (14 + (width - 1) / 2)) <= 0.5
    assert np.abs(2 * half_width[skeleton] - width).max() <= 0.5


def test_half_widths_are_bounded_and_measured_on_the_ground():
    mask = np.ones((9, 9), bool)
    assert half_widths(mask, np.array([4]), np.array([4]), (1.0, 1.0), 3) == pytest.approx(2.75)
    mask[:, 6:] = False  # two columns of two metres, less the quarter pixel
    assert half_widths(mask, np.array([4]), np.array([4]), (2.0, 1.0), 5) == pytest.approx(4 - 0.25 * 2**0.5)


def test_what_is_wider_than_a_road_is_its_outline():
    ground = Ground(scale=(5.0, 5.0), unit="m", transform=Affine.identity(), crs=None)
    mask = np.zeros((200, 200), bool)
    mask[20:180, 20:180] = True
    skeleton, _ = skeleton_of(mask, ground)
    half_road = Reach.on(ground).half_road
    inside = slice(20 + half_road + 2, 180 - half_road - 2)
    assert not skeleton[inside, inside].any()
    assert ndimage.label(~skeleton)[1] == 2


@settings(deadline=None, max_examples=60)
@given(
    lines=st.lists(
        hnp.arrays(np.float64, st.tuples(st.integers(2, 15), st.just(2)), elements=st.floats(-50, 50)),
        min_size=1,
        max_size=4,
    )
)
def test_smoothing_moves_no_point_far_and_no_end(lines):
    length = np.array([len(line) for line in lines])
    points = np.concatenate(lines)
    smooth = smoothed(points, length, np.zeros(len(lines), bool))
    assert np.hypot(*(smooth - points).T).max() <= DEVIATION + 1e-9
    ends = np.concatenate([np.cumsum(length) - 1, np.cumsum(length) - length])
    assert np.array_equal(smooth[ends], points[ends])
    for line, part in zip(lines, np.split(smooth, np.cumsum(length)[:-1]), strict=True):
        assert np.array_equal(smoothed(line, length[:1] * 0 + len(line), np.zeros(1, bool)), part)


def test_smoothing_takes_the_steps_out_of_a_sloping_line():
    column = np.arange(120.0)
    points = np.stack([column, np.round(column / 3)], axis=1)
    smooth = smoothed(points, np.array([120]), np.zeros(1, bool))
    assert np.abs(smooth[:, 1] - column / 3)[8:-8].max() < 0.12
