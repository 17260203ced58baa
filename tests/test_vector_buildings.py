"""Building footprints: the same for any strips, valid, apart, near their pixels, straight where they may."""

import numpy as np
import pytest
import shapely
import shapely.affinity
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS
from rasterio.features import rasterize

from geodl.errors import OptionError
from geodl.vector.buildings import buildings
from geodl.vector.buildings.overlap import common_area
from geodl.vector.options import VectorOptions
from geodl.vector.source import ClassRaster, ConfidenceRaster

HALF_METRE = Affine(0.5, 0, 390_000, 0, -0.5, 5_340_000)
UTM = CRS.from_epsg(32633)
NAMES = {1: "building", 2: "building edge"}


def class_raster(classes, transform=HALF_METRE, crs=UTM):
    return ClassRaster(
        shape=classes.shape,
        crs=crs,
        transform=transform,
        nodata=255,
        read=lambda start, stop: classes[start:stop],
    )


def layer(classes, *, names=None, strip_rows=None, confidence=None, transform=HALF_METRE, crs=UTM, **options):
    """All columns by name, with ``geometry``, sorted by id."""
    batches = list(
        buildings(
            class_raster(classes, transform, crs),
            confidence=confidence,
            names=NAMES if names is None else names,
            options=VectorOptions(**options),
            strip_rows=strip_rows,
        )
    )
    schema = {name: column.dtype for name, column in batches[0].columns.items()}
    assert all({name: c.dtype for name, c in batch.columns.items()} == schema for batch in batches)
    columns = {name: np.concatenate([b.columns[name] for b in batches]) for name in batches[0].columns}
    columns["geometry"] = np.concatenate([b.geometry for b in batches])
    order = np.argsort(columns["id"])
    return {name: column[order] for name, column in columns.items()}


def burnt(*shapes, size=(120, 120)):
    """Shapes in pixel coordinates as a mask."""
    return rasterize(shapes, size, dtype="uint8", default_value=1)


def in_pixels(polygon, transform=HALF_METRE):
    a, _, c, _, e, f = transform[:6]
    return shapely.transform(polygon, lambda p: (p - [c, f]) / [a, e])


def overlap(one, other):
    return shapely.intersection(one, other).area / shapely.union(one, other).area


def turns(polygon):
    """Angles between following walls in degrees, 0 to 180."""
    steps = np.diff(shapely.get_coordinates(polygon.exterior), axis=0)
    angle = np.degrees(np.arctan2(steps[:, 1], steps[:, 0]))
    return np.abs((np.roll(angle, -1) - angle + 180) % 360 - 180)


RECTANGLE = shapely.box(30, 40, 90, 75)
ELL = shapely.Polygon([(30, 30), (90, 30), (90, 55), (60, 55), (60, 90), (30, 90)])
STAGE = shapely.Polygon([(25, 30), (95, 30), (95, 60), (75, 60), (75, 80), (45, 80), (45, 60), (25, 60)])
CHAMFERED = shapely.Polygon([(30, 30), (70, 30), (90, 50), (90, 90), (30, 90)])
COURTYARD = shapely.Polygon(shapely.box(25, 25, 95, 90).exterior, [shapely.box(45, 45, 75, 70).exterior])


def town(seed, size=(90, 70), count=14, noise=0.0):
    """Houses of all directions, some of which touch, as classes with edges."""
    rng = np.random.default_rng(seed)
    numbers = np.zeros(size, np.int32)
    for number in range(1, count + 1):
        box = shapely.box(-rng.uniform(2, 9), -rng.uniform(2, 6), rng.uniform(2, 9), rng.uniform(2, 6))
        angle = rng.choice([0.0, 0.3, 0.35, 0.8])
        at = rng.uniform(0, 1, 2) * size[::-1]
        house = shapely.affinity.translate(
            shapely.affinity.rotate(box, angle, origin=(0, 0), use_radians=True), *at
        )
        numbers[(rasterize([house], size, dtype="uint8") > 0) & (numbers == 0)] = number
    padded = np.pad(numbers, 1)
    edge = np.zeros(size, bool)
    for row, column in ((0, 1), (2, 1), (1, 0), (1, 2)):
        edge |= padded[row : row + size[0], column : column + size[1]] != numbers
    classes = np.where(numbers > 0, np.where(edge, 2, 1), 0).astype(np.uint8)
    classes[rng.random(size) < noise] = 0
    return classes


