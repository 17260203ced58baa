"""Finished chunks on disk: found again by key, complete or absent.

A store is a Zarr v3 group, each chunk with its CRC-32C, and a ledger of empty files that name the chunks
of which all variables are written. Its folder name holds a hash of
everything the result depends on, so that blocks of another input, model or option are never taken up.

A mark in the ledger is not trusted after a restart: `BlockStore.verify` reads every chunk back and
strikes out what is missing or damaged. That also covers a power cut, after which a mark may be on the
disk and its chunks not, so that no worker ever waits for the disk to flush a block.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.errors import BaseZarrError

from geodl.errors import ProductError
from geodl.folder_lock import take
from geodl.tiles import Window

NODATA = 255
WORK_FOLDER = ".geodl-work"  # in the folder of products: what unfinished ones are made of
_SAMPLES, _SAMPLE_BYTES = 16, 65536
_READERS = 4  # threads that read chunks back
# Checksums are ValueErrors, a missing array is a KeyError, what Zstandard cannot read a RuntimeError.
_ZARR_ERRORS = (OSError, ValueError, KeyError, RuntimeError)


def quantise(probability: np.ndarray) -> np.ndarray:
    """Probabilities 0..1 as whole percent (uint8); NaN becomes 255.

    >>> quantise(np.array([0.0, 0.994, np.nan]))
    array([  0,  99, 255], dtype=uint8)
    """
    percent = np.rint(probability * np.float32(100))
    np.copyto(percent, NODATA, where=np.isnan(percent))
    return percent.astype(np.uint8)


def identify(path: str | Path) -> dict[str, Any]:
    """Name, size and a content sample of an input file.

    The sample is the SHA-256 of 16 pieces of 64 KiB spread over the file, first and last included:
    enough to notice another file of the same name and size without reading terabytes.
    """
    path = Path(path)
    size = path.stat().st_size
    starts = {round(i * max(0, size - _SAMPLE_BYTES) / (_SAMPLES - 1)) for i in range(_SAMPLES)}
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for start in sorted(starts):
            file.seek(start)
            digest.update(file.read(_SAMPLE_BYTES))
    return {"name": path.name, "bytes": size, "sample_sha256": digest.hexdigest()}


def key_of(description: dict[str, Any]) -> str:
    """Return 32 hexadecimal digits that stand for a JSON-able description."""
    text = json.dumps(description, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class BlockStore:
    """Layers of the chunks of one run, the class as it is, the others in whole percent.

    Parameters
    ----------
    folder : pathlib.Path
        Created by `create`; removed by whoever publishes the product.
    height, width : int
        Size of the scene in pixels.
    chunk : tuple of int
        Height and width of a chunk in pixels; those at the scene's border are smaller.
    layers : tuple of str
        What is kept, of `geodl.task.LAYERS`.
    classes : int
        Number of bands of ``probability``.
    """

    folder: Path
    height: int
    width: int
    chunk: tuple[int, int]
    layers: tuple[str, ...]
    classes: int

    @property
    def _ledger(self) -> Path:
        return self.folder / "done"

    @property
    def _variables(self) -> dict[str, tuple[int, ...]]:
        """Names of the arrays and their dimensions before (y, x)."""
        return {layer: (self.classes,) if layer == "probability" else () for layer in self.layers}

    def create(self) -> None:
        """Make the store, or take up the one that is there."""
        if self._ledger.is_dir() and self._opens():
            return
        if self.folder.exists():
            shutil.rmtree(self.folder)
        group = zarr.create_group(self.folder / "blocks")
        for name, lead in self._variables.items():
            group.create_array(
                name,
                shape=(*lead, self.height, self.width),
                chunks=(*lead, *self.chunk),
                dtype="uint8",
                fill_value=NODATA,
                compressors=(ZstdCodec(level=1), Crc32cCodec()),
            )
        self._ledger.mkdir()

    def _opens(self) -> bool:
        try:
            group = zarr.open_group(self.folder / "blocks", mode="r")
            return all(group[name].chunks[-2:] == self.chunk for name in self._variables)  # type: ignore[union-attr]
        except _ZARR_ERRORS:
            return False

    def done(self) -> set[tuple[int, int]]:
        """Positions (row, column) of the chunks that the ledger names.

        Raises
        ------
        ProductError
            If the folder has gone.
        """
        try:
            return {tuple(map(int, mark.name.split("-"))) for mark in self._ledger.iterdir()}  # type: ignore[misc]
        except OSError as error:
            raise ProductError(str(self.folder), f"cannot be read ({error})", "run it again") from error

    def is_empty(self) -> bool:
        """Whether no chunk is done, or the store has gone."""
        return not self._ledger.is_dir() or not self.done()

    def verify(self) -> set[tuple[int, int]]:
        """Read the chunks of the ledger back, strike out those that are damaged, and return the others."""
        marked = sorted(self.done())
        with ThreadPoolExecutor(_READERS) as pool:
            whole = list(pool.map(self._is_whole, marked))
        for (row, col), is_whole in zip(marked, whole, strict=True):
            if not is_whole:
                (self._ledger / f"{row}-{col}").unlink()
        return {position for position, is_whole in zip(marked, whole, strict=True) if is_whole}

    def _is_whole(self, position: tuple[int, int]) -> bool:
        row, col = (index * side for index, side in zip(position, self.chunk, strict=True))
        window = Window(row, col, *self.chunk).intersect(Window(0, 0, self.height, self.width))
        try:
            for name in self._variables:
                self.read(name, window)
        except ProductError:
            return False
        return True

    def write(self, window: Window, arrays: dict[str, np.ndarray]) -> None:
        """Write the chunk over a window, complete or absent, then enter it in the ledger.

        A chunk that is delivered twice is replaced by an equal one, also while it is read.

        Raises
        ------
        ProductError
            If the disk is full, or the folder has gone.
        """
        try:
            group = zarr.open_group(self.folder / "blocks", mode="r+")
            for name, array in arrays.items():
                # A chunk of nothing but no data is written as well: an absent one is a lost one.
                target = group[name].with_config({"write_empty_chunks": True})  # type: ignore[union-attr]
                target[(..., *window.slices)] = array
            (self._ledger / f"{window.row // self.chunk[0]}-{window.col // self.chunk[1]}").touch()
        except (OSError, BaseZarrError) as error:
            raise ProductError(
                str(self.folder),
                f"a finished chunk cannot be kept ({error})",
                "make room or choose another --out, and run it again",
            ) from error

    def read(self, name: str, window: Window) -> np.ndarray:
        """Read a window of a layer: (y, x), ``probability`` (class, y, x).

        Raises
        ------
        ProductError
            If a chunk of it is missing or damaged.
        """
        try:
            self._refuse_missing(name, window)
            group = zarr.open_group(self.folder / "blocks", mode="r")
            return np.asarray(group[name][(..., *window.slices)])  # type: ignore[index]
        except _ZARR_ERRORS as error:
            raise ProductError(
                str(self.folder),
                f"a finished chunk is damaged or gone ({error})",
                "run it again: that chunk is computed anew",
            ) from error

    def _refuse_missing(self, name: str, window: Window) -> None:
        """Zarr reads absent chunks as no data: a hole in the map."""
        if not (window.height and window.width):
            return
        leading = "0/" if name == "probability" else ""
        for row in range(window.row // self.chunk[0], (window.row_stop - 1) // self.chunk[0] + 1):
            for col in range(window.col // self.chunk[1], (window.col_stop - 1) // self.chunk[1] + 1):
                chunk = self.folder / "blocks" / name / "c" / f"{leading}{row}" / str(col)
                if not chunk.exists():
                    raise FileNotFoundError(f"no {chunk.relative_to(self.folder)}")

    def remove(self) -> None:
        """Delete the store."""
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def held(folder: Path) -> Iterator[Path]:
    """Make a folder and hold it against other processes; at the end it goes if nothing is left in it.

    Raises
    ------
    ProductError
        If another process holds it, or it cannot be made.
    """
    with ExitStack() as stack:
        try:
            lock = take(folder)
            if lock is not None:
                stack.callback(_remove_if_empty, folder.parent)  # unless other scenes are in it
                stack.enter_context(lock)
                folder.mkdir(exist_ok=True)
                stack.callback(_remove_if_empty, folder)  # unless blocks are left that a rerun takes up
        except OSError as error:
            raise ProductError(str(folder), f"cannot be written ({error})", "choose another --out") from error
        if lock is None:
            raise ProductError(
                str(folder), "another run writes this product", "wait for it or choose another --out"
            )
        yield folder


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
