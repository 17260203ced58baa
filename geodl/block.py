"""One block of a scene: read, normalise, forward, stitch - all that a worker computes, wherever it is.

Reading, computing and what is done with the results overlap: each of the three runs in a thread of its
own, one row of cells ahead of the next.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from geodl import stitch
from geodl.ahead import ahead
from geodl.errors import GeodlError
from geodl.match import Scaling, scaling_of
from geodl.models.bundle import Model
from geodl.models.spec import NODATA_CLASS
from geodl.pixels import RowReader
from geodl.tiles import Block, Lattice, Window

if TYPE_CHECKING:
    from geodl.forward import Forward, Scores, Tiles


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything a worker needs to compute any block of one scene.

    Parameters
    ----------
    scene : xarray.DataArray
        Lazy, dims (band, y, x), bands in the order of the model.
    model : Model
        What to run; the network itself is loaded once per worker process.
    device : str
        ``"cpu"`` or ``"cuda"``, resolved.
    precision : str
        ``"fp32"`` or ``"bf16"``, resolved.
    batch : int
        Tiles per forward pass on a GPU; changes speed and memory only.
    tile : int
        Largest side of a tile, pixels.
    probabilities : bool
        Whether pieces carry the probability of every class.
    phase : tuple of int
        Shift of the lattice, see `Lattice`.
    """

    scene: xr.DataArray
    model: Model
    device: str
    precision: str
    batch: int
    tile: int
    probabilities: bool = False
    phase: tuple[int, int] = (0, 0)

    @cached_property
    def lattice(self) -> Lattice:
        """The tiles over the scene."""
        spec, size = self.model.spec, (self.scene.sizes["y"], self.scene.sizes["x"])
        core = (self.tile - 2 * spec.halo,) * 2
        if spec.stitch == "blend":  # the network looks at the whole tile, whose size matters
            lattice = Lattice(*size, core, spec.halo)
        else:
            lattice = Lattice.even(*size, core=core, halo=spec.halo, stride=spec.stride)
        rows, cols = self.phase
        return replace(lattice, phase=(rows % lattice.core[0], cols % lattice.core[1]))

    @cached_property
    def scaling(self) -> Scaling:
        """From the scene's digital numbers to the input of the network."""
        return scaling_of(self.scene, self.model.spec)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """The map over one chunk of the lattice.

    Parameters
    ----------
    chunk : Block
        Which cells.
    classes : numpy.ndarray
        uint8 class values, shape (height, width); 255 where the scene is not valid.
    confidence : numpy.ndarray
        float32 probability of that class; NaN where the scene is not valid.
    probability : numpy.ndarray or None
        float32, shape (classes, height, width), if the job asks for it.
    """

    chunk: Block
    classes: np.ndarray
    confidence: np.ndarray
    probability: np.ndarray | None

    def hide(self, valid: np.ndarray) -> None:
        """Mark as no data where `valid`, bool of shape (height, width), is not true."""
        if valid.all():
            return
        self.classes[~valid] = NODATA_CLASS
        self.confidence[~valid] = np.nan
        if self.probability is not None:
            self.probability[:, ~valid] = np.nan


def process_block(job: Job, block: Block) -> Iterator[Piece]:
    """Compute the map over one block, chunk by chunk in row-major order.

    Raises
    ------
    GeodlError
        If the scene cannot be read there or the device fails; never a silent hole.
    """
    from geodl.forward import forward_for

    forward = forward_for(job.model, job.device, job.precision)  # starts to load while pixels are read
    run = _blend if job.model.spec.stitch == "blend" else _crop
    with ahead(run(job, block, forward)) as pieces:
        yield from pieces


