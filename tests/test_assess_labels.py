import geopandas
import numpy as np
import pandas
import pyogrio
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.features import rasterize
from rasterio.warp import reproject
from shapely.geometry import LineString, MultiLineString, Point, box

from geodl.assess.labels import open_labels, vector
from geodl.errors import SceneError
from geodl.tiles import Window

GRID = GeoBox((120, 90), Affine(10, 0, 600000, 0, -10, 5200000), "EPSG:32632")


def write(path, pixels, *, transform=None, crs=None, nodata=None, driver="GTiff", colormap=None):
    pixels = np.atleast_3d(pixels.T).T if pixels.ndim == 2 else pixels
    with rasterio.open(
        path, "w", driver=driver, count=len(pixels), height=pixels.shape[1], width=pixels.shape[2],
        dtype=pixels.dtype, crs=crs, transform=transform, nodata=nodata,
    ) as file:  # fmt: skip
        file.write(pixels)
        if colormap:
            file.write_colormap(1, colormap)
    return path


def read_all(path, grid=GRID, **options):
    with open_labels(path, grid, **options) as labels:
        return labels.read(Window(0, 0, *grid.shape))


def test_another_crs_equals_rasterio_warp_and_any_windows(tmp_path):
    pixels = np.random.default_rng(1).integers(1, 6, (70, 60)).astype(np.uint8)
    transform = Affine(2.4e-4, 0, 10.3153, 0, -1.7e-4, 46.9435)  # degrees, within and beyond the grid
    path = write(tmp_path / "labels.tif", pixels, transform=transform, crs="EPSG:4326")

    expected = np.full(GRID.shape, 255, dtype=np.uint8)
    with rasterio.open(path) as source:
        reproject(
            rasterio.band(source, 1), expected, dst_crs="EPSG:32632", dst_transform=GRID.affine,
            dst_nodata=255, resampling=Resampling.nearest, tolerance=0.01,
        )  # fmt: skip
    found = read_all(path)
    assert 0 < (found != 255).mean() < 1
    np.testing.assert_array_equal(found, expected)
    with open_labels(path, GRID) as labels:
        for window in (Window(0, 0, 50, 90), Window(50, 0, 70, 31), Window(50, 31, 70, 59)):
            np.testing.assert_array_equal(labels.read(window), expected[window.slices])


def test_nodata_and_values_without_class_are_ignored(tmp_path):
    pixels = np.array([[1, 2], [9, 0]], dtype=np.int16)
    path = write(tmp_path / "a.tif", pixels, transform=GRID.affine, crs="EPSG:32632", nodata=0)
    grid = GRID[:2, :2]
    np.testing.assert_array_equal(read_all(path, grid, mapping={1: 0, 2: 4}), [[0, 4], [255, 255]])
    np.testing.assert_array_equal(read_all(path, grid), [[1, 2], [9, 255]])


@pytest.mark.parametrize("palette", [False, True])
def test_colours_mean_classes(tmp_path, palette):
    colours = np.array([[60, 16, 152], [155, 155, 155], [226, 169, 41]], dtype=np.uint8)
    codes = np.array([[0, 1], [2, 2]], dtype=np.uint8)
    path = tmp_path / "mask.png"
    if palette:
        write(path, codes, driver="PNG", colormap={i: (*map(int, c), 255) for i, c in enumerate(colours)})
    else:
        write(path, colours[codes].transpose(2, 0, 1), driver="PNG")
    grid = GeoBox((2, 2), Affine.identity(), None)
    found = read_all(path, grid, mapping={"#3c1098": 0, "#e2a929": 1})
    np.testing.assert_array_equal(found, [[0, 255], [1, 1]])


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson"])
def test_polygons_in_another_crs_and_any_windows(tmp_path, suffix):
    shapes = [box(600100, 5199300, 600400, 5199900), box(600300, 5198900, 600800, 5199500)]
    frame = geopandas.GeoDataFrame({"kind": ["wood", "water"]}, geometry=shapes, crs="EPSG:32632")
    path = tmp_path / f"polygons{suffix}"
    frame.to_crs("EPSG:4326").to_file(path)

    expected = rasterize([(shapes[0], 3), (shapes[1], 1)], GRID.shape, fill=255, transform=GRID.affine)
    options = {"mapping": {"wood": 3, "water": 1}, "attribute": "kind"}
    found = read_all(path, **options)
    assert (found != expected).mean() < 1e-3  # a pixel centre on an edge may move by 1e-9 m
    with open_labels(path, GRID, **options) as labels:
        np.testing.assert_array_equal(labels.read(Window(30, 20, 60, 50)), found[30:90, 20:70])
        np.testing.assert_array_equal(labels.read(Window(0, 80, 5, 5)), 255)
    assert set(np.unique(read_all(path, background=0, **options))) == {0, 1, 3}