def apart(geometry):
    """Largest area that two of the polygons share."""
    one, other = shapely.STRtree(geometry).query(geometry, predicate="intersects")
    pairs = one < other
    return shapely.area(shapely.intersection(geometry[one[pairs]], geometry[other[pairs]])).max(initial=0)


@settings(deadline=None, max_examples=12)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(3, 40),
    noise=st.sampled_from([0.0, 0.05, 0.3]),
    regularize=st.sampled_from(["off", "gentle", "strict"]),
)
def test_strips_give_the_buildings_of_the_whole_raster(seed, rows, noise, regularize):
    classes = town(seed, noise=noise)
    whole = layer(classes, regularize=regularize, min_area=1)
    parts = layer(classes, regularize=regularize, min_area=1, strip_rows=rows)
    for name, column in whole.items():
        if name == "geometry":
            assert shapely.equals_exact(column, parts[name], 1e-6).all()
        elif column.dtype == object:
            assert (column == parts[name]).all()
        else:
            assert np.allclose(column, parts[name], equal_nan=True, rtol=1e-9, atol=1e-6)


@settings(deadline=None, max_examples=12)
@given(
    seed=st.integers(0, 10_000),
    noise=st.sampled_from([0.0, 0.05, 0.3]),
    regularize=st.sampled_from(["off", "gentle", "strict"]),
)
def test_buildings_are_valid_near_their_pixels_and_apart(seed, noise, regularize):
    found = layer(town(seed, noise=noise), regularize=regularize, min_area=0)
    assert shapely.is_valid(found["geometry"]).all()
    assert (shapely.get_type_id(found["geometry"]) == shapely.GeometryType.POLYGON).all()
    assert found["iou"].min(initial=1) >= 0.85
    assert apart(found["geometry"]) < 1e-5
    assert np.allclose(found["area_m2"], shapely.area(found["geometry"]), rtol=2e-3)
    assert np.allclose(found["perimeter_m"], shapely.length(found["geometry"]), rtol=2e-3)
    if regularize == "off":
        assert not found["regularized"].any()


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_common_areas_are_those_of_geos(seed):
    rng = np.random.default_rng(seed)
    center = rng.uniform(0, 10, (6, 2))
    ragged = np.array([shapely.Point(p).buffer(rng.uniform(1, 6), 3) for p in center])
    ragged = shapely.difference(ragged, shapely.buffer(shapely.points(center), 0.8))  # with holes
    box = [shapely.box(*low, *(low + rng.uniform(0.5, 8, 2))) for low in rng.uniform(-2, 8, (6, 2))]
    turns_ = rng.uniform(0, 90, 5)
    shape = np.array([box[0], *map(shapely.affinity.rotate, box[1:], turns_)])
    shape[5] = shapely.Point(center[0]).buffer(3)  # no rectangle
    assert np.allclose(
        common_area(ragged, shape), shapely.area(shapely.intersection(ragged, shape)), atol=1e-6
    )


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), at_once=st.sampled_from([1, 300, 2**18]))
def test_common_areas_of_pixel_outlines_are_those_of_geos(seed, at_once):
    """Outlines of pixels with courtyards, far from the origin, and shapes with edges of every direction."""
    rng = np.random.default_rng(seed)
    middle = np.array([30_000.0, 60_000.0])
    pairs = []
    for _ in range(5):
        cells = [shapely.box(*low, *(low + size)) for low, size in rng.integers(1, 9, (6, 2, 2))]
        hole = shapely.box(4, 4, 6, 6)
        outline = max(shapely.get_parts(shapely.union_all(cells).difference(hole)), key=shapely.area)
        shape = shapely.simplify(outline, rng.uniform(0, 1.5))
        shape = shapely.affinity.rotate(shape, rng.choice([0, 3, 45, 90]))
        pairs.append([shapely.affinity.translate(p, *middle) for p in (outline, shape)])
    outline, shape = np.array(pairs).T
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(common_area.__globals__, "AT_ONCE", at_once)
        found = common_area(outline, shape)
    assert np.allclose(found, shapely.area(shapely.intersection(outline, shape)), atol=1e-6)
    turned = shapely.reverse(shape)
    assert np.allclose(common_area(outline, turned), found, atol=1e-9)


