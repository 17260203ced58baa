"""Tiles cut out of a scene, in groups that go through the network together."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from geodl.block.job import Job
from geodl.errors import GeodlError
from geodl.forward import Tiles
from geodl.pixels import RowReader


@dataclass(frozen=True, kw_only=True)
class Group:
    """Tiles that go through the network together.

    Parameters
    ----------
    positions : list of tuple
        Row and column of each tile in the lattice.
    tiles : Tiles
        What the network is to see.
    """

    positions: list[tuple[int, int]]
    tiles: Tiles

    @property
    def place(self) -> str:
        """Where the first tile lies, for messages."""
        row, column = self.positions[0]
        return f"tile at row {row}, column {column}"


def groups(job: Job, reader: RowReader, positions: list[tuple[int, int]]) -> Iterator[Group]:
    """Cut tiles out of the rows that are loaded."""
    for start in range(0, len(positions), job.batch):
        group = positions[start : start + job.batch]
        cuts = [reader.cut(job.lattice.tile_window(*position)) for position in group]
        pixels, valid = (np.stack(arrays) for arrays in zip(*cuts, strict=True))
        yield Group(positions=group, tiles=Tiles(pixels=pixels, valid=valid, scaling=job.scaling))


def reader_of(job: Job, positions: list[tuple[int, int]]) -> RowReader:
    """Return a reader of the columns that tiles, in row-major order, see."""
    first, last = (job.lattice.tile_window(*positions[i]) for i in (0, -1))
    return RowReader(job.scene, first.col, last.col_stop)


@contextmanager
def named(job: Job, place: str) -> Iterator[None]:
    """Say in errors of the device where they happened."""
    try:
        yield
    except GeodlError as error:
        where = f"scene {job.scene.name}, {place}"
        raise GeodlError(where, f"{error.what}: {error.cause}", error.remedy) from error
