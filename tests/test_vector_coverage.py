"""Outlines simplified together: no gaps, no overlaps, and no trace of strips."""

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import gaussian_filter

from geodl.vector.coverage import DROPPED, KEPT, mark_vertices
from tests.test_vector_polygons import NODATA, NORTH_UP, polygons

small_maps = hnp.arrays(
    np.uint8, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.sampled_from([0, 1, 2, NODATA])
)


def smooth_map(height, width, classes=5, sigma=3.0, seed=0):
    rng = np.random.default_rng(seed)
    fields = [gaussian_filter(rng.standard_normal((height, width)), sigma) for _ in range(classes)]
    return np.argmax(fields, axis=0).astype(np.uint8)


def covered(geometry):
    """Area of the union, which is that of all parts together only where none overlap."""
    return shapely.area(shapely.union_all(geometry))


@settings(deadline=None, max_examples=100)
@given(
    classes=small_maps,
    rows=st.integers(1, 7),
    band=st.sampled_from([1, 2, 4, 8, 256]),
    connectivity=st.sampled_from([4, 8]),
    simplify=st.sampled_from([0.5, 1.0, 1.5, 3.0, 20.0]),
)
def test_random_maps_stay_coverages(classes, rows, band, connectivity, simplify):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("geodl.vector.strips.BAND", band)
        geometry, columns = polygons(classes, rows=rows, connectivity=connectivity, simplify=simplify)
        whole, others = polygons(classes, connectivity=connectivity, simplify=simplify)
    exact, before = polygons(classes, connectivity=connectivity)
    assert shapely.is_valid(geometry).all()
    assert (columns["area_px"] > 0).all()
    assert np.allclose(shapely.area(geometry), columns["area_px"])
    assert np.allclose(shapely.length(geometry), columns["perimeter_px"])
    assert set(shapely.to_wkb(geometry)) == set(shapely.to_wkb(whole))
    assert sorted(columns["id"]) == sorted(others["id"]) == sorted(before["id"])
    parts = shapely.get_parts(geometry)
    assert shapely.coverage_is_valid(parts)
    assert covered(parts) == pytest.approx(columns["area_px"].sum())
    if not (classes == NODATA).any():
        assert columns["area_px"].sum() == pytest.approx(classes.size)
    kept = {tuple(point) for point in shapely.get_coordinates(geometry)}
    assert kept <= {(x, y) for x in range(classes.shape[1] + 1) for y in range(classes.shape[0] + 1)}
    exact_parts = shapely.get_parts(exact)
    assert shapely.get_num_interior_rings(parts).sum() == shapely.get_num_interior_rings(exact_parts).sum()
    assert shapely.get_num_geometries(geometry).sum() == shapely.get_num_geometries(exact).sum()


def test_a_map_of_many_bands_is_a_coverage_in_the_crs():
    classes = smooth_map(700, 90)
    classes[200:300, 20:50] = NODATA
    geometry, _ = polygons(classes, rows=64, simplify=1.0, transform=NORTH_UP)
    whole, _ = polygons(classes, rows=1024, simplify=1.0, transform=NORTH_UP)
    exact, _ = polygons(classes, transform=NORTH_UP)
    assert shapely.coverage_is_valid(geometry)
    assert set(shapely.to_wkb(geometry)) == set(shapely.to_wkb(whole))
    assert covered(geometry) == pytest.approx(shapely.area(geometry).sum())
    assert shapely.get_num_coordinates(geometry).sum() < 0.55 * shapely.get_num_coordinates(exact).sum()
    assert len(geometry) == len(exact)


def test_it_leaves_about_as_many_points_as_geos_or_fewer():
    classes = smooth_map(250, 200)
    exact, _ = polygons(classes)
    for tolerance in (0.8, 1.5, 3.0):
        ours, _ = polygons(classes, simplify=tolerance)
        unit = shapely.set_precision(shapely.segmentize(exact, 1.0), 1.0, mode="pointwise")
        theirs = shapely.coverage_simplify(unit, tolerance)
        assert shapely.coverage_is_valid(theirs)
        ours, theirs = shapely.get_num_coordinates(ours).sum(), shapely.get_num_coordinates(theirs).sum()
        assert 0.6 * theirs < ours < 1.05 * theirs


@pytest.mark.parametrize("tolerance", [0.8, 1.0, 2.0, 4.0])
def test_outlines_stay_near(tolerance):
    exact, before = polygons(smooth_map(250, 200))
    simple, after = polygons(smooth_map(250, 200), simplify=tolerance)
    by_id = dict(zip(before["id"].tolist(), exact, strict=True))
    far = [shapely.hausdorff_distance(by_id[i], g) for i, g in zip(after["id"].tolist(), simple, strict=True)]
    assert np.median(far) <= tolerance
    assert max(far) <= 4 * tolerance


def test_a_stair_becomes_a_line():
    classes = (np.add.outer(np.arange(40), np.arange(40)) < 40).astype(np.uint8)
    geometry, _ = polygons(classes, simplify=1.0)
    assert shapely.get_num_coordinates(geometry).tolist() <= [8, 8]
    assert shapely.coverage_is_valid(geometry)


def test_a_pixel_and_a_ring_around_it_keep_three_points():
    classes = np.zeros((9, 9), np.uint8)
    classes[2:7, 2:7] = 1
    classes[4, 4] = 2
    geometry, columns = polygons(classes, simplify=50.0)
    assert columns["class"].tolist() == [0, 1, 2]
    assert shapely.coverage_is_valid(geometry)
    assert shapely.get_num_coordinates(geometry)[2] == 4
    assert shapely.area(geometry).min() > 0


def test_limits_of_a_band_and_of_the_raster_stay():
    classes = smooth_map(34, 40, seed=3)
    marks = mark_vertices(classes, NODATA, 2.0)
    assert marks.shape == (33, 41)
    assert (marks == DROPPED).sum() > 50
    for side in (marks[0], marks[-1], marks[:, 0], marks[:, -1]):
        assert not (side == DROPPED).any()
        assert (side == KEPT).any()


def test_turned_rasters_are_simplified_alike():
    classes = smooth_map(60, 60)
    transform = Affine.rotation(30) @ Affine.scale(2)
    plain, _ = polygons(classes, simplify=1.0)
    turned, _ = polygons(classes, simplify=1.0, transform=transform)
    moved = shapely.transform(plain, lambda p: np.stack(transform * p.T, axis=1))
    assert shapely.equals_exact(shapely.normalize(turned), shapely.normalize(moved), 1e-9).all()