def test_polygons_with_numbers_or_without_attribute(tmp_path):
    frame = geopandas.GeoDataFrame(
        {"code": ["7"]}, geometry=[box(600000, 5199000, 600900, 5200000)], crs=32632
    )
    path = tmp_path / "one.gpkg"
    frame.to_file(path)
    assert (read_all(path, attribute="code")[:100] == 7).all()
    assert (read_all(path)[:100] == 1).all()


def test_wrong_labels_are_refused(tmp_path):
    table = tmp_path / "table.gpkg"
    pyogrio.write_dataframe(pandas.DataFrame({"a": [1]}), table)
    with pytest.raises(SceneError, match=r"table\.gpkg: it is a table without geometries"):
        read_all(table)
    (tmp_path / "empty.gpkg").write_bytes(b"")
    with pytest.raises(SceneError, match=r"empty\.gpkg: .*give a readable vector file"):
        read_all(tmp_path / "empty.gpkg")
    photo = write(tmp_path / "photo.png", np.ones((4, 4), np.uint8), driver="PNG")
    with pytest.raises(SceneError, match=r"no CRS and 4 x 4 pixels, the scene has 120 x 90"):
        read_all(photo)
    placed = write(tmp_path / "a.tif", np.ones((4, 4), np.uint8), transform=GRID.affine, crs="EPSG:32632")
    with pytest.raises(SceneError, match="the scene has none"):
        read_all(placed, GeoBox((4, 4), Affine.identity(), None))
    with pytest.raises(SceneError, match="one band and no palette"):
        read_all(placed, mapping={"#ffffff": 0})
    geopandas.GeoDataFrame({"kind": ["a"]}, geometry=[box(0, 0, 1, 1)], crs=32632).to_file(
        tmp_path / "v.gpkg"
    )
    with pytest.raises(SceneError, match=r"no attribute 'class'; it has kind"):
        read_all(tmp_path / "v.gpkg", attribute="class")
    with pytest.raises(SceneError, match=r"nothing\.tif"):
        read_all(tmp_path / "nothing.tif")


def features(path, shapes, crs="EPSG:32632", out_crs=None, **columns):
    frame = geopandas.GeoDataFrame(columns, geometry=shapes, crs=crs)
    (frame if out_crs is None else frame.to_crs(out_crs)).to_file(path)
    return path


@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:4326", "EPSG:3857"])
def test_lines_are_as_wide_as_metres_on_the_ground(tmp_path, crs):
    # At 47 degrees north a metre of EPSG:3857 is 0.68 m on the ground, a degree 111 or 76 km.
    lines = [
        LineString([(600050, 5199500), (600850, 5199500)]),
        LineString([(600450, 5198900), (600450, 5199900)]),
    ]
    path = features(tmp_path / "roads.gpkg", lines, out_crs=crs, kind=["track", "road"], width=[60.0, 100.0])
    mapping = {"track": 0, "road": 1}
    found = read_all(path, mapping=mapping, attribute="kind", width="width", background=7)
    expected = rasterize(
        [(lines[0].buffer(30), 0), (lines[1].buffer(50), 1)], GRID.shape, fill=7, transform=GRID.affine
    )
    assert (found != expected).mean() < 0.005  # UTM itself is off by up to four in ten thousand
    assert (found[20] == 1).sum() == 10
    assert (found[:, 15] == 0).sum() == 6
    one = read_all(path, mapping=mapping, attribute="kind", width=200)
    assert (one[20] == 1).sum() == 20
    with open_labels(path, GRID, mapping=mapping, attribute="kind", width=200) as labels:
        np.testing.assert_array_equal(labels.read(Window(10, 30, 40, 30)), one[10:50, 30:60])


