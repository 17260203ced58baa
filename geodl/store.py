"""Finished blocks on disk: found again by key, complete or absent.

A store is a Zarr v3 group with one chunk per block and variable, each chunk with its CRC-32C, and a
ledger of empty files that name the blocks whose chunks are written. Its folder name holds a hash of
everything the result depends on, so that blocks of another input, model or option are never taken up.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec

from geodl.tiles import Block, Window

NODATA = 255
_SAMPLES, _SAMPLE_BYTES = 16, 65536


def quantise(probability: np.ndarray) -> np.ndarray:
    """Probabilities 0..1 as whole percent (uint8); NaN becomes 255.

    >>> quantise(np.array([0.0, 0.994, np.nan]))
    array([  0,  99, 255], dtype=uint8)
    """
    percent = np.rint(probability * 100)
    return np.where(np.isnan(percent), NODATA, percent).astype(np.uint8)


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
    """Class, confidence and probability of the blocks of one run.

    Parameters
    ----------
    folder : pathlib.Path
        Created by `create`; removed by `remove` once the product is published.
    height, width : int
        Size of the scene in pixels.
    chunk : tuple of int
        Height and width of the first block, in pixels: each block is one chunk.
    classes : int
        Number of probability bands; 0 if probabilities are not kept.
    """

    folder: Path
    height: int
    width: int
    chunk: tuple[int, int]
    classes: int = 0

    @property
    def _ledger(self) -> Path:
        return self.folder / "done"

    def create(self) -> None:
        """Make the store, or take up the one that is there."""
        if self._ledger.is_dir():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        group = zarr.create_group(self.folder / "blocks")
        shape = (self.height, self.width)
        for name, lead in (("class", ()), ("confidence", ()), ("probability", (self.classes,))):
            if 0 not in lead:
                group.create_array(
                    name,
                    shape=(*lead, *shape),
                    chunks=(*lead, *self.chunk),
                    dtype="uint8",
                    fill_value=NODATA,
                    compressors=(ZstdCodec(level=1), Crc32cCodec()),
                )
        self._ledger.mkdir()

    def done(self) -> set[tuple[int, int]]:
        """Positions (row, column) of the blocks whose chunks are complete."""
        return {tuple(map(int, mark.name.split("-"))) for mark in self._ledger.iterdir()}  # type: ignore[misc]

    def write(self, block: Block, arrays: dict[str, np.ndarray]) -> None:
        """Write the chunks of a block, then enter it in the ledger."""
        group = zarr.open_group(self.folder / "blocks", mode="r+")
        for name, array in arrays.items():
            group[name][(..., *block.window.slices)] = array  # type: ignore[index]
        (self._ledger / f"{block.row}-{block.col}").touch()

    def read(self, name: str, window: Window) -> np.ndarray:
        """Read a window of ``class``, ``confidence`` (y, x) or ``probability`` (class, y, x)."""
        group = zarr.open_group(self.folder / "blocks", mode="r")
        return np.asarray(group[name][(..., *window.slices)])  # type: ignore[index]

    def remove(self) -> None:
        """Delete the store."""
        shutil.rmtree(self.folder, ignore_errors=True)
