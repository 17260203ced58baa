"""Decoded scenes are kept, found again, and never half."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import rasterio
from affine import Affine

from geodl.errors import ProductError
from geodl.training import train
from geodl.training.cache import SceneCache, identity_of, key_of, open_storage
from geodl.training.plots import decode
from geodl.training.recipe import Recipe


def fill(folder, content=b"pixels"):
    (folder / "image.npy").write_bytes(content)


def test_an_entry_is_made_once(tmp_path):
    made = []

    def make(folder):
        made.append(folder)
        fill(folder)

    first = SceneCache(tmp_path).entry("a" * 32, make)
    again = SceneCache(tmp_path).entry("a" * 32, make)
    assert first == again
    assert (again / "image.npy").read_bytes() == b"pixels"
    assert len(made) == 1
    assert SceneCache(tmp_path).entry("b" * 32, make) != first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a" * 32, "b" * 32]


@pytest.mark.parametrize("damage", ["truncate", "remove", "contents"])
def test_a_damaged_entry_is_made_anew(tmp_path, damage):
    entry = SceneCache(tmp_path).entry("a", fill)
    if damage == "truncate":
        (entry / "image.npy").write_bytes(b"pix")
    elif damage == "remove":
        (entry / "image.npy").unlink()
    else:
        (entry / "contents.json").write_text("{")
    entry = SceneCache(tmp_path).entry("a", fill)
    assert (entry / "image.npy").read_bytes() == b"pixels"


def test_what_fails_leaves_nothing(tmp_path):
    def broken(folder):
        fill(folder)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        SceneCache(tmp_path).entry("a", broken)
    assert list(tmp_path.iterdir()) == []
    assert SceneCache(tmp_path).entry("a", fill).is_dir()


def test_a_faster_process_wins(tmp_path):
    cache = SceneCache(tmp_path)

    def slow(folder):
        SceneCache(tmp_path).entry("a", fill)  # meanwhile another one has finished
        fill(folder, b"mine")

    assert (cache.entry("a", slow) / "image.npy").read_bytes() == b"pixels"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


KILLED = """
import sys, time
from pathlib import Path
from geodl.training import train
from geodl.training.cache import SceneCache

def slow(folder):
    (folder / "image.npy").write_bytes(b"half")
    print("begun", flush=True)
    time.sleep(60)

