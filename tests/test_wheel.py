"""What is published installs elsewhere and works there: nothing of the checkout is missing in the wheel.

``make wheel`` builds into ``dist`` and names it in ``GEODL_WHEEL``; without that variable it is built here
from a copy of the checkout, by way of the source distribution.
"""

import os
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from tests.check_demo import main as check_demo

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("geodl", "docs", "sample_scenes", "tests", "workflows")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    named = os.environ.get("GEODL_WHEEL")
    if named:
        return Path(named).resolve()
    pytest.importorskip("build")
    copy = tmp_path_factory.mktemp("tree")
    for part in PARTS:
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith("."):
            shutil.copy(path, copy)
    subprocess.run([sys.executable, "-m", "build", "--no-isolation", copy], check=True, capture_output=True)
    (built,) = (copy / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def elsewhere(wheel, tmp_path_factory):
    """Programs of a fresh environment: the wheel is new in it, what the wheel asks for is lent from here."""
    folder = tmp_path_factory.mktemp("env") / "geodl-env"
    venv.create(folder)
    python = folder / "bin" / "python"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--ignore-installed", wheel]
    subprocess.run([sys.executable, "-m", "pip", "--python", python, *install], check=True)
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    # A folder named here is searched after the environment's own, and the .pth files in it are not read:
    # the editable installation of the checkout stays out.
    Path(own, "lent.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return folder / "bin"


@pytest.fixture(scope="module")
def offline():
    """Words before a command that take the network from it, where the system allows that."""
    words = ["unshare", "--net", "--map-root-user"]
    able = shutil.which("unshare") and subprocess.run([*words, "true"], capture_output=True).returncode == 0
    return words if able else []


def run(words, folder, **variables):
    closed = "http://127.0.0.1:9"
    bare = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), closed)
    done = subprocess.run(
        words,
        cwd=folder,
        capture_output=True,
        text=True,
        env={**bare, **proxies, "HOME": str(folder), **variables},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_file_of_the_package_is_in_it(wheel):
    packed = set(zipfile.ZipFile(wheel).namelist())
    ours = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "geodl").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert ours - packed == set()
    models = [path.parent for path in (ROOT / "geodl" / "models" / "bundled").glob("*/model.json")]
    assert len(models) >= 3
    scenes = {f"geodl/shipped/sample_scenes/{path.name}" for path in (ROOT / "sample_scenes").glob("*.tif")}
    assert scenes
    assert scenes <= packed
    pages = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert {f"geodl/shipped/{page}" for page in pages} <= packed
    strangers = {name.split("/")[0] for name in packed} - {"geodl"}
    assert all(name.endswith(".dist-info") for name in strangers)


def test_the_index_would_take_it(wheel):
    pytest.importorskip("twine")
    subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", wheel], check=True, capture_output=True
    )
    with zipfile.ZipFile(wheel) as file:
        (metadata,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        told = Parser().parsestr(file.read(metadata).decode())
        points = file.read(metadata.replace("METADATA", "entry_points.txt")).decode()
    assert told["License-Expression"] == "Apache-2.0"
    assert told["Requires-Python"] == ">=3.11"
    assert "geodl = geodl.cli:main" in points


def test_it_is_the_wheel_that_runs(elsewhere, tmp_path):
    where = run([elsewhere / "python", "-c", "import geodl; print(geodl.__file__)"], tmp_path).strip()
    assert Path(where).is_relative_to(elsewhere.parent)
    assert "My bands are in another order" in run([elsewhere / "geodl", "help", "bands"], tmp_path)


def test_the_demo_runs_there_without_a_network(elsewhere, offline, tmp_path):
    told = run([*offline, elsewhere / "geodl", "demo"], tmp_path, OMP_NUM_THREADS="1")
    assert "against its truth" in told
    check_demo(tmp_path / "demo")


def test_scenes_to_try_commands_on(elsewhere, tmp_path):
    run([elsewhere / "geodl", "demo", "--copy", "sample_scenes"], tmp_path)
    assert (tmp_path / "sample_scenes" / "truth" / "s2_valley_2023_landcover.tif").is_file()
    told = run([elsewhere / "geodl", "info", "sample_scenes/s2_valley_2023.tif"], tmp_path)
    assert "landcover-s2" in told
