"""Pixel areas against geodesic polygons."""

import numpy as np
import pytest
from affine import Affine
from pyproj import CRS, Geod, Transformer

from geodl.vector.area import PixelAreas, measurable


def geodesic_area(crs, transform, column, row):
    """Area in m² of one pixel whose edges are divided finely, since they are no geodesics."""
    edge = np.linspace(0, 1, 21)[:-1]
    x = np.concatenate([edge, np.ones(20), 1 - edge, np.zeros(20)]) + column
    y = np.concatenate([np.zeros(20), edge, np.ones(20), 1 - edge]) + row
    a, b, c, d, e, f = transform[:6]
    geodetic = crs.geodetic_crs
    degrees = Transformer.from_crs(crs, geodetic, always_xy=True).transform(
        a * x + b * y + c, d * x + e * y + f
    )
    area, _ = Geod(
        a=geodetic.ellipsoid.semi_major_metre, b=geodetic.ellipsoid.semi_minor_metre
    ).polygon_area_perimeter(*degrees)
    return abs(area)


@pytest.mark.parametrize(
    ("crs", "transform", "shape"),
    [
        ("EPSG:32632", Affine(10, 0, 399_960, 0, -10, 5_300_040), (4000, 5000)),
        ("EPSG:32632", Affine(10, 0, 399_960, 0, -10, 5_300_040) @ Affine.rotation(20), (3000, 2000)),
        ("EPSG:32632", Affine(0.5, 0, 399_960, 0, 0.5, 5_300_040), (3000, 3000)),
        ("EPSG:4326", Affine(1 / 3600, 0, 7, 0, -1 / 3600, 47), (3600, 3600)),
        ("EPSG:4326", Affine(0.25, 0, -180, 0, -0.25, 90), (720, 1440)),
        ("EPSG:4326", Affine(0.01, 0, 179, 0, -0.01, 5), (200, 200)),
        ("EPSG:3857", Affine(100, 0, 800_000, 0, -100, 9_000_000), (2000, 2000)),
        ("EPSG:3413", Affine(1000, 0, -1_000_000, 0, -1000, 1_000_000), (2000, 2000)),
        ("EPSG:2154", Affine(20, 0, 600_000, 0, -20, 6_900_000), (2000, 2000)),
    ],
)
def test_areas_are_those_of_geodesic_cells(crs, transform, shape):
    crs = CRS(crs)
    areas = PixelAreas(crs, transform, shape)
    height, width = shape
    for row in (1, height // 3, height - 2):
        got = areas.rows(row, row + 1)[0]
        assert got.shape == (width,)
        for column in (0, width // 3, width // 2 + 1, width - 1):
            assert got[column] == pytest.approx(geodesic_area(crs, transform, column, row), rel=2e-4)


def test_rows_do_not_depend_on_the_strip_they_are_read_in():
    areas = PixelAreas(CRS(32632), Affine(10, 0, 399_960, 0, -10, 5_300_040), (4000, 5000))
    assert areas.rows(0, 1024)[700] == pytest.approx(areas.rows(700, 701)[0], rel=1e-5)


def test_pixels_off_the_earth_have_no_area_and_spoil_no_others():
    # An orthographic full disc: its corners see space.
    crs = CRS("+proj=ortho +lat_0=0 +lon_0=0 +ellps=WGS84")
    areas = PixelAreas(crs, Affine(100_000, 0, -7_000_000, 0, -100_000, 7_000_000), (140, 140)).rows(60, 80)
    assert np.isnan(areas[0, 0])
    assert areas[10, 70] == pytest.approx(1e10, rel=0.01)


def test_what_has_a_place_on_the_earth():
    assert measurable(CRS(4326))
    assert not measurable(CRS('LOCAL_CS["plan",UNIT["metre",1]]'))