@pytest.mark.parametrize("degrees", [0, 7, 24, 45, 61.5, 88])
@pytest.mark.parametrize("house", [RECTANGLE, ELL, STAGE, COURTYARD], ids=["box", "L", "T", "courtyard"])
@pytest.mark.parametrize("regularize", ["gentle", "strict"])
def test_right_angles_come_back(house, degrees, regularize):
    house = shapely.affinity.rotate(house, degrees, origin=(60, 60))
    found = layer(burnt(house), regularize=regularize)
    (polygon,) = found["geometry"]
    assert found["regularized"].tolist() == [1]
    assert shapely.get_num_coordinates(polygon) == shapely.get_num_coordinates(house)
    assert np.allclose(turns(polygon), 90, atol=1e-3)
    assert overlap(in_pixels(polygon), house) > 0.97
    assert (
        abs((found["angle_deg"][0] + degrees + 45) % 90 - 45) < 1
    )  # rows run down, so turns change their sign


def test_walls_at_45_degrees_stay_where_they_are_wanted():
    house = shapely.affinity.rotate(CHAMFERED, 20, origin=(60, 60))
    gentle, strict = (layer(burnt(house), regularize=how)["geometry"][0] for how in ("gentle", "strict"))
    assert sorted(turns(gentle).round(2)) == [45, 45, 90, 90, 90]
    assert np.allclose(turns(strict), 90, atol=1e-3)
    assert overlap(in_pixels(gentle), house) > 0.97


def test_a_wall_with_a_direction_of_its_own_stays():
    house = shapely.Polygon([(20, 30), (100, 30), (100, 60), (20, 85)])
    gentle = in_pixels(layer(burnt(house))["geometry"][0])
    assert shapely.get_num_coordinates(gentle) == 5
    assert overlap(gentle, house) > 0.97


def test_round_buildings_stay_round_and_squares_do_not_become_so():
    for radius in (6, 12, 30):
        disc = shapely.Point(60.3, 60.8).buffer(radius, 64)
        found = layer(burnt(disc))
        (polygon,) = found["geometry"]
        assert overlap(in_pixels(polygon), disc) > 0.93
        assert shapely.get_num_coordinates(polygon) == 33
        assert np.isnan(found["angle_deg"][0])
        square = shapely.affinity.rotate(shapely.box(60 - radius, 60 - radius, 60 + radius, 60 + radius), 33)
        assert shapely.get_num_coordinates(layer(burnt(square))["geometry"][0]) == 5
    assert shapely.get_num_coordinates(layer(burnt(disc), regularize="strict")["geometry"][0]) < 33


def test_a_ragged_wall_becomes_straight():
    rng = np.random.default_rng(3)
    classes = burnt(RECTANGLE)
    for column in range(30, 90, 3):
        classes[40 : 40 + rng.integers(0, 3), column : column + 3] = 0
        classes[75 : 75 + rng.integers(0, 3), column : column + 3] = 1
    polygon = layer(classes)["geometry"][0]
    assert shapely.get_num_coordinates(polygon) == 5
    assert overlap(in_pixels(polygon), RECTANGLE) > 0.93


def test_neighbours_take_one_direction():
    rng = np.random.default_rng(5)
    houses = [
        shapely.affinity.rotate(shapely.box(x, y, x + 13, y + 10), 20 + rng.normal(0, 1.5))
        for x in (10, 40, 70, 100)
        for y in (15, 50, 85)
    ]
    angle = layer(burnt(*houses, size=(120, 140)))["angle_deg"] % 90
    alone = [layer(burnt(house, size=(120, 140)))["angle_deg"][0] % 90 for house in houses]
    assert np.ptp(angle) < 0.7 * np.ptp(alone)
    far = layer(burnt(houses[0], shapely.box(100, 15, 113, 25), size=(120, 140)))["angle_deg"] % 90
    assert abs((far[1] - far[0] + 45) % 90 - 45) > 10  # a house that really stands otherwise stays