SceneCache(Path(sys.argv[1])).entry("a", slow)
"""


def test_a_killed_process_leaves_no_entry_and_its_debris_is_swept(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "begun\n"
    made = [p for p in tmp_path.iterdir() if p.is_dir()]
    assert len(made) == 1
    SceneCache(tmp_path)  # while its maker lives it is left alone
    assert made[0].is_dir()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    entry = SceneCache(tmp_path).entry("a", fill)
    assert (entry / "image.npy").read_bytes() == b"pixels"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_the_identity_of_a_file_holds_its_sidecars(tmp_path):
    scene = tmp_path / "scene.tif"
    scene.write_bytes(b"1234")
    before = identity_of(scene)
    (tmp_path / "other.tif").write_bytes(b"12")
    assert identity_of(scene) == before
    (tmp_path / "scene.tif.aux.xml").write_text("<PAMDataset/>")
    assert identity_of(scene) != before
    assert key_of({"a": [1, 2]}) == key_of({"a": (1, 2)}) != key_of({"a": [2, 1]})


@pytest.fixture
def recipe(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    profile = {
        "driver": "GTiff", "height": 64, "width": 64, "count": 1, "dtype": "uint8", "crs": "EPSG:32632",
        "transform": Affine(10, 0, 500000, 0, -10, 5200000),
    }  # fmt: skip
    rng = np.random.default_rng(0)
    for name, pixels in (("scene", rng.integers(1, 250, (64, 64))), ("labels", rng.integers(1, 3, (64, 64)))):
        with rasterio.open(data / f"{name}.tif", "w", **profile) as file:
            file.write(pixels.astype(np.uint8), 1)
    return Recipe.model_validate(
        {
            "name": "cached", "bands": ["gray"], "units": "digital_number", "data_root": data,
            "classes": [{"value": v, "name": str(v), "color": "#000000"} for v in (1, 2)],
            "sources": [{"scenes": "scene.tif", "labels": "labels.tif", "bands": ["gray"]}],
            "split": {"block": 16, "gap": 2},
        }
    )  # fmt: skip


@pytest.fixture
def decoded(monkeypatch):
    """Names of the entries that were decoded rather than found."""
    made = []
    entry = SceneCache.entry

    def counting(self, key, make):
        return entry(self, key, lambda folder: (made.append(key), make(folder)))

    monkeypatch.setattr(SceneCache, "entry", counting)
    return made


def test_a_second_run_decodes_nothing_and_sees_the_same(recipe, tmp_path, decoded):
    found = []
    for run in ("one", "two"):
        (plot,) = decode(recipe, tmp_path / run, gap=0, cache=SceneCache(tmp_path / "cache"))
        found.append(
            [np.array(a) for a in (plot.image, plot.valid, plot.labels("train"), plot.labels("validation"))]
        )
    assert len(decoded) == 1
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_split_may_change_but_not_what_pixels_mean(recipe, tmp_path, decoded):
    cache = SceneCache(tmp_path / "cache")
    decode(recipe, tmp_path / "0", gap=0, cache=cache)
    decode(recipe.model_copy(update={"seed": 5}), tmp_path / "1", gap=0, cache=cache)
    assert len(decoded) == 1
    swapped = [c.model_copy(update={"source": [3 - c.value]}) for c in recipe.classes]
    (plot,) = decode(recipe.model_copy(update={"classes": swapped}), tmp_path / "2", gap=0, cache=cache)
    assert len(decoded) == 2
    path = recipe.data_root / "labels.tif"
    os.utime(path, (time.time() + 5,) * 2)
    (plot,) = decode(recipe, tmp_path / "3", gap=0, cache=cache)
    assert len(decoded) == 3
    assert set(np.unique(plot.labels("all"))) == {0, 1}


def test_the_storage_of_a_run_goes_unless_the_run_can_go_on(recipe, tmp_path):
    folder = tmp_path / ".model.training"
    folder.mkdir()
    with open_storage(folder) as storage:
        decode(recipe, storage.run, gap=0, cache=storage.scenes)
        assert storage.scenes.root == folder / "scenes"
    assert list(folder.iterdir()) == []
    (folder / "state.safetensors").write_bytes(b"")
    with open_storage(folder) as storage:
        decode(recipe, storage.run, gap=0, cache=storage.scenes)
    assert sorted(p.name for p in folder.iterdir()) == ["scenes", "state.safetensors"]
    with open_storage(folder, tmp_path / "kept") as storage:
        decode(recipe, storage.run, gap=0, cache=storage.scenes)
    (entry,) = (tmp_path / "kept").iterdir()
    assert json.loads((entry / "scene.json").read_text())["height"] == 64


def test_a_cache_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ProductError, match=r"cache .*file.*choose another folder with --cache"),
        open_storage(tmp_path, tmp_path / "file"),
    ):
        pass


def test_training_keeps_its_scenes_where_it_is_told(recipe, tmp_path, decoded):
    settings = recipe.optimisation.model_copy(
        update={"epochs": 1, "samples_per_epoch": 2, "batch": 2, "patch": 16, "precision": "32"}
    )
    recipe = recipe.model_copy(
        update={"optimisation": settings, "parameters": {"widths": [4, 8], "blocks": 1}}
    )
    runs = tmp_path / "runs"
    hashes = [
        train(
            recipe, runs / str(n), device="cpu", cache=runs / "cache", echo=lambda _: None
        ).spec.weights_sha256
        for n in range(2)
    ]
    assert len(decoded) == 1
    assert hashes[0] == hashes[1]
    assert sorted(p.name for p in runs.iterdir()) == ["0", "1", "cache"]
