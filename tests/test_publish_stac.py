"""item.json and collection.json: valid STAC that says what the files say, anywhere on the globe."""

import hashlib
import json
import shutil
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pystac
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from PIL import Image
from pyproj import Geod, Transformer
from pystac.extensions.classification import ClassificationExtension
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.raster import RasterExtension
from pystac.validation.local_validator import get_local_schema_cache
from rasterio.crs import CRS
from referencing import Registry, Resource
from shapely.geometry import shape

from geodl.batch import connect
from geodl.job import RunOptions, run_scene, run_scenes
from geodl.models.item import to_item
from geodl.models.spec import ClassSpec
from geodl.publish import RasterGrid
from geodl.publish.antimeridian import cut_at_antimeridian, split_at_antimeridian
from geodl.publish.cog import RasterLayer, write_cog_windows
from geodl.publish.collection import write_collection
from geodl.publish.footprint import box_of, footprint
from geodl.publish.period import UNKNOWN, period_of
from geodl.publish.stac import About, item_of, portable, write_item
from geodl.scene import open_scene
from geodl.sources import files_source
from tests.conftest import make_spec, write_scene

GLOBE = Geod(ellps="WGS84")
BASE = "https://schemas.stacspec.org/v1.1.0"
CLASSES = (
    ClassSpec(value=1, name="water", color="#2b6cb0"),
    ClassSpec(value=2, name="<script>alert('x')</script> & \"é\"", color="#22643a"),
)
PROVENANCE = {
    "geodl": "1",
    "torch": "2",
    "model": {"name": "tiny", "hash": "a" * 64},
    "options": {"precision": "fp32"},
    "scene": {"name": "valley"},
}


def mistakes(content, kind):
    """What the schemas of STAC 1.1 find, from the copies that come with pystac."""
    schemas = get_local_schema_cache()
    registry = Registry().with_resources([(uri, Resource.from_contents(s)) for uri, s in schemas.items()])
    schema = schemas[f"{BASE}/{kind}-spec/json-schema/{kind}.json"]
    return [error.message for error in Draft7Validator(schema, registry=registry).iter_errors(content)]


NUMBER, TEXT, COUNT = {"type": "number"}, {"type": "string"}, {"type": "integer", "minimum": 0}
CLASS = {
    "type": "object",
    "required": ["value", "name"],
    "properties": {
        "value": {"type": "integer"},
        "name": {"type": "string", "pattern": "^[0-9A-Za-z-_]+$"},
        "title": TEXT,
        "description": TEXT,
        "color_hint": {"type": "string", "pattern": "^[0-9A-F]{6}$"},
        "nodata": {"type": "boolean"},
    },
    "additionalProperties": False,
}
FIELDS = {
    "proj:code": {"type": ["string", "null"], "pattern": "^[A-Za-z]+:[A-Za-z0-9.]+$"},
    "proj:wkt2": TEXT,
    "proj:shape": {"type": "array", "items": COUNT, "minItems": 2, "maxItems": 2},
    "proj:transform": {"type": "array", "items": NUMBER, "minItems": 6, "maxItems": 6},
    "raster:scale": NUMBER,
    "raster:offset": NUMBER,
    "raster:sampling": {"enum": ["area", "point"]},
    "raster:spatial_resolution": NUMBER,
    "classification:classes": {"type": "array", "items": CLASS, "minItems": 1, "uniqueItems": True},
    "processing:lineage": TEXT,
    "processing:software": {"type": "object", "additionalProperties": TEXT},
    "file:size": COUNT,
    "file:checksum": {"type": "string", "pattern": "^[a-f0-9]+$"},
}
"""The fields of the extensions that geodl writes, as https://stac-extensions.github.io describes them."""


def extension_fields(content):
    """Yield the prefixed fields of an Item, its assets and their bands; of others than geodl's own."""
    holders = [content["properties"], *content["assets"].values()]
    holders += [band for asset in content["assets"].values() for band in asset.get("bands", ())]
    for holder in holders:
        yield from ((k, v) for k, v in holder.items() if ":" in k and not k.startswith("geodl:"))


def about(folder, **changes):
    fields = {
        "name": "valley",
        "title": "Land cover",
        "grid": RasterGrid(height=20, width=30, crs=CRS.from_epsg(32632), transform=UTM),
        "dates": ("2023-07-14",),
        "sources": (str(folder.parent / "Szene 1.tif"),),
        "final": folder,
        "raster": "landcover.tif",
        "classes": CLASSES,
        "model": to_item(make_spec(weights_sha256="b" * 64)),
        "provenance": PROVENANCE,
    }
    return About(**{**fields, **changes})


