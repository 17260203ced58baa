"""``report.html``: what it counts is right, it needs nothing but itself, and no name can harm it."""

import base64
import hashlib
import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from PIL import Image
from pyproj import Geod

import geodl
from geodl.job import RunOptions, connect, run_scene
from geodl.models.legend import legend_of
from geodl.models.spec import AccuracySpec, BandSpec, ClassSpec
from geodl.page import REPORT_FILE, Subject, write_page
from geodl.page.measure import measure
from geodl.page.outlines import STEPS, read_outlines
from geodl.page.picture import scene_pictures
from geodl.publish import write_vectors
from geodl.scene import open_scene
from geodl.tiles import Window
from geodl.vector import FeatureBatch
from tests.browser import Tab, browser, needs_browser
from tests.conftest import make_spec, write_scene

HOSTILE = (
    '</script><script>document.title="broken"</script>',
    '"><img src=x onerror=alert(1)>',
    "a & b < c '\"",
)


def spec_with(names, **changes):
    colors = ("#2b6cb0", "#22643a", "#a7c957", "#c1440e")
    classes = [
        ClassSpec(value=v, name=n, color=c) for v, n, c in zip((1, 2, 3, 7), names, colors, strict=False)
    ]
    return make_spec(classes=classes, **changes)


def windows_of(shape, side):
    whole = Window(0, 0, *shape)
    return tuple(
        Window(row, column, side, side).intersect(whole)
        for row in range(0, shape[0], side)
        for column in range(0, shape[1], side)
    )