def test_a_row_of_houses_keeps_its_walls_and_does_not_overlap():
    classes = np.zeros((60, 140), np.uint8)
    row = [
        shapely.affinity.rotate(shapely.box(x, 20, x + 24, 42), 9, origin=(70, 30)) for x in (20, 44, 68, 92)
    ]
    for house in row:
        inside = rasterize([house], classes.shape, dtype="uint8") > 0
        classes[inside] = 2
        classes[rasterize([house.buffer(-1.5)], classes.shape, dtype="uint8") > 0] = 1
    found = layer(classes)
    assert len(found["geometry"]) == 4
    assert found["regularized"].all()
    assert apart(found["geometry"]) < 1e-5
    for polygon, house in zip(found["geometry"], row, strict=True):
        assert max(overlap(in_pixels(p), house) for p in found["geometry"]) > 0.93, polygon.wkt


def test_metres_whatever_the_map_measures_in():
    house = shapely.affinity.rotate(ELL, 30, origin=(60, 60))
    latitude = 60.0
    east = 0.5 / (111_412.0 * np.cos(np.radians(latitude)))
    degrees = Affine(east, 0, 10, 0, -0.5 / 111_412.0, latitude)
    mercator = Affine(1.0, 0, 1_113_195, 0, -1.0, 8_399_737)  # 60 degrees north: half a metre
    for crs, transform in (("EPSG:4326", degrees), ("EPSG:3857", mercator)):
        found = layer(burnt(house), transform=transform, crs=CRS.from_user_input(crs))
        (polygon,) = found["geometry"]
        assert shapely.get_num_coordinates(polygon) == 7
        assert overlap(in_pixels(polygon, transform), house) > 0.97
        assert found["area_m2"][0] == pytest.approx(house.area / 4, rel=0.02)
        assert found["perimeter_m"][0] == pytest.approx(house.length / 2, rel=0.02)
        assert abs((found["angle_deg"][0] + 30 + 45) % 90 - 45) < 1


def test_small_buildings_and_courtyards_go():
    classes = burnt(shapely.Polygon(RECTANGLE.exterior, [shapely.box(50, 50, 53, 53).exterior]))
    classes[5:8, 5:8] = 1  # 2.25 m²
    assert len(layer(classes)["geometry"]) == 1
    assert not len(layer(classes)["geometry"][0].interiors)
    assert len(layer(classes, min_area=1)["geometry"]) == 2
    assert len(layer(classes, min_area=1)["geometry"][1].interiors) == 1


def test_exact_outlines_on_demand():
    classes = town(4)
    classes[classes > 0] = 1
    found = layer(classes, simplify=0, min_area=0)
    assert np.array_equal(burnt(*map(in_pixels, found["geometry"]), size=classes.shape), classes)
    assert np.allclose(found["iou"], 1)
    with pytest.raises(OptionError, match="--simplify 0 keeps the outlines of the pixels: leave one"):
        layer(classes, simplify=0, regularize="strict")
    with pytest.raises(OptionError, match="--connectivity: it means nothing for the task buildings"):
        layer(classes, connectivity=8)


def test_without_a_place_on_the_earth_a_pixel_is_a_metre():
    found = layer(burnt(RECTANGLE), transform=Affine.identity(), crs=None)
    assert found["area_px"].tolist() == [RECTANGLE.area]
    assert found["perimeter_px"].tolist() == [RECTANGLE.length]
    assert found["geometry"][0].equals(RECTANGLE)


def test_confidence_is_that_of_the_pixels():
    classes = burnt(RECTANGLE)
    values = np.where(classes == 1, 0.75, np.nan)
    source = ConfidenceRaster(shape=classes.shape, read=lambda start, stop: values[start:stop])
    assert layer(classes, confidence=source)["confidence"].tolist() == [0.75]


def test_the_class_of_other_software():
    classes = np.where(burnt(RECTANGLE), 7, 0).astype(np.uint8)
    assert len(layer(classes, names={})["geometry"]) == 1
    found = layer(np.where(classes == 7, 7, 3), names={3: "field", 7: "roof"}, object_class="roof")
    assert found["class"].tolist() == [7]
    assert found["name"].tolist() == ["roof"]


def test_nothing_to_find():
    found = layer(np.zeros((20, 20), np.uint8))
    assert len(found["geometry"]) == 0
    assert list(found)[:5] == ["id", "class", "name", "area_m2", "perimeter_m"]