UTM = Affine(10, 0, 600000, 0, -10, 5200000)


def a_map(path, grid, **layer):
    pixels = np.ones((grid.height, grid.width), np.uint8)
    write_cog_windows(
        [(0, 0, pixels)], path, grid=grid, layer=RasterLayer(dtype="uint8", nodata=255, **layer)
    )


@pytest.fixture(scope="module")
def products(tmp_path_factory, tiny_model):
    """A batch of two scenes, one of which is dated by its name."""
    folder = tmp_path_factory.mktemp("catalogued")
    scenes = [write_scene(folder / name, 90, 120, seed=i) for i, name in enumerate(("a.tif", "b_2023.tif"))]
    with connect(None) as client:
        outcomes = run_scenes(
            [files_source([str(scene)], {}) for scene in scenes],
            tiny_model,
            folder / "out",
            RunOptions(device="cpu"),
            client=client,
        )
    assert [outcome.status for outcome in outcomes] == ["done", "done"]
    return folder / "out"


def test_a_product_is_a_valid_item(products):
    folder = products / "b_2023"
    content = json.loads((folder / "item.json").read_bytes())
    assert not mistakes(content, "item")
    assert mistakes({**content, "links": 3}, "item")  # the schema is in force
    item = pystac.Item.from_dict(content)
    assert item.properties["start_datetime"] == "2023-01-01T00:00:00Z"
    with rasterio.open(folder / "landcover.tif") as source:
        projected = ProjectionExtension.ext(item)
        assert (projected.code, tuple(projected.shape)) == ("EPSG:32632", source.shape)
        assert Affine(*projected.transform) == source.transform
        corners = [source.transform @ corner for corner in ((0, 0), (120, 90), (120, 0), (0, 90))]
    degrees = Transformer.from_crs(32632, 4326, always_xy=True)
    outline = shape(item.geometry)
    for corner in corners:
        assert outline.distance(shapely.Point(degrees.transform(*corner))) < 1e-6
    map_asset = item.assets["landcover.tif"]
    classes = ClassificationExtension.ext(map_asset).classes
    assert [(c.value, c.title) for c in classes][:2] == [(1, "water"), (2, "forest")]
    assert [c.value for c in classes if c.nodata] == [255]
    assert RasterExtension.has_extension(item)
    confidence = content["assets"]["confidence.tif"]["bands"][0]
    assert (confidence["raster:scale"], confidence["nodata"]) == (0.01, 255)


def test_fields_are_those_of_the_extensions_that_are_named(products):
    content = json.loads((products / "b_2023" / "item.json").read_bytes())
    found = list(extension_fields(content))
    for name, value in found:
        assert name in FIELDS
        assert not list(Draft7Validator(FIELDS[name]).iter_errors(value)), (name, value)
    titles = {"proj": "projection"}
    used = {titles.get(prefix, prefix) for prefix in (name.split(":")[0] for name, _ in found)}
    named = [address.split("/")[3] for address in content["stac_extensions"]]
    assert len(named) == len(set(named))
    assert used == set(named)
    assert all(address.endswith("/schema.json") for address in content["stac_extensions"])


def test_checksums_and_addresses_hold(products):
    folder = products / "a"
    item = pystac.Item.from_file(str(folder / "item.json"))
    names = {path.name for path in folder.iterdir()}
    assert set(item.assets) == names - {"item.json", "manifest.json"}
    for asset in item.assets.values():
        content = (folder / unquote(asset.href)).read_bytes()
        described = FileExtension.ext(asset)
        assert described.checksum == "1220" + hashlib.sha256(content).hexdigest()
        assert described.size == len(content)
    links = [link.get_absolute_href() for link in item.get_links("derived_from")]
    assert (products.parent / "a.tif").samefile(links[0])
    assert (folder / "model.json").samefile(links[1])
    model = json.loads((folder / "model.json").read_bytes())
    assert not mistakes(model, "item")
    assert model["properties"]["mlm:name"] == "tiny"
    assert model["assets"]["weights"]["href"].startswith("ni:///sha-256;")


def test_the_thumbnail_shows_the_map(products):
    picture = np.array(Image.open(products / "a" / "thumbnail.png"))
    with rasterio.open(products / "a" / "landcover.tif") as source:
        values, colours = source.read(1), source.colormap(1)
    assert picture.shape == (90, 120, 4)
    assert (picture[values == 255][:, 3] == 0).all()
    for value in set(np.unique(values)) - {255}:
        assert (picture[values == value] == colours[value]).all()


