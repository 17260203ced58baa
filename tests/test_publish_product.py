"""Products appear complete or not at all."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl.errors import ProductError
from geodl.publish import WRITERS, read_manifest, refuse_overwrite, safe_name, stage
from geodl.publish.product import MANIFEST


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def publish(out, name="scene", text="map", **manifest):
    with stage(out, name) as product:
        product.path("map.tif").write_text(text)
        return product.commit(manifest)


def test_a_product_is_sealed_by_its_manifest(tmp_path):
    folder = publish(tmp_path / "new" / "out", model="m")
    assert folder == tmp_path / "new" / "out" / "scene"
    assert json.loads((folder / MANIFEST).read_text()) == {
        "format": "geodl-product",
        "format_version": 1,
        "model": "m",
        "files": [{"path": "map.tif", "bytes": 3, "sha256": hashlib.sha256(b"map").hexdigest()}],
    }
    assert names(folder.parent) == ["scene"]


def test_a_new_product_replaces_the_old_one(tmp_path):
    publish(tmp_path, text="old")
    folder = publish(tmp_path, text="new")
    assert (folder / "map.tif").read_text() == "new"
    assert names(tmp_path) == ["scene"]


def test_the_same_work_gives_the_same_bytes(tmp_path):
    a, b = (publish(tmp_path / name, options={"b": 1, "a": 2}) for name in ("a", "b"))
    assert (a / MANIFEST).read_bytes() == (b / MANIFEST).read_bytes()


def half(out, error):
    with stage(out, "scene") as product:
        product.path("map.tif").write_text("half")
        raise error


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt()])
def test_an_error_half_way_leaves_the_old_product(tmp_path, error):
    folder = publish(tmp_path, text="old")
    with pytest.raises(type(error)):
        half(tmp_path, error)
    assert (folder / "map.tif").read_text() == "old"
    assert names(tmp_path) == ["scene"]


def test_without_a_commit_nothing_appears(tmp_path):
    with stage(tmp_path, "scene") as product:
        product.path("map.tif").write_text("x")
    assert names(tmp_path) == []


@pytest.mark.parametrize("failing", ["fsync", "rename"])
def test_a_full_disk_at_the_end_leaves_the_old_product(tmp_path, monkeypatch, failing):
    folder = publish(tmp_path, text="old")
    rename = Path.rename

    def full(*args):
        if failing == "fsync" or ".partial-" in str(args[0]):
            raise OSError(28, "No space left on device")
        return rename(*args)

    monkeypatch.setattr(*((os, "fsync") if failing == "fsync" else (Path, "rename")), full)
    with pytest.raises(ProductError, match=r"scene: cannot be written.*No space left.*GB free in"):
        publish(tmp_path, text="new")
    assert (folder / "map.tif").read_text() == "old"
    assert read_manifest(folder) is not None
    assert names(tmp_path) == ["scene"]


def test_what_is_not_a_product_is_not_replaced(tmp_path):
    (tmp_path / "scene").mkdir()
    (tmp_path / "scene" / "thesis.doc").write_text("years of work")
    with pytest.raises(ProductError, match="holds files that are not a geodl product"):
        publish(tmp_path)
    (tmp_path / "scene" / MANIFEST).write_text('{"format": "other"}')
    with pytest.raises(ProductError, match="not a geodl product"):
        publish(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ProductError, match="is not a folder"):
        publish(tmp_path, "file")
    (tmp_path / "link").symlink_to(tmp_path / "scene")
    with pytest.raises(ProductError, match="is not a folder"):
        publish(tmp_path, "link")
    assert (tmp_path / "scene" / "thesis.doc").exists()
    (tmp_path / "empty").mkdir()
    publish(tmp_path, "empty")


HOLD = """
import sys, time
from geodl.publish import stage
with stage(sys.argv[1], "scene") as product:
    product.path("map.tif").write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_two_runs_and_a_killed_one(tmp_path):
    publish(tmp_path, text="old")
    run = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    try:
        assert run.stdout.readline() == "ready\n"
        with pytest.raises(ProductError, match="another run is writing it"):
            publish(tmp_path)
        publish(tmp_path, "other scene")
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
        run.stdout.close()
    assert (tmp_path / "scene" / "map.tif").read_text() == "old"
    assert (tmp_path / f".scene.partial-{run.pid}").is_dir()
    publish(tmp_path, text="new")
    assert names(tmp_path) == ["other scene", "scene"]


def test_a_run_killed_between_the_renames_loses_nothing(tmp_path):
    folder = publish(tmp_path, text="old")
    folder.rename(tmp_path / ".scene.old-123")
    with stage(tmp_path, "scene"):
        assert (folder / "map.tif").read_text() == "old"


