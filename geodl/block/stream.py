"""A local network as a stream of rows: every row of every layer is computed once.

The canvas is the scene continued by reflection, by the halo on every side. Each column of cells is a panel
of the canvas with a halo on both sides, which is fed to the network from top to bottom in strips. A block,
or a stretch of it that holds data, starts some rows above its own (`Plan.margin`) and reads some rows
below them.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from geodl.ahead import ahead, holding
from geodl.block.groups import named
from geodl.block.job import Job, Piece, empty_piece
from geodl.forward import Forward, Tiles
from geodl.pixels import RowReader
from geodl.scores import Scores
from geodl.stream import Graph, Plan
from geodl.tiles import Block, Window

STRIPS = (128, 64, 32, 16)
"""Rows fed at a time: more are faster, fewer leave memory for wider panels."""

# Constants, because the panels decide on the last bits of the result.
MEMORY = 512 * 1024**2  # bytes that a network may take for a panel
PUSH = 2**20  # pixels of a strip
READING = 64 * 1024**2  # bytes of decoded rows that a panel keeps; reading takes as much again
_ROWS_KEPT = 768  # of them, about
CHUNK = 2**22  # pixels of a chunk


@dataclass(frozen=True, kw_only=True)
class _Start:
    """The strips that follow are of the panel of these chunks, from row `first` of the canvas."""

    chunks: list[Block]
    first: int


@dataclass(frozen=True, kw_only=True)
class _Strip:
    """Rows of a panel, from row `row` of the canvas."""

    row: int
    tiles: Tiles


@dataclass(frozen=True, kw_only=True)
class _Done:
    """All rows that a chunk needs were given, if it holds valid pixels."""

    chunk: Block
    valid: np.ndarray


@dataclass(frozen=True, kw_only=True)
class _Ready:
    """Scores of rows of the panel of these chunks, from row `row` of the scene."""

    chunks: list[Block]
    row: int
    scores: Scores


def stream(job: Job, block: Block, forward: Forward) -> Iterator[Piece]:
    """Compute the map over a block, panel by panel from top to bottom."""
    pieces = _Pieces(job)
    with ahead(_compute(job, block, forward)) as parts:
        for part in parts:
            if isinstance(part, _Ready):
                pieces.place(part)
            else:
                yield pieces.take(part)


def _compute(job: Job, block: Block, forward: Forward) -> Iterator[_Ready | _Done]:
    """Feed the strips of a block to the device."""
    graph, strip = forward.graph, job.strip
    assert isinstance(graph, Graph)
    assert strip is not None
    plan, halo = Plan(graph=graph, strip=strip), job.lattice.halo
    rows, chunks = None, []
    with ahead(_read(job, block, forward, plan), depth=4) as parts:
        for part in holding(forward.computing, parts):
            if isinstance(part, _Start):
                chunks = part.chunks
                rows = forward.start_rows(
                    strip=strip,
                    width=job.lattice.tile[1],
                    height=_canvas_height(job),
                    first=part.first,
                    margin=halo,
                    rows=(chunks[0].window.row + halo, chunks[-1].window.row_stop + halo),
                    layers=job.layers,
                )
            elif isinstance(part, _Strip):
                assert rows is not None
                with named(job, f"rows from {part.row - halo}"):
                    ready = rows.push(part.tiles)
                yield from (_Ready(chunks=chunks, row=row - halo, scores=scores) for row, scores in ready)
            else:
                yield part


def choose_panel(graph: Graph, halo: int, width: int, pixel: int) -> tuple[int, int]:
    """Choose how a network is fed a scene: by the network and the scene alone, with the fewest columns.

    Parameters
    ----------
    graph : Graph
        The network.
    halo : int
        Columns that a panel sees on each side of its own.
    width : int
        Columns of the scene.
    pixel : int
        Bytes of a decoded pixel, all bands and its mask.

    Returns
    -------
    strip : int
        Rows fed at a time.
    columns : int
        Columns of the scene that a panel covers, at most, a multiple of the stride.
    """
    stride = graph.stride
    best: tuple[int, int, int] | None = None
    for rows in STRIPS:
        strip = -(-rows // stride) * stride
        per_column = Plan(graph=graph, strip=strip).memory(64 * stride) / (64 * stride)
        seen = min(MEMORY / per_column, READING / (_ROWS_KEPT * pixel)) - 2 * halo
        columns = max(1, int(min(seen, PUSH / strip)) // stride) * stride
        computed = width + 2 * halo * -(-width // columns)
        if best is None or computed < best[0]:
            best = computed, strip, columns
    assert best is not None
    return best[1:]


def chunk_rows(columns: int, stride: int, most: int) -> int:
    """Return the rows of a chunk as wide as a panel: at most `most`, a multiple of the stride."""
    return max(1, min(most, CHUNK // columns) // stride) * stride


class _Pieces:
    """The chunks that are being filled."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._pieces: dict[Block, Piece] = {}
        self._rows: Counter[Block] = Counter()

    def place(self, ready: _Ready) -> None:
        """Put scores into those of the chunks that they touch."""
        lattice, scores = self._job.lattice, ready.scores
        first = ready.chunks[0].cells
        left = lattice.tile_window(first[0], first[2]).col + lattice.halo
        strip = Window(ready.row, left, scores["class"].shape[1], lattice.core[1])
        for chunk in ready.chunks:
            part = strip.intersect(chunk.window)
            if not part.height:
                continue
            if chunk not in self._pieces:
                self._pieces[chunk] = empty_piece(self._job, chunk)
            kept = (..., *part.relative_to(strip).slices)
            self._pieces[chunk].put(part, {name: layer[0][kept] for name, layer in scores.items()})
            self._rows[chunk] += part.height

    def take(self, done: _Done) -> Piece:
        """Return a chunk that is complete."""
        piece = self._pieces.pop(done.chunk, None) or empty_piece(self._job, done.chunk)
        rows = self._rows.pop(done.chunk, 0)
        assert rows == done.chunk.window.height or not done.valid.any()
        piece.hide(done.valid)
        return piece