def test_points_mean_their_pixel_or_a_disc(tmp_path):
    points = [Point(600123, 5199871), Point(600128, 5199874), Point(600555, 5199333)]
    path = features(tmp_path / "points.geojson", points, out_crs="EPSG:4326", code=[3, 5, 4])
    found = read_all(path, attribute="code")
    assert {tuple(p) for p in np.argwhere(found != 255)} == {(12, 12), (66, 55)}
    assert found[12, 12] == 5, "the later one in the file wins"
    assert found[66, 55] == 4
    wide = read_all(path, attribute="code", radius=50)
    area = (wide == 4).sum() * 100
    assert area == pytest.approx(np.pi * 50**2, rel=0.1)
    assert wide[66, 55] == 4
    assert set(np.unique(wide)) == {4, 5, 3, 255}
    tiny = read_all(path, attribute="code", radius=0.5)
    np.testing.assert_array_equal(tiny, found)


def test_many_parts_and_mixed_kinds(tmp_path):
    shapes = [
        MultiLineString([[(600100, 5199900), (600300, 5199900)], [(600500, 5199900), (600800, 5199900)]]),
        box(600100, 5199000, 600300, 5199200),
    ]
    found = read_all(features(tmp_path / "mixed.gpkg", shapes, code=[1, 2]), attribute="code", width=20)
    assert (found[9:11, 12:28] == 1).all()
    assert (found[9:11, 52:78] == 1).all()
    assert (found[:, 40] == 255).all()
    assert (found[80:100, 10:30] == 2).all()


def test_lines_and_points_that_say_too_little_are_refused(tmp_path):
    lines = [LineString([(600100, 5199900), (600300, 5199900)])] * 2
    path = features(tmp_path / "lines.gpkg", lines, wide=[3.0, None], crs="EPSG:32632")
    with pytest.raises(SceneError, match=r"lines\.gpkg: it holds 2 lines.*how wide they are in metres"):
        read_all(path)
    with pytest.raises(SceneError, match=r"1 of 2 lines have no width above 0 in 'wide'"):
        read_all(path, width="wide")
    with pytest.raises(SceneError, match=r"no attribute 'width'; it has wide"):
        read_all(path, width="width")
    photo = features(tmp_path / "photo.gpkg", [LineString([(0, 0), (9, 9)])], crs=None)
    with pytest.raises(SceneError, match="metres on the ground, but the scene has no CRS"):
        read_all(photo, GeoBox((20, 20), Affine.identity(), None), width=3)
    points = features(tmp_path / "points.gpkg", [Point(600123, 5199871)])
    with pytest.raises(SceneError, match="nothing of the ground between them: leave `background` out"):
        read_all(points, background=0)


@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:4326", "EPSG:3035"])
@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".fgb"])
def test_only_what_is_near_is_read_and_nothing_else_changes(tmp_path, monkeypatch, crs, suffix):
    rng = np.random.default_rng(5)
    lines = [
        LineString(rng.uniform((597000, 5196000), (605000, 5203000), (2, 2)).round()) for _ in range(300)
    ]
    path = features(tmp_path / f"roads{suffix}", lines, out_crs=crs, code=rng.integers(1, 200, 300))
    options = {"attribute": "code", "width": 150}
    found = read_all(path, **options)
    read = []
    whole = vector.read_features

    def everything(path, attribute=None, *, box=None):
        read.append((len(whole(path, attribute, box=box)), len(whole(path, attribute))))
        return whole(path, attribute)

    monkeypatch.setattr(vector, "read_features", everything)
    np.testing.assert_array_equal(found, read_all(path, **options))
    ((near, total),) = read
    assert 0 < near < total == 300
    assert (found != 255).any()
