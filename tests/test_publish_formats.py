"""Products are what the standards of their formats ask for, as other software sees them."""

import json
import sqlite3

import geopandas
import numpy as np
import pyarrow.parquet
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from pyproj import Geod
from rasterio.crs import CRS
from rio_cogeo import cog_validate

from geodl.models.spec import ClassSpec
from geodl.publish import RasterGrid, RasterLayer, write_cog_windows, write_vectors
from geodl.vector import FeatureBatch

UTM = Affine(10, 0, 600000, 0, -10, 5200000)
CLASSES = (
    ClassSpec(value=1, name="water", color="#2b6cb0"),
    ClassSpec(value=2, name="a & b", color="#22643a"),
)
LAYERS = {
    "classes": RasterLayer(dtype="uint8", nodata=255, classes=CLASSES, descriptions=("Land cover",)),
    "percent": RasterLayer(dtype="uint8", nodata=255, overview="average", scale=0.01),
    "bands": RasterLayer(dtype="uint8", bands=3, nodata=255, overview="average", scale=0.01),
    "floats": RasterLayer(dtype="float32", nodata=float("nan"), overview="average"),
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (511, 513), (1025, 40), (1300, 1100)], ids=str)
def test_rasters_pass_the_strict_validator(tmp_path, layer, shape):
    described = LAYERS[layer]
    pixels = np.zeros((described.bands, *shape), described.dtype)
    pixels[..., ::2] = 1
    grid = RasterGrid(height=shape[0], width=shape[1], crs=CRS.from_epsg(32632), transform=UTM)
    path = write_cog_windows([(0, 0, pixels)], tmp_path / "map.tif", grid=grid, layer=described)
    valid, errors, warnings = cog_validate(path, strict=True, config={"GDAL_PAM_ENABLED": "NO"})
    assert (valid, errors, warnings) == (True, [], [])
    with rasterio.open(path) as source:
        assert np.array_equal(source.read(), pixels)


