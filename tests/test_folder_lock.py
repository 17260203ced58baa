"""A place has one holder at a time, whatever ends the holder."""

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from geodl.folder_lock import take


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_place_has_one_holder_and_leaves_nothing_behind(tmp_path):
    place = tmp_path / "new" / "scene"
    with take(place) as lock:
        assert lock is not None
        assert take(place) is None
        assert names(place.parent) == [".scene.lock"], "beside the place, which need not exist"
        other = take(place.with_name("other"))
        assert other is not None
        other.free()
    assert names(place.parent) == []
    with take(place):
        assert take(place) is None


def test_a_hidden_place_is_not_the_place_of_that_name(tmp_path):
    (tmp_path / ".m.training").mkdir()
    with take(tmp_path / ".m.training"), take(tmp_path / "m") as other:
        assert other is not None
    assert names(tmp_path) == [".m.training"]


def test_a_folder_can_be_renamed_into_its_place_while_it_is_held(tmp_path):
    with take(tmp_path / "scene"):
        (tmp_path / "made").mkdir()
        (tmp_path / "made").rename(tmp_path / "scene")
        assert take(tmp_path / "scene") is None
    assert names(tmp_path) == ["scene"]
    assert names(tmp_path / "scene") == []


HOLD = """
import sys, time
from pathlib import Path
from geodl.folder_lock import take
with take(Path(sys.argv[1])):
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_process_that_dies_frees_its_place(tmp_path):
    place = tmp_path / "scene"
    run = subprocess.Popen([sys.executable, "-c", HOLD, place], stdout=subprocess.PIPE, text=True)
    try:
        assert run.stdout.readline() == "ready\n"
        assert take(place) is None
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
        run.stdout.close()
    assert names(tmp_path) == [".scene.lock"]
    with take(place) as lock:
        assert lock is not None
    assert names(tmp_path) == []


def test_many_threads_that_come_and_go(tmp_path):
    inside, most, refused = [], [], []

    def come_and_go(number):
        for _ in range(40):
            lock = take(tmp_path / "work" / "scene")
            if lock is None:
                refused.append(number)
                continue
            with lock:
                inside.append(number)
                most.append(len(inside))
                time.sleep(0.0002)
                inside.remove(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(come_and_go, range(8)))
    assert max(most) == 1
    assert len(most) + len(refused) == 320
    assert names(tmp_path / "work") == []


def test_a_file_that_was_removed_between_opening_and_locking_does_not_count(tmp_path, monkeypatch):
    from geodl import folder_lock

    real, held = folder_lock.lock_descriptor, []
    first = take(tmp_path / "scene")

    def lock_late(handle, *, blocking):
        if not held:
            held.append(None)
            first.free()  # this handle is now that of a file that nobody else can find
            held[0] = take(tmp_path / "scene")
        return real(handle, blocking=blocking)

    monkeypatch.setattr(folder_lock, "lock_descriptor", lock_late)
    assert take(tmp_path / "scene") is None
    held[0].free()
    assert names(tmp_path) == []


@pytest.mark.parametrize("keeps_open_files", [True, False])
def test_where_open_files_cannot_be_removed_they_go_when_they_are_closed(
    tmp_path, monkeypatch, keeps_open_files
):
    lock, unlink, tried = take(tmp_path / "scene"), Path.unlink, []

    def refuse_once(path, **options):
        tried.append(path)
        if keeps_open_files and len(tried) == 1:
            raise PermissionError(13, "it is open")
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", refuse_once)
    lock.free()
    assert len(tried) == 1 + keeps_open_files
    assert names(tmp_path) == []


def test_a_folder_that_vanished_is_no_error(tmp_path):
    place = tmp_path / "out" / "scene"
    with take(place):
        (place.parent / ".scene.lock").unlink()
        place.parent.rmdir()
    assert names(tmp_path) == []


def test_a_place_in_a_file_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        take(tmp_path / "file" / "scene")