def empty_piece(job: Job, chunk: Block) -> Piece:
    """Return a piece without data."""
    shape = (chunk.window.height, chunk.window.width)
    classes = len(job.model.spec.classes)
    return Piece(
        chunk=chunk,
        classes=np.full(shape, NODATA_CLASS, dtype=np.uint8),
        confidence=np.full(shape, np.nan, dtype=np.float32),
        probability=np.full((classes, *shape), np.nan, dtype=np.float32) if job.probabilities else None,
    )


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Tiles that go through the network together.

    Parameters
    ----------
    positions : list of tuple
        Row and column of each tile in the lattice.
    tiles : Tiles
        What the network is to see.
    """

    positions: list[tuple[int, int]]
    tiles: "Tiles"


def _groups(job: Job, reader: RowReader, positions: list[tuple[int, int]]) -> Iterator[_Group]:
    """Cut tiles out of the rows that are loaded."""
    from geodl.forward import Tiles

    for start in range(0, len(positions), job.batch):
        group = positions[start : start + job.batch]
        cuts = [reader.cut(job.lattice.tile_window(*position)) for position in group]
        pixels, valid = (np.stack(arrays) for arrays in zip(*cuts, strict=True))
        yield _Group(positions=group, tiles=Tiles(pixels=pixels, valid=valid, scaling=job.scaling))


def _reader(job: Job, positions: list[tuple[int, int]]) -> RowReader:
    """Return a reader of the columns that tiles, in row-major order, see."""
    first, last = (job.lattice.tile_window(*positions[i]) for i in (0, -1))
    return RowReader(job.scene, first.col, last.col_stop)


def _read_chunks(job: Job, block: Block) -> Iterator[tuple[Block, np.ndarray, _Group | None]]:
    """Read the tiles of a block; a chunk ends with its mask."""
    lattice = job.lattice
    reader = _reader(job, list(lattice.cells_of(block)))
    for chunk in lattice.chunks_of(block):
        positions = list(lattice.cells_of(chunk))
        first, last = (lattice.tile_window(*positions[i]) for i in (0, -1))
        reader.load(first.row, last.row_stop)
        valid = reader.cut(chunk.window)[1]
        wanted = [
            p for p in positions if valid[lattice.core_window(*p).relative_to(chunk.window).slices].any()
        ]
        yield from ((chunk, valid, group) for group in _groups(job, reader, wanted))
        yield chunk, valid, None


def _crop(job: Job, block: Block, forward: "Forward") -> Iterator[Piece]:
    """Keep the cores of the tiles: exact where the halo covers what the network sees."""
    halo, piece = job.model.spec.halo, None
    with ahead(_read_chunks(job, block), depth=2) as parts:
        for chunk, valid, group in parts:
            piece = piece or empty_piece(job, chunk)
            if group is None:
                piece.hide(valid)
                yield piece
                piece = None
                continue
            with _named(job, group):
                scores = forward.classify(group.tiles, halo, probabilities=job.probabilities)
            for number, position in enumerate(group.positions):
                _place(scores, number, job.lattice.core_window(*position), piece)


def _place(scores: "Scores", number: int, core: Window, piece: Piece) -> None:
    """Put the scores of one tile into a piece; cores at the scene's border are smaller than the tile's."""
    inside = core.relative_to(piece.chunk.window).slices
    cut = slice(core.height), slice(core.width)
    piece.classes[inside] = scores.classes[number][cut]
    piece.confidence[inside] = scores.confidence[number][cut]
    if piece.probability is not None and scores.probability is not None:
        piece.probability[(slice(None), *inside)] = scores.probability[number][(slice(None), *cut)]


def _read_overlapping(job: Job, block: Block, valid: np.ndarray) -> Iterator[_Group]:
    """Read the tiles that reach into a block, and note in `valid` where the scene is valid in it."""
    lattice = job.lattice
    around = list(lattice.cells_of(block, stitch.neighbours(lattice)))
    reader = _reader(job, around)
    for _, positions in groupby(around, key=itemgetter(0)):
        row = list(positions)
        window = lattice.tile_window(*row[0])
        reader.load(window.row, window.row_stop)
        wanted = [p for p in row if reader.cut(lattice.tile_window(*p))[1].any()]
        yield from _groups(job, reader, wanted)
        core = lattice.core_window(row[0][0], block.cells[2])
        strip = Window(core.row, block.window.col, core.height, block.window.width).intersect(block.window)
        if strip.height:
            valid[strip.relative_to(block.window).slices] = reader.cut(strip)[1]


def _blend(job: Job, block: Block, forward: "Forward") -> Iterator[Piece]:
    """Average overlapping tiles: for networks that look at the whole tile."""
    spec = job.model.spec
    blend = stitch.Blend(job.lattice, block, len(spec.classes))
    valid = np.zeros((block.window.height, block.window.width), dtype=bool)
    with ahead(_read_overlapping(job, block, valid), depth=2) as groups:
        for group in groups:
            with _named(job, group):
                probabilities = forward.probabilities(group.tiles)
            for position, scores in zip(group.positions, probabilities, strict=True):
                blend.add(*position, scores)
    classes, confidence = blend.classify(spec.class_values)
    for chunk in job.lattice.chunks_of(block):
        inside = chunk.window.relative_to(block.window).slices
        piece = Piece(
            chunk=chunk,
            classes=classes[inside],
            confidence=confidence[inside],
            probability=blend.scores[(slice(None), *inside)] if job.probabilities else None,
        )
        piece.hide(valid[inside])
        yield piece


@contextmanager
def _named(job: Job, group: _Group) -> Iterator[None]:
    """Say in errors of the device where they happened."""
    try:
        yield
    except GeodlError as error:
        row, column = group.positions[0]
        where = f"scene {job.scene.name}, tile at row {row}, column {column}"
        raise GeodlError(where, f"{error.what}: {error.cause}", error.remedy) from error
