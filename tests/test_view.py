"""`geodl view`: tiles are the raster's own pixels; only what a manifest lists is served, to this machine."""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from urllib.parse import quote
from urllib.request import urlopen

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.crs import CRS

from geodl.errors import OptionError, ProductError, SceneError
from geodl.models.legend import legend_of
from geodl.page import write_page
from geodl.publish import Product, RasterGrid, RasterLayer, stage, write_cog_windows
from geodl.scene import open_scene
from geodl.store import identify
from geodl.tiles import Window
from geodl.viewing.catalogue import find_products
from geodl.viewing.map_data import read_map
from geodl.viewing.server import AT_ONCE, Server
from geodl.viewing.tiles import levels_of, read_tile, tiler
from tests.browser import Tab, browser, needs_browser
from tests.conftest import make_spec, write_scene
from tests.test_page import HOSTILE, make_subject

NAME = "Tal & <b>Dorf</b> ü"
SHAPE = (600, 700)

pytestmark = pytest.mark.filterwarnings("ignore:The dataset has no Overviews")


def fill(product: Product, scene, subject) -> None:
    layers = {
        "landcover.tif": ("class", RasterLayer(dtype="uint8", nodata=255, classes=legend_of(subject.spec))),
        "confidence.tif": ("confidence", RasterLayer(dtype="uint8", nodata=255, overview="average")),
    }
    grid = RasterGrid.of(scene)
    for name, (layer, how) in layers.items():
        whole = subject.read(layer, Window(0, 0, *SHAPE))
        write_cog_windows([(0, 0, whole)], product.path(name), grid=grid, layer=how)
    write_page(product.folder, subject)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    write_scene(folder / "valley.tif", *SHAPE)
    return folder


@pytest.fixture(scope="module")
def subject(scenes):
    return make_subject(open_scene(scenes / "valley.tif"), make_spec(title=HOSTILE[0]), side=700)


@pytest.fixture(scope="module")
def out(scenes, subject, tmp_path_factory):
    """Two products, one of them with a name that needs escaping, and things that are none."""
    folder = tmp_path_factory.mktemp("batch")
    scene = open_scene(scenes / "valley.tif")
    shape = {"shape": list(SHAPE), "bands": ["red", "green", "nir"]}
    for name in (NAME, "other"):
        with stage(folder, name) as product:
            fill(product, scene, subject)
            product.commit({"model": {"name": "m", "task": "landcover"},
                            "inputs": [identify(scenes / "valley.tif")], "scene": shape})  # fmt: skip
    (folder / "secret.txt").write_text("secret")
    (folder / "notes").mkdir()
    (folder / "linked").symlink_to(folder / "other")
    return folder


@pytest.fixture(scope="module")
def name(out):
    return next(n for n in find_products(out) if n != "other")