def _canvas_height(job: Job) -> int:
    stride = job.model.spec.stride
    return -(-(job.lattice.height + 2 * job.lattice.halo) // stride) * stride


def _read(job: Job, block: Block, forward: Forward, plan: Plan) -> Iterator[_Start | _Strip | _Done]:
    """Read the panels of a block; stretches without data are left out."""
    with forward.reading:
        for panel in job.lattice.split(block, block.cells[1] - block.cells[0], 1):
            yield from _read_panel(job, panel, plan)


def _read_panel(job: Job, panel: Block, plan: Plan) -> Iterator[_Start | _Strip | _Done]:
    halo, height = job.lattice.halo, _canvas_height(job)
    seen = job.lattice.tile_window(panel.cells[0], panel.cells[2])
    reader = RowReader(job.scene, seen.col, seen.col_stop)
    chunks = job.lattice.chunks_of(panel)
    row = None  # of the canvas, the next to be fed; none before a stretch begins
    for chunk in chunks:
        top, bottom = chunk.window.row, chunk.window.row_stop
        reader.load(top if row is None else min(top, row - halo), bottom)
        valid = reader.cut(chunk.window)[1]
        if not valid.any():
            row = None
        else:
            first, _ = plan.input_rows(top + halo, bottom + halo, height)
            if row is None:
                row = first
                yield _Start(chunks=chunks, first=first)
            while row < min(bottom + halo + plan.delay, height):
                window = Window(row - halo, seen.col, min(plan.strip, height - row), seen.width)
                # The rows of the next chunk stay, to see whether it holds data.
                reader.load(min(window.row, bottom), window.row_stop)
                pixels, mask = reader.cut(window)
                tiles = Tiles(pixels=pixels[None], valid=mask[None], scaling=job.scaling)
                yield _Strip(row=row, tiles=tiles)
                row = row + plan.strip
        yield _Done(chunk=chunk, valid=valid)