def make_subject(scene, spec, *, side=100, seed=0):
    """A map of stripes with a confidence that grows to the right."""
    shape = (scene.sizes["y"], scene.sizes["x"])
    values = np.array([*spec.class_values, 255], np.uint8)
    classes = values[(np.arange(shape[0])[:, None] // 40 + np.arange(shape[1]) // 50) % len(values)]
    percent = np.broadcast_to(np.linspace(30, 100, shape[1]), shape).round().astype(np.uint8)
    arrays = {"class": classes, "confidence": np.where(classes == 255, 255, percent)}
    crs = scene.odc.crs
    return Subject(
        scene=scene,
        spec=spec,
        legend=legend_of(spec),
        windows=windows_of(shape, side),
        read=lambda name, window: arrays[name][window.slices],
        layers=("class", "confidence"),
        crs=None if crs is None else crs.proj,
        transform=scene.odc.geobox.affine,
        provenance={
            "geodl": "0", "torch": "0",
            "inputs": [{"name": "valley.tif", "bytes": 5, "sample_sha256": "ab"}],
            "scene": {"bands": [str(b) for b in scene.band.values], "units": "reflectance"},
            "model": {"name": spec.name, "hash": "c0ffee" * 10}, "options": {"device": "cpu", "cell": [1, 2]},
        },
    )  # fmt: skip


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory):
    """A page in whose every name there is something nasty, with outlines and a file of a nasty name."""
    folder = tmp_path_factory.mktemp("hostile")
    scene = open_scene(write_scene(folder / "valley.tif", 120, 150)).rename(HOSTILE[0])
    accuracy = AccuracySpec(overall=0.9, reference=HOSTILE[1], iou={HOSTILE[1]: 0.5})
    spec = spec_with(HOSTILE, title=HOSTILE[2], licence=HOSTILE[0], accuracy=accuracy)
    product = folder / "product"
    product.mkdir()
    (product / "landcover.tif").write_bytes(b"tif")
    (product / "a <b> & 'c'.txt").write_text("x")
    shapes = [shapely.box(600100, 5199000, 600400, 5199500), shapely.box(600500, 5199100, 600600, 5199300)]
    frame = geopandas.GeoDataFrame({"class": [1, 2]}, geometry=shapes, crs="EPSG:32632")
    frame.to_file(product / "landcover.gpkg", layer=HOSTILE[2], driver="GPKG")
    return write_page(product, make_subject(scene, spec, side=64))


class _Elements(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_areas_are_those_of_the_ellipsoid(tmp_path):
    # Degrees: a pixel in the north is narrower, so that counting pixels would be wrong.
    place = Affine(0.02, 0, 10, 0, -0.02, 62)
    scene = open_scene(
        write_scene(tmp_path / "wide.tif", 130, 120, crs="EPSG:4326", transform=place, hole=False)
    )
    spec = spec_with("abc")
    subject = make_subject(scene, spec)
    north = np.where(np.arange(130)[:, None] < 50, 1, 3) * np.ones((1, 120), int)
    found = measure(
        replace(subject, read=lambda _, window: north[window.slices].astype(np.uint8), layers=("class",))
    )
    geod = Geod(ellps="WGS84")
    for value, (top, bottom) in {1: (62, 61), 3: (61, 59.4)}.items():
        edge = np.linspace(10, 12.4, 500)
        ring = (np.r_[edge, edge[::-1]], np.r_[np.full(500, bottom), np.full(500, top)])
        assert found.areas[value] == pytest.approx(abs(geod.polygon_area_perimeter(*ring)[0]), rel=1e-4)
    assert found.percents is None


@pytest.mark.parametrize("side", [37, 100, 1000])
def test_counts_and_pictures_do_not_depend_on_the_windows(scene_file, side, monkeypatch):
    monkeypatch.setattr("geodl.page.subject.SIDE", 110)  # every third pixel
    scene = open_scene(scene_file)
    whole, parts = (make_subject(scene, make_spec(), side=s) for s in (5000, side))
    one, other = measure(whole), measure(parts)
    full = whole.read("class", Window(0, 0, *whole.shape))
    np.testing.assert_array_equal(one.classes, full[::3, ::3])
    np.testing.assert_array_equal(one.pixels, np.bincount(full.ravel(), minlength=256))
    for name in ("pixels", "percents", "classes", "confidence"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_allclose(one.areas, other.areas)
    (first,), (second,) = scene_pictures(whole), scene_pictures(parts)
    np.testing.assert_array_equal(first.pixels, second.pixels)
    assert first.pixels.shape == (77, 104, 3)
    assert first.bands == ("nir", "red", "green")


def test_both_dates_of_a_pair_are_shown(tmp_path):
    files = [write_scene(tmp_path / f"town_{year}.tif", 90, 110, seed=year) for year in (2023, 2024)]
    pair = geodl.scene.as_scene(geodl.open_pair(*files))
    names = [f"{date}.{band}" for date in ("before", "after") for band in ("red", "green", "nir")]
    spec = spec_with(
        ("unchanged", "changed"), task="change", bands=[BandSpec(name=n, mean=0, std=1) for n in names]
    )
    pictures = scene_pictures(make_subject(pair, spec))
    assert [picture.label for picture in pictures] == ["before", "after"]
    assert "2024" in pictures[1].title
    assert (pictures[0].pixels != pictures[1].pixels).mean() > 0.5


def test_outlines_lie_where_the_features_are(tmp_path):
    place = Affine(2, 0, 500, 0, -2, 900)
    road = shapely.LineString([(500, 900), (600, 800)])
    shapes = [shapely.box(510, 880, 530, 890), road, shapely.Point(502, 896)]
    frame = geopandas.GeoDataFrame({"class": [4, 4, 9]}, geometry=shapes, crs="EPSG:32632")
    frame.to_file(tmp_path / "mixed.gpkg", layer="things", driver="GPKG")
    (layer,) = read_outlines(tmp_path / "mixed.gpkg", place, 1)
    assert (layer.name, layer.total, layer.shown) == ("things", 3, 3)
    line = f"M0,0l{50 * STEPS},{50 * STEPS}"
    box = re.fullmatch(r"M(\d+),(\d+)l(.*)z", layer.paths[4].replace(line, ""))
    corner = np.array([[int(box[1]), int(box[2])]])
    steps = np.array([[int(n) for n in step.split(",")] for step in box[3].split(" ")])
    corners = np.concatenate([corner, corner + np.cumsum(steps, axis=0)]) / STEPS
    assert {tuple(c) for c in corners.tolist()} == {(5.0, 5.0), (15.0, 5.0), (15.0, 10.0), (5.0, 10.0)}
    assert line in layer.paths[4]
    assert layer.paths[9] == f"M{STEPS},{2 * STEPS}h0"


def test_an_empty_layer_has_no_outlines(tmp_path):
    columns = {"class": np.empty(0, np.uint8)}
    nothing = FeatureBatch(columns=columns, geometry=np.empty(0, object), geometry_type="Polygon")
    write_vectors([nothing], tmp_path / "empty.gpkg", layer="empty", crs="EPSG:32632")
    (layer,) = read_outlines(tmp_path / "empty.gpkg", Affine(1, 0, 0, 0, -1, 0), 1)
    assert (layer.total, layer.shown, layer.paths) == (0, 0, {})


def test_of_too_many_features_the_largest_are_drawn_and_the_page_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("geodl.page.outlines.FEATURES", 5)
    monkeypatch.setattr("geodl.page.outlines._BATCH", 7)
    sizes = np.random.default_rng(0).permutation(60) + 1
    boxes = shapely.box(600000 + 20 * sizes, 5199000, 600000 + 21 * sizes, 5199000 + sizes)
    scene = open_scene(write_scene(tmp_path / "valley.tif", 100, 120))
    geopandas.GeoDataFrame({"class": sizes}, geometry=boxes, crs="EPSG:32632").to_file(
        tmp_path / "landcover.gpkg", layer="landcover", driver="GPKG"
    )
    (layer,) = read_outlines(tmp_path / "landcover.gpkg", Affine(1, 0, 600000, 0, -1, 5200000), 1)
    assert sorted(layer.paths) == [56, 57, 58, 59, 60]
    page = write_page(tmp_path, make_subject(scene, make_spec())).read_text()
    assert "Of the 60 features of the layer landcover, the 5 largest are drawn." in page


def test_the_same_product_has_the_same_page(scene_file, tiny_model, tmp_path):
    with connect() as client:
        pages = []
        for block in (64, 230):
            out = tmp_path / str(block)
            run_scene(open_scene(scene_file), tiny_model, out, RunOptions(block=block), client=client)
            pages.append((out / "valley" / REPORT_FILE).read_bytes())
    assert pages[0] == pages[1]
    text = pages[0].decode()
    with rasterio.open(tmp_path / "64" / "valley" / "landcover.tif") as file:
        classes = file.read(1)
    for value, name in zip((1, 2, 3, 7), ("water", "forest", "grassland", "built-up"), strict=True):
        row = re.search(rf'<span class="name">{name}</span></th><td class="number">([\d,.]+)</td>', text)
        area = (classes == value).sum() / 100  # pixels of 10 m; UTM stretches by less than a thousandth
        assert float(row[1].replace(",", "")) == pytest.approx(area, rel=6e-3, abs=0.01)
    manifest = json.loads((tmp_path / "64" / "valley" / "manifest.json").read_bytes())
    for file in manifest["files"]:
        assert f">{html.escape(file['path'])}</th>" in text
    tables = {
        f["path"]: f["sha256"] for f in manifest["files"] if f["path"].endswith((".tif", ".gpkg", ".qml"))
    }
    assert all(digest in text for digest in tables.values())


def test_the_page_fetches_nothing_and_runs_one_script(hostile_page):
    text = hostile_page.read_text()
    elements = _Elements(text)
    policy = next(a["content"] for t, a in elements.found if a.get("http-equiv") == "Content-Security-Policy")
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert not [a for _, a in elements.found if any(name.startswith("on") for name in a)]
    links = [a[k] for _, a in elements.found for k in ("src", "href") if k in a]
    assert all(link.startswith(("data:image/", "data:,", "#")) for link in links)


def test_names_are_told_as_they_are(hostile_page):
    elements = _Elements(hostile_page.read_text())
    for name in HOSTILE:
        assert name in elements.text
    assert "a <b> & 'c'.txt" in elements.text
    assert not [tag for tag, attributes in elements.found if attributes.get("src") == "x"]


def test_the_hidden_picture_holds_classes_and_confidence(hostile_page):
    elements = _Elements(hostile_page.read_text())
    source = next(a["src"] for _, a in elements.found if a.get("id") == "values")
    values = np.asarray(Image.open(BytesIO(base64.b64decode(source.partition(",")[2]))))
    assert values.shape == (120, 150, 3)
    assert set(np.unique(values[..., 0])) == {1, 2, 3, 255}
    assert set(np.unique(values[..., 1])) <= {*range(30, 101), 255}


def test_a_scene_without_a_place_counts_pixels(tmp_path):
    file = write_scene(tmp_path / "bare.tif", 60, 70, crs=None, transform=Affine.identity())
    scene = open_scene(file, ungeoreferenced=True)
    subject = make_subject(scene, make_spec())
    text = write_page(tmp_path, replace(subject, crs=None, layers=("class",))).read_text()
    assert "pixels are counted" in text
    assert " ha</dd>" not in text
    assert "onfidence</" not in text


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("chromium")) as port:
        tab = Tab(port)
        yield tab
        tab.close()


CANVAS = "document.querySelector('canvas')"


def colour(tab, x, y):
    return tab.run(f"[...{CANVAS}.getContext('2d').getImageData({x}, {y}, 1, 1).data]")


@needs_browser
def test_a_browser_shows_it_whatever_the_names(hostile_page, tab):
    tab.open(hostile_page.as_uri())
    assert tab.complaints() == []
    assert tab.requests() == [hostile_page.as_uri()]
    assert tab.run("document.title").startswith(HOSTILE[0])
    assert tab.run("document.querySelector('.ready') !== null")
    assert tab.run("document.querySelectorAll('script').length") == 2


@needs_browser
def test_a_screen_reader_is_told_of_every_part(hostile_page, tab):
    tab.open(hostile_page.as_uri())
    tree = tab.call("Accessibility.getFullAXTree")["nodes"]
    parts = {}
    for node in tree:
        if not node.get("ignored"):
            parts.setdefault(node["role"]["value"], []).append(node.get("name", {}).get("value", ""))
    assert len(parts["checkbox"]) == 5
    assert len(parts["slider"]) == 2
    assert {"Zoom in", "Zoom out", "Show all"} <= set(parts["button"])
    assert all(
        all(names) for role, names in parts.items() if role in ("checkbox", "slider", "button", "link")
    )
    assert parts["application"][0].startswith(f"Map of {HOSTILE[0]}")
    assert {"Area of each class", "Every file in this folder"} <= set(parts["table"])
    assert parts["image"] == ["Pixels by confidence"]
    assert tab.run("document.documentElement.lang") == "en"


@needs_browser
def test_the_map_is_worked_by_keys_and_pointer(hostile_page, tab):
    tab.open(hostile_page.as_uri())
    tab.run("document.querySelector('canvas').focus()")
    tab.press("0")
    # Row 60, column 75 are of the third stripe: position 1 + 1 of (1, 2, 3, no data).
    told = tab.run("document.querySelector('.readout').textContent")
    assert told.startswith(f"{HOSTILE[2]}, 65 % sure")
    before = tab.run("document.querySelector('.scale span').textContent")
    for _ in range(4):
        tab.press("+")
    assert tab.run("document.querySelector('.scale span').textContent") != before
    tab.press("ArrowRight")
    assert tab.run("document.querySelector('.readout').textContent") != told
    corner = tab.run(f"(box => [box.x, box.y])({CANVAS}.getBoundingClientRect())")
    tab.mouse("mouseMoved", corner[0] + 300, corner[1] + 200)
    assert "sure" in tab.run("document.querySelector('.readout').textContent")


@needs_browser
def test_switches_opacity_and_swipe_change_the_map(hostile_page, tab):
    tab.open(hostile_page.as_uri())
    middle = tab.run(f"[{CANVAS}.width >> 1, {CANVAS}.height >> 1]")
    tab.run("document.querySelector('#opacity').value = 100")
    tab.run("document.querySelector('#opacity').dispatchEvent(new Event('input', {bubbles: true}))")
    tab.settle()
    assert colour(tab, *middle)[:3] == [0xA7, 0xC9, 0x57]
    tab.run("document.querySelector('[data-layer=class]').click()")
    tab.settle()
    scene = colour(tab, *middle)
    assert scene[:3] != [0xA7, 0xC9, 0x57]
    tab.run("document.querySelector('[data-layer=class]').click()")
    tab.run("document.querySelector('#swipe').click()")
    tab.settle()
    left, right = (colour(tab, middle[0] + step, middle[1] - 40) for step in (-8, 8))
    assert right[:3] == [0xA7, 0xC9, 0x57]
    assert left != right
    tab.run("document.querySelector('[data-layer=confidence]').click()")
    assert tab.run("!document.querySelector('.ramp').hidden")


@needs_browser
@pytest.mark.parametrize(
    ("width", "dark", "media"), [(360, False, ""), (1100, True, ""), (800, False, "print")]
)
def test_it_fits_narrow_dark_and_printed(hostile_page, tab, width, dark, media):
    tab.open(hostile_page.as_uri(), width=width, dark=dark, media=media)
    assert tab.run("document.documentElement.scrollWidth") <= width
    paper = tab.run("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(20, 25, 29)" if dark else "rgb(255, 255, 255)" if media else "rgb(253, 252, 250)")
    assert tab.complaints() == []
