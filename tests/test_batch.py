"""Many scenes in one queue: order, overlap, bounds, failures, resuming, the record, lost workers."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import dask
import numpy as np
import pytest
from click.testing import CliRunner

from geodl import scene_run
from geodl.batch import RECORD, Entry, Watch, connect, run_batch
from geodl.batch.parts import Outcome
from geodl.batch.queue import AHEAD, PUBLISHING
from geodl.batch.record import Record, failed_sources
from geodl.cli.run import run
from geodl.errors import GeodlError, OptionError, ProductError, SceneError
from geodl.job import RunOptions, run_scene, run_scenes
from geodl.scene import open_scene
from geodl.scene_run import WORK_FOLDER
from geodl.sources import files_source
from geodl.tiles import Block, Window
from tests.conftest import make_model, make_spec, write_scene
from tests.processes import forks  # noqa: F401 - a fixture

BLOCK = 1


@pytest.fixture(scope="module")
def client():
    with connect() as client:
        yield client


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    return [str(write_scene(folder / f"{name}.tif", 130, 150, seed=n)) for n, name in enumerate("abc")]


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def map_all(files, model, out, client, *watches, **options):
    sources = [files_source([file], {}) for file in files]
    run_options = RunOptions(**{"block": BLOCK, **options})
    return run_scenes(sources, model, out, run_options, client=client, watches=watches)


def statuses(outcomes):
    return [(outcome.status, outcome.chunks, outcome.computed) for outcome in outcomes]


# The queue alone, with scenes that only count.

LOG: list[tuple[str, str, int]] = []


class Counting:
    """A scene of the queue that writes down what is done to it."""

    def __init__(self, name, blocks=3, task=None, publish=None):
        self.name, self.chunks, self.pixels = name, blocks, 100 * blocks
        self.todo = [Block((0, 1, n, n + 1), Window(0, 10 * n, 10, 10)) for n in range(blocks)]
        self.function, self.publishing, self.closed = task or count, publish, 0

    def size(self, block):
        return 1

    def stored(self):
        return len([entry for entry in LOG if entry[:2] == ("stored", self.name)])

    def task(self, block):
        LOG.append(("submitted", self.name, block.cells[2]))
        return self.function, self.name

    def publish(self, stop):
        LOG.append(("publishing", self.name, 0))
        if self.publishing:
            self.publishing()
        LOG.append(("published", self.name, 0))
        return Path(self.name)

    def close(self):
        self.closed += 1


def count(name, block):
    LOG.append(("computed", name, block.cells[2]))


def fail_in_the_middle(name, block):
    if block.cells[2] == 1:
        raise GeodlError(f"scene {name}", "block 1 cannot be read")
    time.sleep(0.02)
    count(name, block)


def kill_worker(name, block):
    if block.cells[2] == 2:
        os.kill(os.getpid(), signal.SIGKILL)


def entry_of(found):
    def open_it():
        LOG.append(("opened", found if isinstance(found, str) else found.name, 0))
        if isinstance(found, str):
            raise SceneError(f"scene {found}", "is not a raster")
        return found

    name = found if isinstance(found, str) else found.name
    return Entry(name=name, sources=(name,), open=open_it)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr("geodl.tiles.CHUNK", 16)


@pytest.fixture(autouse=True)
def empty_log():
    LOG.clear()


HEARD: list[int] = []


def store_by_and_by(name, block):
    for chunk in range(4):
        LOG.append(("stored", name, chunk))
        deadline = time.monotonic() + 10
        while chunk + 1 not in HEARD and time.monotonic() < deadline:
            time.sleep(0.01)


def test_a_long_block_shows_its_chunks(client, monkeypatch):
    class Listener(Watch):
        def advanced(self, number, run, done):
            HEARD.append(done)

    monkeypatch.setattr("geodl.batch.queue._LOOK", 0.02)
    HEARD.clear()
    run = Counting("a", 1, store_by_and_by)
    run.chunks, run.size = 4, lambda _: 4
    run_batch([entry_of(run)], client, [Listener()])
    assert sorted(set(HEARD)) == [0, 1, 2, 3, 4]
    assert sorted(HEARD) == HEARD


def test_a_failure_stops_no_other_scene(client):
    runs = [Counting("a"), Counting("b", 60, fail_in_the_middle), Counting("c"), Counting("d", 0)]
    outcomes = run_batch([entry_of(found) for found in (runs[0], "bad", *runs[1:])], client)
    assert [outcome.name for outcome in outcomes] == ["a", "bad", "b", "c", "d"]
    assert [outcome.status for outcome in outcomes] == ["done", "failed", "failed", "done", "done"]
    assert "is not a raster" in str(outcomes[1].error)
    assert "block 1 cannot be read" in str(outcomes[2].error)
    assert outcomes[0].product == Path("a")
    assert [scene.closed for scene in runs] == [1, 1, 1, 1]
    tally = Counter(name for what, name, _ in LOG if what == "computed")
    assert (tally["a"], tally["c"]) == (3, 3)
    assert tally["b"] < 30  # what was in flight finished, nothing more was begun


def test_a_scene_is_computed_while_the_one_before_is_published(client):
    begun = threading.Event()

    class Listen(Watch):
        def advanced(self, number, run, done):
            if (number, done) == (1, 2):
                begun.set()

    first = Counting("a", publish=lambda: LOG.append(("waited", "a", begun.wait(20))))
    run_batch([entry_of(first), entry_of(Counting("b", 2))], client, [Listen()])
    assert ("waited", "a", True) in LOG


def test_blocks_headers_and_products_in_the_making_are_bounded(client):
    runs = [Counting(str(n), 5, publish=lambda: time.sleep(0.05)) for n in range(8)]
    run_batch([entry_of(found) for found in runs], client)
    in_flight = unpublished = ahead = 0
    started = set()
    for what, name, _ in LOG:
        in_flight += {"submitted": 1, "computed": -1}.get(what, 0)
        assert in_flight <= 4 + 3  # one more than threads; a result is on its way for each thread
        ahead += what == "opened"
        if what == "submitted" and name not in started:
            started.add(name)
            ahead -= 1
            # Those whose blocks are all done: started, not published, not this one.
            unpublished = (
                len(started) - 1 - sum(w == "published" for w, *_ in LOG[: LOG.index((what, name, 0))])
            )
            assert unpublished <= PUBLISHING + 1
        assert ahead <= AHEAD + 1
    order = [name for what, name, _ in LOG if what == "submitted"]
    assert order == sorted(order)


class Interrupt(Watch):
    """Presses Ctrl-C when so many blocks are done."""

    def __init__(self, after):
        self.after, self.seen = after, 0

    def advanced(self, number, run, done):
        self.seen += 1
        if self.seen > self.after:
            raise KeyboardInterrupt


def test_an_interrupt_closes_every_scene(client):
    runs = [Counting(str(n), 6) for n in range(4)]
    with pytest.raises(KeyboardInterrupt):
        run_batch([entry_of(found) for found in runs], client, [Interrupt(9)])
    opened = {name for what, name, _ in LOG if what == "opened"}
    assert [scene.closed for scene in runs] == [int(scene.name in opened) for scene in runs]


# Scenes on disk.


def test_products_are_those_of_single_runs_and_are_not_made_twice(scenes, tiny_model, client, tmp_path):
    outcomes = map_all(scenes, tiny_model, tmp_path / "out", client)
    assert [status for status, *_ in statuses(outcomes)] == ["done"] * 3
    assert all(outcome.computed == outcome.chunks > 4 for outcome in outcomes)
    for file, outcome in zip(scenes, outcomes, strict=True):
        alone = run_scene(open_scene(file), tiny_model, tmp_path / "alone", RunOptions(), client=client)
        assert contents(alone) == contents(outcome.product)
    assert names(tmp_path / "out") == ["a", "b", "c", "collection.json"]
    again = map_all(scenes, tiny_model, tmp_path / "out", client)
    assert statuses(again) == [("skipped", 0, 0)] * 3
    assert [outcome.product for outcome in again] == [outcome.product for outcome in outcomes]


def change_one_pixel(path, monkeypatch, tmp_path):
    import rasterio

    with rasterio.open(path, "r+") as file:
        file.write(file.read(1, window=((60, 61), (60, 61))) + 1, 1, window=((60, 61), (60, 61)))


def touch(path, monkeypatch, tmp_path):
    time.sleep(0.05)
    os.utime(path)


def lose_a_file(path, monkeypatch, tmp_path):
    (tmp_path / "out" / "scene" / "confidence.tif").unlink()


def cut_a_file(path, monkeypatch, tmp_path):
    (tmp_path / "out" / "scene" / "landcover.tif").write_bytes(b"II*")


@pytest.mark.parametrize("change", [change_one_pixel, touch, lose_a_file, cut_a_file])
def test_a_product_is_made_anew_if_its_input_is_another_or_it_is_not_whole(
    change, tiny_model, client, tmp_path, monkeypatch
):
    path = write_scene(tmp_path / "scene.tif", 130, 150)
    out = tmp_path / "out"
    assert statuses(map_all([path], tiny_model, out, client))[0][0] == "done"
    change(path, monkeypatch, tmp_path)
    assert statuses(map_all([path], tiny_model, out, client))[0][0] == "done"
    assert statuses(map_all([path], tiny_model, out, client))[0][0] == "skipped"


def stop_after(count, monkeypatch):
    """Let only so many blocks be computed; the next ones fail."""
    done = []

    def stops(job, block):
        if len(done) >= count:
            raise GeodlError("scene", "pulled plug")
        done.append(block)
        return real(job, block)

    real = scene_run.process_block
    monkeypatch.setattr(scene_run, "process_block", stops)


def other_input(path, model, tmp_path):
    change_one_pixel(path, None, None)
    return model, {}


def other_model(path, model, tmp_path):
    return make_model(tmp_path / "other", make_spec(), seed=3), {}


def other_option(path, model, tmp_path):
    return model, {"probabilities": True}


@pytest.mark.parametrize("change", [other_input, other_model, other_option])
def test_blocks_of_another_input_model_or_option_are_not_taken_up(
    change, tiny_model, client, tmp_path, monkeypatch
):
    path, out = write_scene(tmp_path / "scene.tif", 130, 150), tmp_path / "out"
    with monkeypatch.context() as patch:
        stop_after(5, patch)
        assert statuses(map_all([path], tiny_model, out, client))[0][0] == "failed"
    model, options = change(path, tiny_model, tmp_path)
    (outcome,) = map_all([path], model, out, client, **options)
    assert outcome.status == "done"
    assert outcome.computed == outcome.chunks
    assert names(out) == ["scene"]  # the blocks that serve no product any more are gone


@pytest.mark.parametrize("damage", ["none", "flip", "lose", "empty", "metadata"])
def test_only_missing_and_damaged_blocks_are_computed_again(
    damage, scenes, tiny_model, client, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    expected = map_all(scenes[:1], tiny_model, tmp_path / "whole", client)[0]
    with monkeypatch.context() as patch:
        stop_after(5, patch)
        map_all(scenes[:1], tiny_model, out, client)
    (store,) = (out / WORK_FOLDER / "a").iterdir()
    chunk = sorted((store / "blocks" / "confidence" / "c").glob("*/*"))[0]
    content = bytearray(chunk.read_bytes())
    missing = expected.chunks - 5
    if damage == "flip":
        content[len(content) // 2] ^= 4
        chunk.write_bytes(content)
        missing += 1
    elif damage == "lose":
        chunk.unlink()
        missing += 1
    elif damage == "empty":  # as after a power cut
        chunk.write_bytes(b"")
        missing += 1
    elif damage == "metadata":
        (store / "blocks" / "class" / "zarr.json").write_text("{")
        missing = expected.chunks
    (outcome,) = map_all(scenes[:1], tiny_model, out, client)
    assert statuses([outcome]) == [("done", expected.chunks, missing)]
    assert contents(outcome.product) == contents(expected.product)
    assert names(out) == ["a"]


def test_chunks_are_taken_up_whatever_the_blocks_are_now(scenes, tiny_model, client, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        stop_after(2, patch)
        (failed,) = map_all(scenes[:1], tiny_model, out, client, block=16)
        assert failed.status == "failed"
    (outcome,) = map_all(scenes[:1], tiny_model, out, client, block=120, products=("confidence",))
    assert outcome.computed == outcome.chunks - 2
    assert "landcover.tif" not in names(outcome.product)


def test_a_block_that_is_damaged_before_it_is_published_is_an_error(
    scenes, tiny_model, client, tmp_path, monkeypatch
):
    out, real = tmp_path / "out", scene_run.write_files

    def damage(product, job, store, provenance):
        next((store.folder / "blocks" / "class" / "c").glob("*/*")).unlink()
        real(product, job, store, provenance)

    with monkeypatch.context() as patch:
        patch.setattr(scene_run, "write_files", damage)
        (outcome,) = map_all(scenes[:1], tiny_model, out, client)
    assert outcome.status == "failed"
    assert "damaged or gone" in str(outcome.error)
    assert not (out / "a").exists()
    (outcome,) = map_all(scenes[:1], tiny_model, out, client)
    assert (outcome.status, outcome.computed) == ("done", 1)


def test_an_interrupted_batch_goes_on(scenes, tiny_model, client, tmp_path):
    out = tmp_path / "out"
    whole = map_all(scenes, tiny_model, tmp_path / "whole", client)
    with pytest.raises(KeyboardInterrupt):
        map_all(scenes, tiny_model, out, client, Interrupt(14))
    assert not [name for name in names(out) if "partial" in name]
    time.sleep(0.5)  # what was in flight in this process is stored
    outcomes = map_all(scenes, tiny_model, out, client)
    assert {outcome.status for outcome in outcomes} <= {"done", "skipped"}
    assert sum(outcome.computed for outcome in outcomes) <= sum(outcome.chunks for outcome in whole) - 12
    for name in "abc":
        assert contents(out / name) == contents(tmp_path / "whole" / name)
    assert names(out) == ["a", "b", "c", "collection.json"]


RUN_BLOCK = scene_run.run_block
DELIVERED = []


def run_twice(work, block):
    RUN_BLOCK(work, block)
    RUN_BLOCK(work, block)
    DELIVERED.append((work, block))


def test_a_block_delivered_twice_changes_nothing(scenes, tiny_model, client, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(scene_run, "run_block", run_twice)
        (outcome,) = map_all(scenes[:1], tiny_model, out, client)
    (expected,) = map_all(scenes[:1], tiny_model, tmp_path / "once", client)
    assert contents(outcome.product) == contents(expected.product)
    with pytest.raises(GeodlError):  # delivered once more, after all is over
        RUN_BLOCK(*DELIVERED[0])
    assert names(out) == ["a"]


# Disks and folders.


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("place", ["block", "raster", "vector", "commit"])
def test_a_full_disk_is_an_error_and_the_older_product_stays(
    place, tiny_model, client, tmp_path, monkeypatch
):
    path, out = write_scene(tmp_path / "scene.tif", 130, 150), tmp_path / "out"
    map_all([path], tiny_model, out, client)
    older = contents(out / "scene")
    change_one_pixel(path, None, None)
    with monkeypatch.context() as patch:
        if place == "block":
            import zarr.storage._local as local

            patch.setattr(local, "_put", full)
        else:
            patch.setattr(*{
                "raster": ("rasterio.io.DatasetWriter.write", full),
                "vector": ("geodl.publish.vectors.pyogrio.raw.write", full),
                "commit": ("geodl.publish.product.flush", full),
            }[place])  # fmt: skip
        (outcome,) = map_all([path], tiny_model, out, client)
    assert outcome.status == "failed"
    assert isinstance(outcome.error, ProductError)
    assert "No space left" in str(outcome.error)
    assert contents(out / "scene") == older
    assert set(names(out)) <= {"scene", WORK_FOLDER}
    (outcome,) = map_all([path], tiny_model, out, client)
    assert outcome.status == "done"
    assert names(out) == ["scene"]


def test_an_output_that_cannot_be_written_is_refused_before_anything_is_computed(
    scenes, tiny_model, client, tmp_path, monkeypatch
):
    monkeypatch.setattr(scene_run, "process_block", lambda *_: pytest.fail("computed"))
    (tmp_path / "file").write_text("")
    outcomes = map_all(scenes, tiny_model, tmp_path / "file" / "out", client)
    assert {outcome.status for outcome in outcomes} == {"failed"}
    assert all("cannot be written" in str(outcome.error) for outcome in outcomes)
    with pytest.raises(ProductError, match="cannot be written"):
        Record(tmp_path / "file" / "out", {})


def test_an_output_folder_that_vanishes_is_an_error(scenes, tiny_model, client, tmp_path, monkeypatch):
    import shutil

    real = scene_run.process_block

    def vanish(job, block):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        return real(job, block)

    monkeypatch.setattr(scene_run, "process_block", vanish)
    (outcome,) = map_all(scenes[:1], tiny_model, tmp_path / "out", client)
    assert outcome.status == "failed"
    assert isinstance(outcome.error, GeodlError)
    assert str(tmp_path / "out") in str(outcome.error)


HOLD = """
import sys, time
from pathlib import Path
from geodl.store import held
with held(Path(sys.argv[1])):
    print("ready", flush=True)
    time.sleep(60)