def test_a_batch_is_a_valid_collection(products):
    content = json.loads((products / "collection.json").read_bytes())
    assert not mistakes(content, "collection")
    collection = pystac.Collection.from_file(str(products / "collection.json"))
    assert [item.id for item in collection.get_items()] == ["a", "b_2023"]
    assert content["extent"]["temporal"]["interval"] == [[UNKNOWN[0], UNKNOWN[1]]]
    before = (products / "collection.json").read_bytes()
    assert write_collection(products) == products / "collection.json"
    assert (products / "collection.json").read_bytes() == before


def test_one_product_or_damaged_ones_make_no_collection(tmp_path):
    assert write_collection(tmp_path / "nowhere") is None
    for name, content in {"a": "{}", "b": "[1]", "c": "{", "d": '{"properties": 3, "assets": []}'}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "item.json").write_text(content)
        (tmp_path / name / "manifest.json").write_text("{}")
    assert write_collection(tmp_path) is None


def test_a_rerun_writes_the_same_bytes(tmp_path, tiny_model):
    scene = open_scene(write_scene(tmp_path / "valley.tif", 70, 80))
    read = []
    with connect(None) as client:
        for out in ("first", "second"):
            folder = run_scene(scene, tiny_model, tmp_path / out, RunOptions(device="cpu"), client=client)
            read.append({name: (folder / name).read_bytes() for name in ("item.json", "thumbnail.png")})
    assert read[0] == read[1]


def test_a_product_does_not_depend_on_how_places_were_typed(tmp_path, tiny_model, monkeypatch):
    real = tmp_path / "real"
    (real / "scenes").mkdir(parents=True)
    write_scene(real / "scenes" / "valley.tif", 40, 50)
    (tmp_path / "link").symlink_to(real)
    typed = {  # working directory: (scene, folder of the product)
        real: ("scenes/valley.tif", "maps"),
        real / "scenes": ("valley.tif", "../maps"),
        tmp_path: (str(real / "scenes" / "valley.tif"), str(tmp_path / "link" / "maps")),
        tmp_path / "link": ("scenes/../scenes/valley.tif", "./maps"),
    }
    written = []
    for place, (scene, out) in typed.items():
        monkeypatch.chdir(place)
        with connect(None) as client:
            folder = run_scene(
                open_scene(scene), tiny_model, Path(out), RunOptions(device="cpu"), client=client
            )
        written.append({path.name: path.read_bytes() for path in folder.iterdir()})
        shutil.rmtree(real / "maps")
    assert {"item.json", "map.qgz", "report.html", "manifest.json"} <= set(written[0])
    for other in written[1:]:
        assert [name for name in written[0] if written[0][name] != other.get(name)] == []
    (link,) = [
        link["href"] for link in json.loads(written[0]["item.json"])["links"] if link["title"] == "valley.tif"
    ]
    assert link == "../../scenes/valley.tif"


def test_odd_names_and_secrets(tmp_path):
    folder = tmp_path / "Übung ä#1"
    folder.mkdir()
    facts = about(
        folder,
        name=folder.name,
        sources=("https://user:key@example.org/s/a b.tif?sig=SECRET", str(tmp_path / "x #2.tif")),
        dates=(),
    )
    a_map(folder / "landcover.tif", facts.grid, classes=CLASSES)
    (folder / "100%.html").write_text("<p>")
    write_item(folder, facts)
    text = (folder / "item.json").read_text()
    assert "SECRET" not in text
    assert "user" not in text
    content = json.loads(text)
    assert not mistakes(content, "item")
    assert content["assets"]["100%.html"]["href"] == "./100%25.html"
    assert content["links"][1]["href"] == "../x%20%232.tif"
    names = [c["name"] for c in content["assets"]["landcover.tif"]["classification:classes"]]
    assert all(name.replace("_", "").replace("-", "").isalnum() for name in names)
    first = (folder / "item.json").read_bytes()
    write_item(folder, facts)
    assert (folder / "item.json").read_bytes() == first