def test_another_run_cannot_tidy_away_what_one_has_just_begun(tmp_path, monkeypatch):
    mkdir, refused = Path.mkdir, []

    def met(path, *args, **options):
        mkdir(path, *args, **options)
        if ".partial-" in path.name and not refused:
            with pytest.raises(ProductError, match="another run is writing it") as caught:
                publish(tmp_path, text="other")
            refused.append(caught.value)

    monkeypatch.setattr(Path, "mkdir", met)
    folder = publish(tmp_path, text="mine")
    assert refused
    assert (folder / "map.tif").read_text() == "mine"
    assert names(tmp_path) == ["scene"]


def test_another_run_cannot_put_back_the_product_that_one_is_replacing(tmp_path, monkeypatch):
    folder = publish(tmp_path, text="old")
    rename, met = Path.rename, []

    def meet(path, target):
        rename(path, target)
        met.append(path.name)
        with pytest.raises(ProductError, match="another run is writing it"):
            publish(tmp_path, text="other")

    monkeypatch.setattr(Path, "rename", meet)
    publish(tmp_path, text="new")
    assert met == ["scene", f".scene.partial-{os.getpid()}"]
    assert (folder / "map.tif").read_text() == "new"
    assert names(tmp_path) == ["scene"]


def test_many_runs_of_one_product(tmp_path):
    refused = []

    def run(number):
        done = 0
        for turn in range(10):
            try:
                publish(tmp_path, text=f"{number} {turn}", made=f"{number} {turn}")
                done += 1
            except ProductError as error:
                refused.append(str(error))
        return done

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(run, range(4)))
    assert sum(done) >= 1
    assert sum(done) + len(refused) == 40
    assert all("another run is writing it" in text for text in refused)
    assert (tmp_path / "scene" / "map.tif").read_text() == read_manifest(tmp_path / "scene")["made"]
    assert names(tmp_path) == ["scene"]


def test_a_name_that_begins_like_another_ones_leftovers(tmp_path):
    with stage(tmp_path, "scene.partial-x") as product:
        publish(tmp_path, "scene")
        product.path("map.tif").write_text("still here")
        product.commit({})
    assert names(tmp_path) == ["scene", "scene.partial-x"]


@pytest.mark.slow
def test_killed_at_any_instant_the_product_is_old_or_new(tmp_path):
    loop = """
import sys
from geodl.publish import stage
for turn in range(10**6):
    with stage(sys.argv[1], "scene") as product:
        for name in "abc":
            product.path(name).write_text(str(turn))
        product.commit({"turn": turn})
    print(turn, flush=True)
"""
    for instant in range(25):
        run = subprocess.Popen([sys.executable, "-c", loop, tmp_path], stdout=subprocess.PIPE, text=True)
        run.stdout.readline()
        time.sleep(0.003 * instant)
        run.kill()
        run.wait()
        run.stdout.close()
        with stage(tmp_path, "scene"):
            manifest = read_manifest(tmp_path / "scene")
            assert {(tmp_path / "scene" / n).read_text() for n in "abc"} == {str(manifest["turn"])}


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "../a", "/etc/passwd", "a\\b", "a\0", "manifest.json"]
)
def test_files_stay_inside(tmp_path, name):
    with stage(tmp_path, "scene") as product, pytest.raises(ProductError, match="cannot be a file"):
        product.path(name)


@given(name=st.text(max_size=300))
def test_safe_names_are_plain_folder_names(name):
    safe = safe_name(name)
    assert safe
    assert Path(safe).name == safe
    assert not safe.startswith(".")
    assert safe.isprintable()
    assert len(safe.encode()) <= 121
    assert safe_name(safe) == safe


def test_safe_names_of_hostile_ones():
    assert safe_name("../../etc/passwd") == "etc_passwd"
    assert safe_name("CON") == "CON_"
    assert safe_name("nul.tif") == "nul_.tif"
    assert safe_name("...") == "scene"
    assert safe_name("S2A_MSIL2A T32 é") == "S2A_MSIL2A T32 é"


def test_inputs_are_not_overwritten(tmp_path):
    source = tmp_path / "in" / "scene.tif"
    source.parent.mkdir()
    source.write_text("x")
    (tmp_path / "alias").symlink_to(tmp_path / "in")
    for out in (source, tmp_path / "in", tmp_path / "alias", tmp_path / "alias" / "scene.tif"):
        with pytest.raises(ProductError, match="would overwrite the input"):
            refuse_overwrite([source], out)
    refuse_overwrite([source], tmp_path / "in" / "scene")
    with (
        pytest.raises(ProductError, match="would overwrite the input"),
        stage(tmp_path, "in", inputs=[source]),
    ):
        pass


def test_an_output_that_cannot_be_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ProductError, match="cannot be written"), stage(tmp_path / "file", "scene"):
        pass


def test_every_writer_has_a_kind():
    assert {writer.kind for writer in WRITERS.values()} == {"raster", "vector"}