"""


def test_the_store_of_another_process_is_respected(scenes, tiny_model, client, tmp_path):
    work = tmp_path / WORK_FOLDER / "a"
    other = subprocess.Popen([sys.executable, "-c", HOLD, work], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "ready\n"
        outcomes = map_all(scenes[:2], tiny_model, tmp_path, client)
    finally:
        other.kill()
        other.wait()
        other.stdout.close()
    assert [outcome.status for outcome in outcomes] == ["failed", "done"]
    assert "another run writes this product" in str(outcomes[0].error)
    assert [outcome.status for outcome in map_all(scenes[:2], tiny_model, tmp_path, client)] == [
        "done",
        "skipped",
    ]
    assert names(tmp_path) == ["a", "b", "collection.json"]


def test_two_scenes_of_one_name(scenes, tiny_model, client, tmp_path):
    twin = write_scene(tmp_path / "A.tif", 70, 80)
    outcomes = map_all([scenes[0], twin], tiny_model, tmp_path / "out", client)
    assert [outcome.status for outcome in outcomes] == ["done", "failed"]
    assert f"has the name of {scenes[0]}" in str(outcomes[1].error)


# The command, and its record.


def geodl_run(*arguments):
    return CliRunner().invoke(run, [str(argument) for argument in arguments])


@pytest.fixture
def workflow(tiny_model, tmp_path):
    path = tmp_path / "flow.yaml"
    path.write_text(f"model: {tiny_model.folder}\nrun: {{block: {BLOCK}}}\n")
    return path


def test_the_command_the_record_and_a_retry(workflow, scenes, tmp_path):
    folder, out = tmp_path / "scenes", tmp_path / "out"
    folder.mkdir()
    for file in scenes[:2]:
        (folder / Path(file).name).write_bytes(Path(file).read_bytes())
    (folder / "bad.tif").write_bytes(b"II*\0 not a tiff")
    done = geodl_run(workflow, folder / "*.tif", "--out", out)
    assert done.exit_code == 1, done.output
    assert "3 scenes: 2 done, 0 skipped, 1 failed" in done.output
    assert "[3/3] done b" in done.output
    record = json.loads((out / RECORD).read_text())
    assert record["status"] == "complete"
    assert record["counts"] == {"done": 2, "skipped": 0, "failed": 1}
    rows = {row["name"]: row for row in record["scenes"]}
    assert rows["a"]["chunks"] == rows["a"]["computed"] > 4
    assert rows["a"]["product"] == "a"
    assert "bad.tif" in rows["bad"]["error"]["what"]

    (folder / "bad.tif").unlink()
    write_scene(folder / "bad.tif", 130, 150, seed=9)
    (out / "a" / "landcover.tif").unlink()  # a retry leaves it alone
    done = geodl_run(workflow, folder / "*.tif", "--out", out, "--retry-failed")
    assert done.exit_code == 0, done.output
    assert "1 scenes: 1 done" in done.output
    assert not (out / "a" / "landcover.tif").exists()
    assert json.loads((out / RECORD).read_text())["counts"] == {"done": 3, "skipped": 0, "failed": 0}
    assert (
        "none of these scenes failed"
        in geodl_run(workflow, folder / "*.tif", "--out", out, "--retry-failed").output
    )

    done = geodl_run(workflow, folder / "*.tif", "--out", out)
    assert done.exit_code == 0
    assert "3 scenes: 1 done, 2 skipped, 0 failed" in done.output
    row = next(row for row in json.loads((out / RECORD).read_text())["scenes"] if row["name"] == "b")
    assert (row["status"], row["chunks"]) == ("skipped", rows["b"]["chunks"])
    assert names(out) == ["a", "b", "bad", "collection.json", RECORD]


def test_a_record_that_is_not_ours_is_left_alone(tmp_path):
    (tmp_path / RECORD).write_text('{"scripts": {}}')
    with pytest.raises(ProductError, match=r"run\.json"):
        Record(tmp_path, {})
    assert (tmp_path / RECORD).read_text() == '{"scripts": {}}'


def test_a_stopped_run_says_so_in_its_record(tmp_path):
    record = Record(tmp_path / "out", {"workflow": {}})
    error = SceneError("scene x", "is broken", "mend it")
    record.finished(0, Outcome(name="x", sources=("x",), status="failed", error=error))
    record.close()
    told = json.loads((tmp_path / "out" / RECORD).read_text())
    assert told["status"] == "stopped"
    assert told["scenes"][0]["error"] == {"what": "scene x", "cause": "is broken", "remedy": "mend it"}
    assert failed_sources(tmp_path / "out") == {("x",)}
    assert names(tmp_path / "out") == [RECORD]


# Clusters of processes.


@pytest.fixture
def quick_workers(forks):  # noqa: F811 - a fixture
    """Worker processes are forked from one that has loaded torch."""
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        yield


@pytest.fixture
def cluster(quick_workers):
    import distributed

    with (
        # At the first death of its worker a block is given up: the default of three takes its time.
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=None, silence_logs="CRITICAL"
        ) as cluster,
    ):
        yield cluster


def test_a_block_that_kills_its_worker_is_named_and_other_scenes_go_on(cluster):
    with connect(cluster.scheduler_address) as client:
        runs = [Counting("a", 3, kill_worker), Counting("b", 2)]
        outcomes = run_batch([entry_of(found) for found in runs], client)
    assert outcomes[0].status == "failed"
    assert "killed its worker" in str(outcomes[0].error)
    assert "rows 0 to 9, columns 20 to 29" in str(outcomes[0].error)
    # The dead worker's queue holds blocks of the next scene too.
    assert outcomes[1].status in ("done", "failed")


class CloseCluster(Watch):
    def __init__(self, cluster):
        self.cluster = cluster

    def advanced(self, number, run, done):
        if done == 2:
            self.cluster.close()


def test_a_scheduler_that_goes_ends_the_run_with_an_error(cluster):
    with (
        pytest.raises(GeodlError, match="connection to it is lost"),
        connect(cluster.scheduler_address) as client,
    ):
        run_batch([entry_of(Counting("a", 50, pause))], client, [CloseCluster(cluster)])


def pause(name, block):
    time.sleep(0.05)


def test_a_scheduler_without_workers_is_refused():
    import distributed

    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None) as empty,
        pytest.raises(OptionError, match="had no worker"),
        connect(empty.scheduler_address, patience=1),
    ):
        pass


class KillAWorker(Watch):
    """Kills one of the workers as soon as some blocks are done."""

    def __init__(self, cluster, after):
        self.cluster, self.after, self.killed = cluster, after, 0

    def advanced(self, number, run, done):
        if done >= self.after and not self.killed:
            self.killed = next(iter(self.cluster.workers.values())).pid
            os.kill(self.killed, signal.SIGKILL)


def test_a_killed_worker_costs_nothing_but_time(quick_workers, tiny_model, client, tmp_path):
    import distributed

    files = [str(write_scene(tmp_path / f"{n}.tif", 240, 240, seed=n)) for n in range(2)]
    expected = map_all(files, tiny_model, tmp_path / "expected", client, block=1)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs="CRITICAL"
        ) as cluster,
        connect(cluster.scheduler_address) as remote,
    ):
        killer = KillAWorker(cluster, 6)
        outcomes = map_all(files, tiny_model, tmp_path / "out", remote, killer, block=1)
    assert killer.killed
    assert statuses(outcomes) == statuses(expected)
    for ours, theirs in zip(outcomes, expected, strict=True):
        assert contents(ours.product) == contents(theirs.product)
    assert names(tmp_path / "out") == ["0", "1", "collection.json"]


def test_a_worker_that_does_not_see_the_files_says_so(scenes, tiny_model, client, tmp_path, monkeypatch):
    # A worker with another file system finds nothing at the path.
    def elsewhere(work):
        work.job.scene.attrs["source"] = ("/mnt/elsewhere/a.tif",)
        real(work)

    real = scene_run._refuse_missing
    monkeypatch.setattr(scene_run, "_refuse_missing", elsewhere)
    (outcome,) = map_all(scenes[:1], tiny_model, tmp_path, client)
    assert "not there for the worker on" in str(outcome.error)
    assert "same paths" in str(outcome.error)


def test_a_block_that_kills_three_workers_under_the_default_of_dask(quick_workers):
    import distributed

    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs="CRITICAL"
        ) as cluster,
        connect(cluster.scheduler_address) as client,
    ):
        (outcome,) = run_batch([entry_of(Counting("a", 3, kill_worker))], client)
    assert "columns 20 to 29" in str(outcome.error)


def test_no_data_blocks_are_stored_like_others(tiny_model, client, tmp_path, monkeypatch):
    import rasterio

    path = write_scene(tmp_path / "scene.tif", 130, 150)
    with rasterio.open(path, "r+") as file:
        file.write(np.zeros((3, 130, 150), "uint16"))
    with monkeypatch.context() as patch:
        stop_after(5, patch)
        map_all([path], tiny_model, tmp_path / "out", client)
    (outcome,) = map_all([path], tiny_model, tmp_path / "out", client)
    assert outcome.computed == outcome.chunks - 5