def test_a_raster_without_a_place(tmp_path):
    grid = RasterGrid(height=4, width=5)
    a_map(tmp_path / "landcover.tif", grid)
    item = item_of(tmp_path, about(tmp_path, grid=grid))
    assert (item["geometry"], "bbox" in item, item["properties"]["proj:code"]) == (None, False, None)
    assert not mistakes(item, "item")
    custom = RasterGrid(height=4, width=5, crs=CRS.from_user_input("+proj=laea +lat_0=47 +lon_0=9"))
    properties = item_of(tmp_path, about(tmp_path, grid=custom))["properties"]
    assert properties["proj:code"] is None
    assert CRS.from_wkt(properties["proj:wkt2"]) == custom.crs


def test_models_keep_their_checksum():
    item = portable(to_item(make_spec(weights_sha256="00" * 32)))
    assert item["assets"]["weights"]["href"] == "ni:///sha-256;" + "A" * 43


@pytest.mark.parametrize(
    ("dates", "begin", "end"),
    [
        ((), *UNKNOWN),
        (("2023-07-14",), "2023-07-14T00:00:00Z", "2023-07-14T23:59:59Z"),
        (("2023-02",), "2023-02-01T00:00:00Z", "2023-02-28T23:59:59Z"),
        (("2024", "2023-06-01"), "2023-06-01T00:00:00Z", "2024-12-31T23:59:59Z"),
    ],
)
def test_periods(dates, begin, end):
    assert period_of(dates) == {"datetime": None, "start_datetime": begin, "end_datetime": end}


GRIDS = {
    "utm at 180": ("EPSG:32601", Affine(1000, 0, 150000, 0, -1000, 6000000), 600, 500),
    "degrees over 180": ("EPSG:4326", Affine(0.1, 0, 179, 0, -0.1, 10), 20, 20),
    "0 to 360": ("EPSG:4326", Affine(1, 0, 0, 0, -1, 80), 160, 360),
    "north pole": ("EPSG:6931", Affine(10000, 0, -1e6, 0, -10000, 1.1e6), 200, 210),
    "south pole": ("EPSG:6932", Affine(10000, 0, -1e6, 0, -10000, 1.1e6), 200, 210),
    "one pixel": ("EPSG:32632", Affine(10, 0, 600000, 0, -10, 5200000), 1, 1),
    "rotated": ("EPSG:32632", UTM @ Affine.rotation(30), 200, 300),
}


def area_on_globe(geometry):
    return sum(abs(GLOBE.geometry_area_perimeter(part)[0]) for part in shapely.get_parts(geometry))


@pytest.mark.parametrize("name", GRIDS)
def test_outlines_keep_their_area(name):
    crs, transform, height, width = GRIDS[name]
    geometry, bbox = footprint(
        RasterGrid(height=height, width=width, crs=CRS.from_user_input(crs), transform=transform)
    )
    outline = shape(geometry)
    assert outline.is_valid
    assert -180 <= outline.bounds[0] <= outline.bounds[2] <= 180
    if crs in ("EPSG:6931", "EPSG:6932"):  # of equal area
        assert area_on_globe(outline) == pytest.approx(210 * 200 * 1e8, rel=5e-3)
        assert (bbox[0], bbox[2]) == (-180, 180)
        assert 90 in (bbox[3], -bbox[1])
    elif crs == "EPSG:4326":
        assert outline.area == pytest.approx(abs(transform.determinant) * height * width, rel=1e-4)
    else:
        assert area_on_globe(outline) == pytest.approx(abs(transform.determinant) * height * width, rel=3e-3)
    if name in ("utm at 180", "degrees over 180"):
        assert geometry["type"] == "MultiPolygon"
        assert bbox[0] > 170 > -170 > bbox[2]


@given(
    west=st.floats(-179, 179),
    width=st.floats(0.01, 100),
    south=st.floats(-80, 70),
    height=st.floats(0.01, 10),
    hole=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_split_polygons_keep_their_area(west, width, south, height, hole):
    frame = shapely.box(west, south, west + width, south + height)
    if hole:
        frame = frame.difference(shapely.affinity.scale(frame, 0.5, 0.5))
    jumping = shapely.transform(
        shapely.segmentize(frame, 20), lambda xy: np.stack([(xy[:, 0] + 180) % 360 - 180, xy[:, 1]], axis=1)
    )
    for split in (split_at_antimeridian(jumping), cut_at_antimeridian(frame)):
        assert split.is_valid
        assert split.area == pytest.approx(frame.area, rel=1e-6)
        assert split.bounds[0] >= -180
        assert split.bounds[2] <= 180
        left, _, right, _ = box_of(split)
        assert (right - left) % 360 == pytest.approx(width, abs=1e-5)
