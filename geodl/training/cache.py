"""Decoded scenes on disk, kept from run to run, found again by what they were decoded from.

An entry is a folder. It is made under another name and renamed when it is whole, so that a process
that is killed leaves no half entry that a later one would take for a whole one. Makers hold a lock on
what they make: what nobody holds is debris and is swept away.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from geodl.errors import ProductError

_CONTENTS = "contents.json"
_MAKING = ".making-"
_LOCK = ".lock"
_ADDED = (".aux.xml", ".msk", ".ovr", "-wal")
_REPLACED = (
    ".tfw", ".tifw", ".wld", ".tab", ".jgw", ".pgw", ".j2w", ".jpgw", ".pngw", ".jpw",
    ".prj", ".dbf", ".shx", ".cpg",
)  # fmt: skip


def key_of(parts: Any) -> str:
    """Name an entry after what it depends on: plain values, written as JSON and hashed."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def identity_of(path: Path) -> list[tuple[str, int, int]]:
    """Path, size and time of change (ns) of a file and of those that GDAL reads with it.

    Masks, world files and the parts of a shapefile decide on the pixels as the file itself does.
    """
    beside = [path.with_name(path.name + suffix) for suffix in _ADDED]
    beside += [path.with_suffix(suffix) for suffix in _REPLACED]
    found = []
    for file in (path, *beside):
        if file == path or file.is_file():
            status = file.stat()
            found.append((str(file.resolve()), status.st_size, status.st_mtime_ns))
    return found


class SceneCache:
    """A folder of entries; several processes may use it at the same time.

    Parameters
    ----------
    root : Path
        Made where it does not exist.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        _sweep(root)

    def entry(self, key: str, make: Callable[[Path], None]) -> Path:
        """Return the folder of an entry, made by `make` where there is no whole one.

        Parameters
        ----------
        key : str
            From `key_of`.
        make : callable
            Called with an empty folder to fill; if it raises, nothing is left of the entry.
        """
        place = self.root / key
        if _is_whole(place):
            return place
        shutil.rmtree(place, ignore_errors=True)
        with _made(self.root) as making:
            make(making)
            _seal(making)
            _publish(making, place)
        return place


@contextmanager
def _made(root: Path) -> Iterator[Path]:
    """Yield a new folder that is held while it is used, and removed unless it was renamed."""
    # Not by `mkdtemp`, whose folders nobody else may read: a cache can be shared.
    folder = root / f"{_MAKING}{uuid.uuid4().hex}"
    lock = folder.with_name(folder.name + _LOCK)
    try:
        with FileLock(lock):  # before the folder is there: without the lock it would be debris
            folder.mkdir()
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.unlink(missing_ok=True)


def _sweep(root: Path) -> None:
    """Remove the folders that processes which no longer live have made."""
    for held in root.glob(f"{_MAKING}*{_LOCK}"):
        try:
            with FileLock(held, blocking=False):
                shutil.rmtree(root / held.name.removesuffix(_LOCK), ignore_errors=True)
            held.unlink(missing_ok=True)
        except (Timeout, OSError):
            continue  # somebody uses it, or has just finished


def _seal(folder: Path) -> None:
    """Bring the files to the disk and list their sizes."""
    sizes = {}
    for file in sorted(p for p in folder.iterdir() if p.is_file()):
        _flush(file)
        sizes[file.name] = file.stat().st_size
    contents = folder / _CONTENTS
    contents.write_text(json.dumps(sizes))
    _flush(contents)


def _flush(file: Path) -> None:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def _publish(making: Path, place: Path) -> None:
    try:
        making.rename(place)
    except OSError:
        # Another process was faster; its entry is the same.
        if not _is_whole(place):
            raise


def _is_whole(place: Path) -> bool:
    try:
        sizes = json.loads((place / _CONTENTS).read_text())
        return all((place / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Where a run keeps its samples.

    Parameters
    ----------
    run : Path
        A folder of this process alone, removed when it ends.
    scenes : SceneCache
        Decoded scenes.
    """

    run: Path
    scenes: SceneCache


@contextmanager
def open_storage(folder: Path, cache: Path | None = None) -> Iterator[Storage]:
    """Make room for the samples of a run.

    Parameters
    ----------
    folder : Path
        Where the run keeps what it would go on from. Decoded scenes stay in it as long as there is
        something to go on from.
    cache : Path, optional
        Keeps the decoded scenes instead, for all runs that name it.

    Raises
    ------
    ProductError
        The cache cannot be written.
    """
    from geodl.training.checkpoint import STATE_FILE  # it loads torch, which decoding does not need

    root = folder / "scenes" if cache is None else cache
    try:
        scenes = SceneCache(root)
    except OSError as error:
        raise ProductError(
            f"cache {root}", f"cannot be written ({error.strerror})", "choose another folder with --cache"
        ) from error
    _sweep(folder)
    try:
        with _made(folder) as run:
            yield Storage(run=run, scenes=scenes)
    finally:
        if cache is None and not (folder / STATE_FILE).is_file():
            shutil.rmtree(root, ignore_errors=True)
