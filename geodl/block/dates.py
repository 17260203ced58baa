"""Which date holds no data, where a change map has no class."""

from collections.abc import Iterator

import numpy as np

from geodl.block.job import Job, Piece
from geodl.models.spec import NODATA_CLASS
from geodl.scene.pair import valid_dates
from geodl.task import NO_AFTER, NO_BEFORE, TASKS

ROWS = 256  # read at a time


def told_apart(job: Job, pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Say of each pixel without a class which date is to blame; maps of one date pass unchanged.

    Pixels are read again, but only of rows that have such pixels.
    """
    if TASKS[job.model.spec.task].dates != 2:
        yield from pieces
        return
    for piece in pieces:
        _tell(job, piece)
        yield piece


def _tell(job: Job, piece: Piece) -> None:
    classes, window = piece.layers["class"], piece.chunk.window
    for top in range(0, window.height, ROWS):
        rows = classes[top : top + ROWS]
        missing = rows == NODATA_CLASS
        if not missing.any():
            continue
        down = slice(window.row + top, window.row + top + len(rows))
        part = job.scene.isel(y=down, x=window.slices[1]).compute(scheduler="synchronous")
        before, after = valid_dates(part).values()
        rows[missing] = np.select(
            [~before & after, before & ~after], [NO_BEFORE, NO_AFTER], NODATA_CLASS
        ).astype(rows.dtype)[missing]
