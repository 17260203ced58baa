"""Files that appear complete or not at all, and what their errors say."""

import hashlib
import os
import re
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pyogrio.errors import DataLayerError, DataSourceError
from rasterio._err import CPLE_BaseError  # GDAL's own errors, which are not all turned into RasterioError
from rasterio.errors import RasterioError

from geodl.errors import ProductError

WRITE_ERRORS = (OSError, RasterioError, CPLE_BaseError, DataSourceError, DataLayerError, sqlite3.Error)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an error of the disk or of GDAL into one that names the file and the free space.

    Raises
    ------
    ProductError
    """
    try:
        yield
    except WRITE_ERRORS as error:
        raise ProductError(
            str(published(path)),
            f"cannot be written: {error}",
            f"{free_space(path.parent)}: make room or change --out",
        ) from error


def free_space(folder: Path) -> str:
    """How much room there is: ``"12.3 GB free in /data/out"``."""
    existing = next((place for place in (folder, *folder.parents) if place.exists()), Path("/"))
    return f"{shutil.disk_usage(existing).free / 1e9:.1f} GB free in {published(folder)}"


def unfinished(path: Path) -> Path:
    """Hidden path beside `path` for what is to become it; its own for each process and file.

    It holds the whole name, so that ``map.tif`` and ``map.gpkg`` can be written at the same time.
    """
    return path.with_name(f".{path.name}.partial-{os.getpid()}{path.suffix}")


def published(path: Path) -> Path:
    """Path that an unfinished one will have, which is the one that users know.

    >>> published(Path("out/.scene.partial-41/.map.tif.partial-41.tif")).as_posix()
    'out/scene/map.tif'
    """
    return Path(*(re.sub(r"^\.(.*)\.partial-\d+(\.[^.]*)?$", r"\1", part) for part in path.parts))


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Give a path to write to, in the same folder; at the end it is flushed and renamed to `path`.

    On an error whatever was written is removed, sidecars included, and `path` stays what it was.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    beside = unfinished(path)
    try:
        yield beside
        with writing(path):
            flush(beside)
            beside.replace(path)
            flush(path.parent)
    finally:
        for leftover in path.parent.glob(f"{_literal(beside.stem)}*"):
            with suppress(OSError):  # a file that cannot be removed must not hide the error on its way
                leftover.unlink()


def _literal(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def flush(path: Path) -> None:
    """Have the system write a file or a folder's entries to the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open folders
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """Hash of a file's content, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def refuse_overwrite(inputs: Iterable[str | Path], out: str | Path) -> None:
    """Refuse an output that is one of the inputs or a folder that holds one.

    Raises
    ------
    ProductError
        Naming the input.
    """
    target = Path(out).resolve()
    for source in inputs:
        place = Path(source).resolve()
        same = target.exists() and place.exists() and target.samefile(place)
        if same or target == place or target in place.parents:
            raise ProductError(str(out), f"would overwrite the input {source}", "choose another --out")
