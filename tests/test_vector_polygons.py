"""Polygons from strips against those of the whole raster by GDAL."""

import numpy as np
import pytest
import rasterio.features
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from shapely.geometry import shape

from geodl.vector.polygons import polygonize
from geodl.vector.source import ClassRaster, ConfidenceRaster
from geodl.vector.strips import rows_per_strip

NODATA = 255
PIXELS = Affine.identity()
NORTH_UP = Affine(10, 0, 500_000, 0, -10, 5_000_000)


def class_raster(classes, transform=PIXELS, nodata=NODATA):
    return ClassRaster(
        shape=classes.shape,
        crs=None,
        transform=transform,
        nodata=nodata,
        read=lambda start, stop: classes[start:stop],
    )


def polygons(classes, *, rows=None, connectivity=4, simplify=0, **options):
    raster = class_raster(classes, **options)
    batches = list(polygonize(raster, connectivity=connectivity, simplify=simplify, strip_rows=rows))
    columns = {name: np.concatenate([b.columns[name] for b in batches]) for name in batches[0].columns}
    return np.concatenate([b.geometry for b in batches]), columns


def oracle(classes, connectivity=4):
    """(value, geometry) of `rasterio.features.shapes`, made valid where rings touch themselves."""
    pairs = rasterio.features.shapes(
        classes.astype(np.int32), mask=classes != NODATA, connectivity=connectivity
    )
    return [(int(value), shapely.make_valid(shape(geometry))) for geometry, value in pairs]


def pixel_sets(values, geometries, classes_shape):
    """Each polygon as the set of pixels it covers, with its value: what polygons equal means."""
    columns, rows = np.meshgrid(np.arange(classes_shape[1]) + 0.5, np.arange(classes_shape[0]) + 0.5)
    return {
        (int(v), shapely.contains_xy(g, columns, rows).tobytes())
        for v, g in zip(values, geometries, strict=True)
    }


class_arrays = hnp.arrays(
    np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.sampled_from([0, 1, 2, NODATA])
)


@settings(deadline=None, max_examples=150)
@given(classes=class_arrays, rows=st.integers(1, 6), connectivity=st.sampled_from([4, 8]))
def test_strips_give_the_polygons_of_the_whole_raster(classes, rows, connectivity):
    geometry, columns = polygons(classes, rows=rows, connectivity=connectivity)
    expected = oracle(classes, connectivity)
    assert shapely.is_valid(geometry).all()
    assert np.array_equal(shapely.area(geometry), columns["area_px"])
    assert len(geometry) == len(expected)
    values, shapes = zip(*expected, strict=True) if expected else ((), ())
    assert pixel_sets(columns["class"], geometry, classes.shape) == pixel_sets(values, shapes, classes.shape)
    assert sorted(shapely.length(geometry)) == sorted(shapely.length(shapes))
    assert np.array_equal(shapely.length(geometry), columns["perimeter_px"])
    whole, _ = polygons(classes, connectivity=connectivity)
    assert set(shapely.to_wkb(whole)) == set(shapely.to_wkb(geometry))


@settings(deadline=None, max_examples=100)
@given(classes=class_arrays, rows=st.integers(1, 6), connectivity=st.sampled_from([4, 8]))
def test_polygonize_then_rasterize_is_the_identity(classes, rows, connectivity):
    geometry, columns = polygons(classes, rows=rows, connectivity=connectivity, transform=NORTH_UP)
    back = np.full(classes.shape, NODATA, np.uint8)
    if len(geometry):
        back = rasterio.features.rasterize(
            zip(geometry, columns["class"].tolist(), strict=True),
            classes.shape,
            fill=NODATA,
            transform=NORTH_UP,
            dtype=np.uint8,
        )
    assert np.array_equal(back, classes)


