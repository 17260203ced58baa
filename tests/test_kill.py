"""A run is killed at random instants; the next one takes up what was finished and gives the same bytes."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from geodl.batch import RECORD
from geodl.scene_run import WORK_FOLDER
from tests.conftest import write_scene
from tests.processes import FORKS, forks  # noqa: F401 - a fixture


def run_command(workflow, scene, out):
    from geodl.cli.run import run

    run([str(workflow), str(scene), "--out", str(out)])


def start(workflow, scene, out):
    process = FORKS.Process(target=run_command, args=(workflow, scene, out))
    process.start()
    return process


def finish(process):
    process.join(120)
    assert process.exitcode == 0


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def row_of(out):
    (row,) = json.loads((out / RECORD).read_text())["scenes"]
    return row


@pytest.fixture(scope="module")
def undisturbed(forks, tiny_model, tmp_path_factory):  # noqa: F811 - a fixture
    """A workflow, a scene of many blocks, the bytes of its product, and how long a run takes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    workflow = folder / "flow.yaml"
    workflow.write_text(f"model: {tiny_model.folder}\nrun: {{block: 1}}\n")
    scene = write_scene(folder / "plain.tif", 10000, 64)
    begin = time.monotonic()
    finish(start(workflow, scene, folder / "out"))
    return workflow, scene, contents(folder / "out" / "plain"), time.monotonic() - begin


def beside(undisturbed, tmp_path):
    """A folder that lies to the scene as the undisturbed one does: products name the scene by that way."""
    return undisturbed[1].parent / tmp_path.name


def kill_again_and_again(undisturbed, out, kills, seed):
    """Kill so many runs; returns how many blocks they left behind each time."""
    workflow, scene, expected, seconds = undisturbed
    rng, product, kept = random.Random(seed), out / "plain", []
    for _ in range(kills):
        process = start(workflow, scene, out)
        process.join(rng.uniform(0, 1.1) * seconds)
        process.kill()
        process.join()
        marks = len(list((out / WORK_FOLDER).glob("*/*/done/*")))
        kept.append(marks)
        if product.exists():  # absent, or whole
            assert contents(product) == expected
        if product.exists() or rng.random() < 0.3:
            finish(start(workflow, scene, out))
            row = row_of(out)
            assert row["status"] == "skipped" or row["computed"] == row["chunks"] - marks
            assert contents(product) == expected
            assert {path.name for path in out.iterdir()} == {"plain", RECORD}
            shutil.rmtree(out)
    finish(start(workflow, scene, out))
    assert contents(product) == expected
    assert {path.name for path in out.iterdir()} == {"plain", RECORD}
    return kept


def test_three_kills(undisturbed, tmp_path):
    kill_again_and_again(undisturbed, beside(undisturbed, tmp_path), 3, seed=1)


@pytest.mark.slow
def test_fifty_kills(undisturbed, tmp_path):
    kept = kill_again_and_again(undisturbed, beside(undisturbed, tmp_path), 50, seed=2)
    assert len(set(kept)) > 5  # some were killed in the middle of the work


def test_only_what_is_missing_after_a_kill_is_computed(undisturbed, tmp_path):
    workflow, scene, expected, _ = undisturbed
    out = beside(undisturbed, tmp_path)
    process = start(workflow, scene, out)
    while len(marks := list((out / WORK_FOLDER).glob("*/*/done/*"))) < 5:
        time.sleep(0.005)
    process.kill()
    process.join()
    marks = list((out / WORK_FOLDER).glob("*/*/done/*"))
    finish(start(workflow, scene, out))
    row = row_of(out)
    assert row["computed"] == row["chunks"] - len(marks) < row["chunks"]
    assert contents(out / "plain") == expected


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_tidily(number, status, tiny_model, tmp_path):
    scene, out = write_scene(tmp_path / "plain.tif", 6000, 1200), tmp_path / "out"
    command = [sys.executable, "-m", "geodl", "predict", scene, "--model", tiny_model.folder, "--out", out]
    run = subprocess.Popen(
        [str(word) for word in (*command, "--block", 1, "--tile", 96)],  # slow enough to be stopped
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    while run.poll() is None and not list((out / WORK_FOLDER).glob("*/*/done/*")):
        time.sleep(0.01)
    run.send_signal(number)
    output, _ = run.communicate(timeout=60)
    assert run.returncode == status
    assert output.splitlines() == [
        "stopped: what is finished is kept, and the same command goes on from there"
    ]
    assert [path.name for path in out.iterdir()] == [WORK_FOLDER]
    with pytest.raises(ProcessLookupError):  # no orphan is left in its group
        os.killpg(run.pid, 0)