def squares(crs_step=100.0, count=40, origin=(600000.0, 5200000.0)):
    x = origin[0] + crs_step * np.arange(count)
    geometry = shapely.box(x, origin[1], x + crs_step, origin[1] + crs_step)
    columns = {
        "class": np.arange(count) % 2 + 1,
        "name": np.array(["water", "a & b"] * (count // 2), dtype=object),
        "area_m2": np.full(count, crs_step**2),
    }
    return FeatureBatch(columns=columns, geometry=geometry, geometry_type="Polygon")


def write(path, batch=None, crs="EPSG:32632"):
    batches = [batch or squares()]
    write_vectors(batches, path, layer="landcover", crs=crs, provenance={"geodl": "1"}, classes=CLASSES)
    return path


def test_a_geopackage_is_whole(tmp_path):
    path = write(tmp_path / "map.gpkg")
    with sqlite3.connect(path) as file:
        ask = lambda text: file.execute(text).fetchall()  # noqa: E731
        assert ask("PRAGMA application_id") == [(0x47504B47,)]  # "GPKG", requirement 2
        assert ask("PRAGMA user_version")[0][0] >= 10200
        assert ask("PRAGMA integrity_check") == [("ok",)]
        assert ask("PRAGMA foreign_key_check") == []
        tables = {name for (name,) in ask("SELECT name FROM sqlite_master WHERE type = 'table'")}
        listed = ask("SELECT table_name, data_type, srs_id FROM gpkg_contents ORDER BY table_name")
        assert listed == [("landcover", "features", 32632), ("layer_styles", "attributes", 0)]
        geometry = ask(
            "SELECT table_name, column_name, geometry_type_name, srs_id FROM gpkg_geometry_columns"
        )
        assert geometry == [("landcover", "geom", "POLYGON", 32632)]
        extensions = set(ask("SELECT table_name, column_name, extension_name FROM gpkg_extensions"))
        assert ("landcover", "geom", "gpkg_rtree_index") in extensions
        assert {table for table, _, _ in extensions if table} <= tables
        assert {name for _, _, name in extensions} == {"gpkg_rtree_index", "gpkg_metadata"}
        assert ask("SELECT count(*) FROM rtree_landcover_geom") == [(40,)]
        box = ask("SELECT min_x, min_y, max_x, max_y FROM gpkg_contents WHERE table_name = 'landcover'")
        assert box == [(600000.0, 5200000.0, 604000.0, 5200100.0)]
        assert {-1, 0, 4326, 32632} <= {srs for (srs,) in ask("SELECT srs_id FROM gpkg_spatial_ref_sys")}
        (metadata,) = ask("SELECT mime_type, metadata FROM gpkg_metadata")
        assert (metadata[0], json.loads(metadata[1])) == ("application/json", {"geodl": "1"})
        orphans = (
            "SELECT count(*) FROM gpkg_metadata_reference r LEFT JOIN gpkg_metadata m ON m.id = r.md_file_id"
        )
        assert ask(f"{orphans} WHERE m.id IS NULL") == [(0,)]
    found = pyogrio.read_dataframe(path, layer="landcover", bbox=(600001, 5200001, 600099, 5200099))
    assert len(found) == 1
    about = pyogrio.read_info(path, layer="landcover")
    assert (about["geometry_type"], about["features"], about["crs"]) == ("Polygon", 40, "EPSG:32632")
    assert about["capabilities"]["fast_spatial_filter"]


def test_geoparquet_has_a_box_for_each_row(tmp_path):
    path = write(tmp_path / "map.parquet")
    about = json.loads(pyarrow.parquet.read_schema(path).metadata[b"geo"])
    assert about["version"].startswith("1.1")
    column = about["columns"][about["primary_column"]]
    assert column["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]
    assert (column["encoding"], column["geometry_types"]) == ("WKB", ["Polygon"])
    part = geopandas.read_parquet(path, bbox=(600001, 5200001, 600099, 5200099))
    assert (len(part), part.crs.to_epsg()) == (1, 32632)


def test_flatgeobuf_finds_by_place(tmp_path):
    path = write(tmp_path / "map.fgb")
    about = pyogrio.read_info(path)
    assert about["capabilities"]["fast_spatial_filter"]
    assert (about["driver"], about["features"], about["crs"]) == ("FlatGeobuf", 40, "EPSG:32632")
    assert len(pyogrio.read_dataframe(path, bbox=(600001, 5200001, 600099, 5200099))) == 1


@pytest.mark.parametrize(
    ("crs", "batch"),
    [
        ("EPSG:3832", squares(10000, 60, (2.9e6, 1e6))),  # Mercator around 150 degrees east: across 180
        ("EPSG:4326", squares(0.5, 8, (178.0, 10.0))),
        ("EPSG:4326", squares(45.0, 8, (0.0, 10.0))),
        ("EPSG:4326", squares(180.0, 2, (-180.0, -90.0))),
    ],
    ids=["projected", "over 180", "0 to 360", "round the globe"],
)
def test_geojson_breaks_at_the_antimeridian(tmp_path, crs, batch):
    path = write(tmp_path / "map.geojson", batch, crs)
    content = json.loads(path.read_bytes())
    assert "crs" not in content  # RFC 7946: always WGS84
    found = geopandas.GeoDataFrame.from_features(content["features"])
    assert found.is_valid.all()
    assert found.total_bounds[0] >= -180
    assert found.total_bounds[2] <= 180
    assert (found["class"] == batch.columns["class"]).all()
    spans = shapely.bounds(shapely.get_parts(found.geometry.array))
    if crs == "EPSG:4326":
        np.testing.assert_allclose(found.area, shapely.area(batch.geometry))
        return
    assert (found.geom_type == "MultiPolygon").sum() == 1
    assert (spans[:, 2] - spans[:, 0]).max() < 0.1
    globe = Geod(ellps="WGS84")
    areas = [
        sum(abs(globe.geometry_area_perimeter(p)[0]) for p in shapely.get_parts(g)) for g in found.geometry
    ]
    np.testing.assert_allclose(areas, areas[0], rtol=1e-3)  # all in one row


@pytest.mark.parametrize("west", [-1.9e7, -2.003750834e7])
def test_geojson_of_a_wide_polygon_is_not_turned_round(tmp_path, west):
    wide = shapely.box([west], [0.0], [-west], [1e6])
    batch = FeatureBatch(columns={"class": np.array([1])}, geometry=wide, geometry_type="Polygon")
    found = geopandas.read_file(write(tmp_path / "map.geojson", batch, "EPSG:3857"))
    assert found.is_valid.all()
    assert found.total_bounds[2] - found.total_bounds[0] == pytest.approx(np.degrees(-2 * west / 6378137))
    assert found.geom_type.tolist() == ["Polygon"]


def test_geojson_round_a_pole(tmp_path):
    cap = shapely.box([-1e6], [-1e6], [1e6], [1e6])
    batch = FeatureBatch(columns={"class": np.array([1])}, geometry=cap, geometry_type="Polygon")
    found = geopandas.read_file(write(tmp_path / "map.geojson", batch, "EPSG:6931"))
    assert found.is_valid.all()
    assert found.total_bounds[3] == 90
    area = sum(
        abs(Geod(ellps="WGS84").geometry_area_perimeter(part)[0])
        for part in shapely.get_parts(found.geometry.array)
    )
    assert area == pytest.approx(4e12, rel=1e-2)


def test_geojson_ends_at_the_poles(tmp_path):
    batch = squares(0.25, 4, (10.0, 89.875))  # grids of the weather have pixels around the pole
    found = geopandas.read_file(write(tmp_path / "map.geojson", batch, "EPSG:4326"))
    assert found.total_bounds[3] == 90
    np.testing.assert_allclose(shapely.area(found.geometry), 0.25 * 0.125)


@pytest.mark.filterwarnings("ignore:Geometry is in a geographic CRS")
def test_geojson_of_lines(tmp_path):
    lines = FeatureBatch(
        columns={"id": np.array([1, 2])},
        geometry=shapely.linestrings([[(3.2e6, 0), (3.4e6, 0)], [(0, 0), (1e5, 0)]]),
        geometry_type="LineString",
    )
    found = geopandas.read_file(write(tmp_path / "roads.geojson", lines, "EPSG:3832"))
    assert list(found.geom_type) == ["MultiLineString", "LineString"]
    assert found.length[0] == pytest.approx(np.degrees(2e5 / 6378137), rel=1e-6)
