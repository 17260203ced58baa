"""Vector files: what is in them, in every format, and the same bytes every time."""

import itertools
import json
import sqlite3
import time
from contextlib import closing
from xml.etree import ElementTree as Xml

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from geodl.errors import OptionError, ProductError
from geodl.models.spec import ClassSpec
from geodl.publish import VECTOR_WRITERS, write_vectors
from geodl.vector import FeatureBatch, vectorize, vectorize_batches

CLASSES = (
    ClassSpec(value=1, name="water", color="#2b6cb0"),
    ClassSpec(value=2, name="<b>'\"; DROP TABLE layer_styles; --", color="#22643a"),
)
PROVENANCE = {"model": "landcover-s2", "inputs": ["é.tif"]}


@pytest.fixture
def classes():
    array = np.kron(np.random.default_rng(0).integers(1, 3, (30, 30)), np.ones((2, 2))).astype(np.uint8)
    array[:9, :9] = 255
    return wrap_xr(array, GeoBox(array.shape, Affine(10, 0, 4e5, 0, -10, 5.3e6), "EPSG:32632"), nodata=255)


@pytest.fixture(params=list(VECTOR_WRITERS))
def suffix(request):
    if request.param == ".parquet":
        pytest.importorskip("pyarrow")
    return request.param


def write(classes, path, **options):
    # Several batches, as large scenes give.
    layer = vectorize(classes, classes=CLASSES)
    columns = {name: layer[name].to_numpy() for name in layer.columns if name != "geometry"}
    edges = [0, 0, 1, len(layer) // 2, len(layer)]
    batches = (
        FeatureBatch(columns={k: v[a:b] for k, v in columns.items()}, geometry=layer.geometry.values[a:b])
        for a, b in itertools.pairwise(edges)
    )
    options = {
        "layer": "landcover",
        "crs": layer.crs,
        "classes": CLASSES,
        "provenance": PROVENANCE,
        **options,
    }
    return layer, write_vectors(batches, path, **options)


def read(path):
    if path.suffix == ".parquet":
        return geopandas.read_parquet(path)
    return geopandas.read_file(path, **({"layer": "landcover"} if path.suffix == ".gpkg" else {}))


def test_every_format_gives_the_features_back(classes, tmp_path, suffix):
    path = tmp_path / f"land cover é{suffix}"
    layer, count = write(classes, path)
    back = read(path).sort_values("id").reset_index(drop=True)
    assert count == len(back) == len(layer)
    for name in ("id", "class", "name"):
        assert back[name].tolist() == layer[name].tolist()
    assert np.allclose(back["area_m2"], layer["area_m2"])
    expected = layer.to_crs(4326) if suffix == ".geojson" else layer
    assert back.crs == expected.crs
    assert back.geometry.normalize().geom_equals_exact(expected.geometry.normalize(), 1e-7).all()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_the_same_bytes_every_time(classes, tmp_path, suffix):
    paths = [tmp_path / name / f"layer{suffix}" for name in ("a", "b")]
    for path in paths:
        write(classes, path)
        time.sleep(0.02)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_an_empty_layer_is_valid(classes, tmp_path, suffix):
    empty = classes.copy(data=np.full(classes.shape, 255, np.uint8))
    path = tmp_path / f"layer{suffix}"
    batches = vectorize_batches(empty, classes=CLASSES)
    assert write_vectors(batches, path, layer="landcover", crs="EPSG:32632", classes=CLASSES) == 0
    back = read(path)
    assert len(back) == 0
    if suffix != ".geojson":  # which has no schema
        assert {"id", "class", "name", "area_m2"} <= set(back.columns)


def test_geopackage_style_provenance_and_index(classes, tmp_path):
    path = tmp_path / "layer.gpkg"
    _, count = write(classes, path)
    with closing(sqlite3.connect(path)) as db:
        table, column, style, default = db.execute(
            "SELECT f_table_name, f_geometry_column, styleQML, useAsDefault FROM layer_styles"
        ).fetchone()
        assert (table, column, default) == ("landcover", "geom", 1)
        assert [c.get("label") for c in Xml.fromstring(style).iter("category")] == [c.name for c in CLASSES]
        contents = dict(db.execute("SELECT table_name, data_type FROM gpkg_contents"))
        assert contents == {"landcover": "features", "layer_styles": "attributes"}
        mime, text = db.execute("SELECT mime_type, metadata FROM gpkg_metadata").fetchone()
        assert (mime, json.loads(text)) == ("application/json", PROVENANCE)
        assert db.execute("SELECT reference_scope, md_file_id FROM gpkg_metadata_reference").fetchall() == [
            ("geopackage", 1)
        ]
        assert db.execute("SELECT count(*) FROM rtree_landcover_geom").fetchone() == (count,)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []


def test_layers_without_crs(tmp_path):
    batch = FeatureBatch(columns={"id": np.array([1])}, geometry=np.array([shapely.box(0, 0, 5, 7)]))
    for suffix in (".gpkg", ".fgb", ".geojson"):
        path = tmp_path / f"layer{suffix}"
        write_vectors([batch], path, layer="landcover")
        assert geopandas.read_file(path).geometry[0].equals(batch.geometry[0])
    assert geopandas.read_file(tmp_path / "layer.fgb").crs is None


def test_multipolygons_and_missing_confidence(tmp_path):
    square = shapely.multipolygons([shapely.box(0, 0, 1, 1)])
    batch = FeatureBatch(
        columns={"confidence": np.array([np.nan, 0.5])},
        geometry=np.array([square, square]),
        geometry_type="MultiPolygon",
    )
    write_vectors([batch], tmp_path / "layer.gpkg", layer="x", crs=4326)
    back = geopandas.read_file(tmp_path / "layer.gpkg")
    assert set(back.geom_type) == {"MultiPolygon"}
    assert back["confidence"].isna().tolist() == [True, False]


def test_an_error_half_way_leaves_the_old_file(classes, tmp_path):
    path = tmp_path / "layer.gpkg"
    write(classes, path)
    before = path.read_bytes()

    def broken():
        yield next(vectorize_batches(classes))
        raise RuntimeError("a block failed")

    with pytest.raises(RuntimeError, match="a block failed"):
        write_vectors(broken(), path, layer="landcover", crs=32632)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_disk_errors_name_the_file(classes, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyogrio.raw.write", full)
    path = tmp_path / "layer.gpkg"
    with pytest.raises(ProductError, match=r"layer\.gpkg: cannot be written: .*No space left.*GB free in"):
        write(classes, path)
    assert list(tmp_path.iterdir()) == []


def test_unknown_formats_fail(tmp_path):
    with pytest.raises(OptionError, match=r"'\.shp' is unknown: end the name in one of \.gpkg, \.geojson"):
        write_vectors([], tmp_path / "layer.shp", layer="x")


def test_several_layers_share_a_geopackage_and_part_elsewhere(tmp_path, suffix):
    def batches():
        for number, (name, kind, geometry) in enumerate(
            (
                ("edges", "LineString", shapely.LineString([(0, 0), (5, 5)])),
                ("nodes", "Point", shapely.Point(0, 0)),
                ("edges", "LineString", shapely.LineString([(5, 5), (9, 5)])),
                ("nodes", "Point", shapely.Point(5, 5)),
            )
        ):
            columns = {"id": np.array([number])} if name == "edges" else {"degree": np.array([number])}
            yield FeatureBatch(columns=columns, geometry=np.array([geometry]), geometry_type=kind, layer=name)

    path = tmp_path / f"roads{suffix}"
    assert write_vectors(batches(), path, layer="roads", crs=4326) == 2
    read_file = geopandas.read_parquet if suffix == ".parquet" else geopandas.read_file
    if suffix == ".gpkg":
        edges, nodes = (geopandas.read_file(path, layer=name) for name in ("edges", "nodes"))
        assert sorted(p.name for p in tmp_path.iterdir()) == ["roads.gpkg"]
    else:
        edges, nodes = read_file(path), read_file(tmp_path / f"roads_nodes{suffix}")
    assert sorted(edges["id"]) == [0, 2]
    assert sorted(nodes["degree"]) == [1, 3]
    assert set(nodes.geom_type) == {"Point"}