@pytest.fixture(scope="module")
def server(out, scenes):
    with Server(find_products(out), scenes=scenes) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def ask(server, path, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def fetch(url):
    with urlopen(url, timeout=60) as answer:
        return answer.read()


def pixels(server, path):
    answer, body = ask(server, path)
    assert answer.status == 200, body
    return np.asarray(Image.open(BytesIO(body)))


def test_products_are_found_and_links_are_not_followed(out, name):
    assert set(find_products(out)) == {name, "other"}
    assert set(find_products(out / "other")) == {"other"}


@pytest.mark.parametrize("kind", ["missing", "empty"])
def test_a_folder_without_products_is_refused(tmp_path, kind):
    folder = tmp_path / kind
    if kind == "empty":
        folder.mkdir()
    with pytest.raises(ProductError, match="name the --out of geodl predict"):
        find_products(folder)


def test_tiles_put_together_are_the_map(server, name, subject):
    classes = subject.read("class", Window(0, 0, *SHAPE))
    colors = {c.value: (*c.rgb, 255) for c in subject.legend} | {255: (0, 0, 0, 0)}
    expected = np.array([colors.get(value, (9, 9, 9, 9)) for value in range(256)], np.uint8)[classes]
    url = f"/p/{quote(name)}/tiles/class/0"
    rows = [
        np.concatenate([pixels(server, f"{url}/{column}/{row}.png") for column in range(3)], axis=1)
        for row in range(3)
    ]
    whole = np.concatenate(rows)
    np.testing.assert_array_equal(whole[: SHAPE[0], : SHAPE[1]], expected)
    assert (whole[SHAPE[0] :, :, 3] == 0).all()
    assert (whole[:, SHAPE[1] :, 3] == 0).all()


def test_coarser_tiles_come_from_the_overviews(server, out, name):
    with rasterio.open(out / name / "landcover.tif", overview_level=0) as file:
        half = file.read(1)
    tile, valid = read_tile(out / name / "landcover.tif", 1, 0, 0)
    np.testing.assert_array_equal(tile[0], half[:256, :256])
    np.testing.assert_array_equal(valid, half[:256, :256] != 255)
    assert levels_of(SHAPE) == 3
    assert pixels(server, "/p/other/tiles/confidence/2/0/0.png").shape == (256, 256, 4)


def test_the_scene_is_found_by_its_content(server, out, scenes, name, tmp_path):
    tile = pixels(server, f"/p/{quote(name)}/tiles/scene/0/1/1.png")
    with rasterio.open(scenes / "valley.tif") as file:
        band = file.read(3, window=rasterio.windows.Window(256, 256, 256, 256))  # nir is shown as red
    assert np.corrcoef(tile[..., 0].ravel(), band.ravel())[0, 1] > 0.97
    write_scene(tmp_path / "valley.tif", *SHAPE, seed=9)  # of the same name and size
    with Server(find_products(out), scenes=tmp_path) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        assert ask(other, "/p/other/tiles/scene/0/1/1.png")[0].status == 404
        assert ask(other, "/p/other/tiles/class/0/1/1.png")[0].status == 200
        other.shutdown()


def test_a_pixel_is_told(server, subject):
    for column, row in ((0, 0), (130, 77), (699, 599)):
        answer, body = ask(server, f"/p/other/tiles/at/{column}/{row}")
        window = Window(row, column, 1, 1)
        assert json.loads(body) == {
            key: int(subject.read(key, window)[0, 0]) for key in ("class", "confidence")
        }
        assert answer.getheader("Content-Type") == "application/json"
    assert ask(server, "/p/other/tiles/at/700/0")[0].status == 404


@pytest.mark.parametrize("path", [
    "/p/other/files/secret.txt", "/p/other/files/../../secret.txt", "/p/other/files/..%2f..%2fsecret.txt",
    "/p/other/files/%2e%2e/secret.txt", "/p/../secret.txt", "/p/%2e%2e/files/secret.txt", "/secret.txt",
    "/p/notes/files/secret.txt", "/p/linked/files/landcover.tif", "/p/other/files/manifest.json",
    "/p/other/files/", "/p/other/files/landcover.tif/x", "/p/other/tiles/secret/0/0/0.png",
    "/p/other/tiles/class/0/99/0.png", "/p/other/tiles/class/99/0/0.png", "/p/other/tiles/class/-1/0/0.png",
    "/p/other/tiles/class/0/0", "/p/other/tiles/class/1e3/0/0.png", "/p/other/nonsense", "/p",
    "/p/other/files/landcover.tif%00.png",
])  # fmt: skip
def test_nothing_else_is_there(server, path):
    answer, body = ask(server, path)
    assert answer.status == 404
    assert b"secret" not in body


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.evil:{port}", ""]
)
def test_other_hosts_are_refused(server, host):
    answer, body = ask(server, "/", Host=host.format(port=server.server_port))
    assert answer.status == 421
    assert b"other" not in body
    assert ask(server, "/", Host=f"localhost:{server.server_port}")[0].status == 200


def test_foreign_pages_get_nothing(server):
    path = "/p/other/tiles/class/0/0/0.png"
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert ask(server, path, **headers)[0].status == 403
    assert ask(server, path, **headers | {"Sec-Fetch-Site": "same-origin"})[0].status == 200
    assert ask(server, "/", method="POST")[0].status == 501


def test_only_this_machine_is_listened_to(server):
    assert server.socket.getsockname()[0] == "127.0.0.1"


def test_files_are_downloads_and_reports_live_in_a_sandbox(server, out):
    answer, body = ask(server, "/p/other/files/landcover.tif")
    assert body == (out / "other" / "landcover.tif").read_bytes()
    assert answer.getheader("Content-Disposition") == "attachment"
    answer, body = ask(server, "/p/other/report.html")
    assert body == (out / "other" / "report.html").read_bytes()
    policy = answer.getheader("Content-Security-Policy")
    assert policy.startswith("sandbox allow-scripts;")
    assert "allow-same-origin" not in policy
    answer, body = ask(server, "/p/other/report.html", method="HEAD")
    assert (answer.status, body) == (200, b"")
    for path in ("/", "/p/other/", "/p/other/report.html", "/p/other/files/landcover.tif"):
        assert ask(server, path)[0].getheader("X-Content-Type-Options") == "nosniff"


