"""A run is killed at random instants; the next one takes up what was finished and gives the same bytes."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from geodl.job import WORK_FOLDER
from tests.conftest import write_scene


def start(scene, model, out):
    command = [
        sys.executable,
        "-m",
        "geodl",
        "predict",
        scene,
        "--model",
        model.folder,
        "--out",
        out,
        "--block",
        1,
    ]
    return subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def undisturbed(tiny_model, tmp_path_factory):
    """A scene of many blocks, the bytes of its product, and how long a run takes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    scene = write_scene(folder / "plain.tif", 700, 700)
    begin = time.monotonic()
    run = start(scene, tiny_model, folder / "out")
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output
    return scene, contents(folder / "out" / "plain"), time.monotonic() - begin


def kill_again_and_again(undisturbed, model, out, kills, seed):
    scene, expected, seconds = undisturbed
    rng = random.Random(seed)
    product, kept = out / "plain", []
    for _ in range(kills):
        run = start(scene, model, out)
        try:
            run.wait(rng.uniform(0.3, 1.0) * seconds)
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
            run.wait()
        marks = list((out / WORK_FOLDER).glob("*/*/done/*")) if out.exists() else []
        kept.append(len(marks))
        if product.exists():  # absent, or whole
            assert contents(product) == expected
    run = start(scene, model, out)
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output
    assert contents(product) == expected
    assert os.listdir(out) == ["plain"]  # noqa: PTH208
    return kept


def test_two_kills(undisturbed, tiny_model, tmp_path):
    kill_again_and_again(undisturbed, tiny_model, tmp_path / "out", 2, seed=1)


@pytest.mark.slow
def test_twenty_kills(undisturbed, tiny_model, tmp_path):
    kept = kill_again_and_again(undisturbed, tiny_model, tmp_path / "out", 20, seed=2)
    assert max(kept) > 0  # some were killed in the middle of the work
