"""Tiles whose cores are kept: exact where the halo covers what the network sees."""

from collections.abc import Iterator

import numpy as np

from geodl.ahead import ahead, holding
from geodl.block.groups import Group, groups, named, reader_of
from geodl.block.job import Job, Piece, empty_piece
from geodl.forward import Forward
from geodl.scores import Scores
from geodl.tiles import Block, Lattice, Window


def crop(job: Job, block: Block, forward: Forward) -> Iterator[Piece]:
    """Keep the cores of the tiles: exact where the halo covers what the network sees."""
    piece = None
    with ahead(_compute(job, block, forward)) as parts:
        for chunk, valid, group, scores in parts:
            piece = piece or empty_piece(job, chunk)
            if group is None or scores is None:
                piece.hide(valid)
                yield piece
                piece = None
                continue
            for number, position in enumerate(group.positions):
                core = job.lattice.core_window(*position)
                kept = (..., *_kept(job.lattice, position))
                piece.put(core, {name: layer[number][kept] for name, layer in scores.items()})


def _compute(
    job: Job, block: Block, forward: Forward
) -> Iterator[tuple[Block, np.ndarray, Group | None, Scores | None]]:
    """Put the tiles of a block through the network."""
    with ahead(_read(job, block, forward), depth=2) as parts:
        for chunk, valid, group in holding(forward.computing, parts):
            scores = None
            if group is not None:
                with named(job, group.place):
                    scores = forward.classify(group.tiles, job.layers, job.lattice.halo, turned=job.turned)
            yield chunk, valid, group, scores


def _kept(lattice: Lattice, position: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of a tile's core that lie on the scene; at its border not all do."""
    core, tile = lattice.core_window(*position), lattice.tile_window(*position)
    return core.relative_to(Window(tile.row + lattice.halo, tile.col + lattice.halo, *lattice.core)).slices


def _read(job: Job, block: Block, forward: Forward) -> Iterator[tuple[Block, np.ndarray, Group | None]]:
    """Read the tiles of a block; a chunk ends with its mask and no group."""
    lattice = job.lattice
    with forward.reading:
        reader = reader_of(job, list(lattice.cells_of(block)))
        for chunk in lattice.chunks_of(block):
            positions = list(lattice.cells_of(chunk))
            first, last = (lattice.tile_window(*positions[i]) for i in (0, -1))
            reader.load(first.row, last.row_stop)
            valid = reader.cut(chunk.window)[1]
            cores = [lattice.core_window(*position).relative_to(chunk.window) for position in positions]
            wanted = [p for p, core in zip(positions, cores, strict=True) if valid[core.slices].any()]
            yield from ((chunk, valid, group) for group in groups(job, reader, wanted))
            yield chunk, valid, None