def test_a_file_that_became_a_link_is_not_served(out, scenes, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in (out / "other").iterdir():
        os.link(file, copy / file.name)
    (copy / "confidence.tif").unlink()
    (copy / "confidence.tif").symlink_to(scenes / "valley.tif")
    product = find_products(copy)["copy"]
    assert product.file("confidence.tif") is None
    assert product.file("landcover.tif") is not None


def test_a_virtual_raster_is_refused(tmp_path):
    path = tmp_path / "landcover.tif"
    path.write_text('<VRTDataset rasterXSize="1" rasterYSize="1"></VRTDataset>')
    with pytest.raises(SceneError, match="virtual raster"):
        read_tile(path, 0, 0, 0)
    Image.new("L", (300, 300)).save(tmp_path / "picture.png")
    with pytest.raises(SceneError, match="is no GeoTIFF"):
        read_tile(tmp_path / "picture.png", 0, 0, 0)


def test_a_damaged_raster_is_an_error_of_that_tile(out, tmp_path):
    broken = tmp_path / "broken.tif"
    broken.write_bytes((out / "other" / "landcover.tif").read_bytes()[:1500])
    with pytest.raises(SceneError):
        read_tile(broken, 0, 0, 0)


def test_a_large_raster_without_overviews_is_not_read_whole_for_a_tile(tmp_path):
    path, place = tmp_path / "large.tif", Affine(1, 0, 0, 0, -1, 0)
    options = {"driver": "GTiff", "dtype": "uint8", "count": 1, "width": 100_000, "height": 100_000}
    with rasterio.open(
        path, "w", **options, tiled=True, sparse_ok=True, crs=CRS.from_epsg(32632), transform=place
    ):
        pass
    assert read_tile(path, 8, 0, 0) is None
    tile, _ = read_tile(path, 0, 390, 390)
    assert tile.shape == (1, 256, 256)


def test_a_page_with_other_values_is_not_believed(out, tmp_path):
    text = (out / "other" / "report.html").read_text()
    for before, after in (
        ('"color":"#2b6cb0"', '"color":"red;background:url(//x)"'),
        ('"width":700', '"width":"700"x'),
        ('"vectors":[]', '"vectors":[{"name":"x","kind":"polygon","steps":4,"paths":[[1,"M0,0<script>"]]}]'),
        ('"crs":', '"more":1,"crs":'),
        ("data:image/jpeg;base64,", "https://example.com/"),
    ):
        changed = text.replace(before, after)
        assert changed != text
        (tmp_path / "report.html").write_text(changed)
        assert read_map(tmp_path / "report.html") is None, before
    assert read_map(out / "other" / "report.html") is not None


def test_many_at_once_get_the_right_tiles(server):
    paths = [f"/p/other/tiles/class/0/{n % 3}/{n // 3 % 3}.png" for n in range(9)] * 6
    alone = {path: ask(server, path)[1] for path in paths[:9]}
    with ThreadPoolExecutor(2 * AT_ONCE) as pool:
        assert list(pool.map(lambda path: ask(server, path)[1], paths)) == [alone[path] for path in paths]


def test_without_rio_tiler_the_command_says_what_to_install(out, monkeypatch):
    tiler.cache_clear()
    monkeypatch.setitem(sys.modules, "rio_tiler.io", None)
    with pytest.raises(OptionError, match=r"pip install 'geodl\[view\]'"):
        Server(find_products(out))


def test_a_port_that_is_taken_is_refused(out):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OptionError, match="cannot be used"):
            Server(find_products(out), port=taken.getsockname()[1])


def test_the_command_tells_its_address_and_ends_with_ctrl_c(out):
    code = "import sys; from geodl.cli import main; main()"
    command = [sys.executable, "-c", code, "view", str(out), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", url)
        with ThreadPoolExecutor(8) as pool:  # all at once, before anything was asked for
            paths = [f"{url}p/other/tiles/class/0/{n % 3}/{n // 3}.png" for n in range(9)]
            assert all(tile.startswith(b"\x89PNG") for tile in pool.map(fetch, paths))
        assert b"2 products" in fetch(url)
        process.send_signal(2)
        assert process.wait(20) == 0


@needs_browser
def test_a_browser_pans_through_the_tiles(server, name, tmp_path):
    with browser(tmp_path / "chromium") as port:
        tab = Tab(port)
        tab.open(server.url)
        assert tab.complaints() == []
        assert tab.run("[...document.querySelectorAll('b')].map(b => b.textContent)") == sorted(
            [name, "other"]
        )
        url = f"{server.url}p/{quote(name)}/"
        tab.open(url)
        tab.run("document.querySelector('#opacity').value = 100")
        tab.run("document.querySelector('canvas').focus()")
        for key in ("+", "+", "+", "+", "ArrowRight"):
            tab.press(key)
        tab.run("new Promise(done => setTimeout(done, 600))")
        tab.settle()
        asked = {request.removeprefix(url) for request in tab.requests()}
        assert {"tiles/class/0/1/1.png", "tiles/scene/0/1/1.png"} <= asked
        assert all(request.startswith(server.url) for request in tab.requests())
        told = tab.run("document.querySelector('.readout').textContent")
        assert re.fullmatch(r"(no data|[a-z-]+, \d+ % sure) · x 60\d{4}, y 519\d{4}", told)
        assert tab.complaints() == []
        tab.open(f"{url}report.html")
        assert tab.run("document.querySelector('.ready') !== null")
        assert (
            tab.run("try { parent.localStorage && 'reached'; } catch (error) { error.name }")
            == "SecurityError"
        )
        assert tab.complaints() == []
        tab.close()