@settings(deadline=None, max_examples=50)
@given(classes=class_arrays)
def test_vertices_are_corners_only_and_exteriors_counterclockwise(classes):
    for transform in (NORTH_UP, Affine(10, 0, 0, 0, 10, 0), NORTH_UP @ Affine.rotation(30)):
        geometry, _ = polygons(classes, rows=2, transform=transform)
        rings = shapely.get_rings(geometry)
        simple = shapely.simplify(shapely.polygons(rings), 1e-6)
        assert np.array_equal(shapely.get_num_coordinates(simple), shapely.get_num_coordinates(rings))
        assert shapely.is_ccw(shapely.get_exterior_ring(geometry)).all()


def test_nested_rings_keep_their_holes():
    side = 41
    rows, columns = np.mgrid[:side, :side]
    distance = np.maximum(abs(rows - side // 2), abs(columns - side // 2))
    classes = (distance // 2 % 2).astype(np.uint8)
    for connectivity in (4, 8):
        geometry, columns_ = polygons(classes, rows=4, connectivity=connectivity)
        parts = shapely.get_parts(geometry)
        assert len(parts) == side // 4 + 1
        assert sorted(shapely.get_num_interior_rings(parts)) == [0] + [1] * (len(parts) - 1)
        assert columns_["area_px"].sum() == side * side


def test_checkerboard_is_one_multipolygon_per_class_with_eight_neighbours():
    classes = (np.indices((9, 9)).sum(axis=0) % 2).astype(np.uint8)
    geometry, columns = polygons(classes, rows=2, connectivity=8)
    assert columns["class"].tolist() == [0, 1]
    assert shapely.get_num_geometries(geometry).tolist() == [41, 40]
    assert shapely.is_valid(geometry).all()


def test_features_come_by_first_pixel_and_are_numbered_by_it():
    classes = np.array([[1, 2, 2], [1, 3, 2], [4, 4, 2]], np.uint8)
    _, columns = polygons(classes)
    assert columns["id"].tolist() == [1, 2, 5, 7]
    assert columns["class"].tolist() == [1, 2, 3, 4]


def test_order_does_not_depend_on_reads(monkeypatch):
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 3, (70, 30)).astype(np.uint8)
    whole, _ = polygons(classes, rows=16)
    monkeypatch.setattr("geodl.vector.strips.READ_ROWS", 32)
    pieces, _ = polygons(classes, rows=16)
    assert shapely.equals_exact(whole, pieces).all()


def test_mean_confidence_leaves_unknown_pixels_out():
    classes = np.array([[1, 1, 2], [1, 1, 2], [1, 1, 3]], np.uint8)
    values = np.array([[0.5, 1.0, 0.2], [np.nan, 1.0, 0.4], [0.5, 0.5, np.nan]])
    source = ConfidenceRaster(shape=classes.shape, read=lambda start, stop: values[start:stop])
    batches = list(polygonize(class_raster(classes), confidence=source, strip_rows=1))
    wanted = ("class", "confidence", "confidence_min")
    rows = {
        int(c): (float(mean), float(least))
        for b in batches
        for c, mean, least in zip(*(b.columns[name] for name in wanted), strict=True)
    }
    assert rows[1] == pytest.approx((0.7, 0.5))
    assert rows[2] == pytest.approx((0.3, 0.2))
    assert np.isnan(rows[3]).all()


@pytest.mark.parametrize("shape_", [(1, 1), (1, 37), (37, 1)])
def test_small_rasters(shape_):
    geometry, columns = polygons(np.full(shape_, 7, np.uint8))
    assert geometry[0].equals(shapely.box(0, 0, shape_[1], shape_[0]))
    assert columns["area_px"].tolist() == [shape_[0] * shape_[1]]


def test_all_nodata_gives_one_empty_batch_with_the_columns():
    batches = list(polygonize(class_raster(np.full((5, 5), NODATA, np.uint8))))
    assert [len(batch) for batch in batches] == [0]
    assert list(batches[0].columns) == ["id", "class", "name", "area_px", "perimeter_px"]


def test_strips_hold_a_bounded_number_of_pixels():
    for width in (1, 500, 8192, 100_000, 20_000_000):
        rows = rows_per_strip(width)
        assert 1 <= rows <= 1024
        assert rows == 1 or rows * width <= 2**23
