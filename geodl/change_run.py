"""One pair of a run that finds change without a model: measured and published in one go."""

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import xarray as xr

from geodl.changes import ChangeOptions, find_changes
from geodl.changes.find import is_there
from geodl.publish import safe_name
from geodl.tiles import Block


class ChangeRun:
    """A pair of dates in a batch; implements `geodl.batch.SceneRun` without blocks for workers."""

    chunks = 1
    todo: Sequence[Block] = ()

    def __init__(self, pair: xr.DataArray, out: Path, options: ChangeOptions) -> None:
        self.pair, self.out, self.options = pair, out, options
        self.name, self.pixels = str(pair.name), pair.sizes["y"] * pair.sizes["x"]

    def size(self, block: Block) -> int:  # noqa: ARG002 - there are none
        """Return the number of chunks in a block."""
        return self.chunks

    def task(self, block: Block) -> tuple[Callable[..., None], Any]:
        """Refuse: there are no blocks."""
        raise NotImplementedError(f"{block}: pairs without a model are not cut into blocks")

    def stored(self) -> int:
        """Return the number of chunks that are stored: all that there are."""
        return self.chunks

    def publish(self, stop: Event) -> Path:
        """Find what changed and publish it."""
        return find_changes(self.pair, self.out, self.options, stop=stop).folder

    def close(self) -> None:
        """Nothing is left open."""


def prepare_pair(pair: xr.DataArray, out: Path, options: ChangeOptions) -> ChangeRun | Path:
    """Return what finds the change between two dates, or the product that is there already."""
    final = out / safe_name(str(pair.name))
    return final if is_there(final, pair, options) else ChangeRun(pair, out, options)
