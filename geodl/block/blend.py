"""Overlapping tiles, averaged: for networks that look at the whole tile."""

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

import numpy as np

from geodl import stitch
from geodl.ahead import ahead, holding
from geodl.block.groups import Group, groups, named, reader_of
from geodl.block.job import Job, Piece
from geodl.forward import Forward
from geodl.tiles import Block, Window


def blend(job: Job, block: Block, forward: Forward) -> Iterator[Piece]:
    """Average overlapping tiles: for networks that look at the whole tile."""
    spec = job.model.spec
    average = stitch.Blend(job.lattice, block, len(spec.classes) + job.novelty)
    valid = np.zeros((block.window.height, block.window.width), dtype=bool)
    with ahead(_read(job, block, forward, valid), depth=2) as parts:
        for group in holding(forward.computing, parts):
            with named(job, group.place):
                shares = forward.shares(group.tiles)
            for position, planes in zip(group.positions, shares, strict=True):
                average.add(*position, planes)
    layers = average.classify(spec.class_values, job.layers)
    for chunk in job.lattice.chunks_of(block):
        inside = chunk.window.relative_to(block.window).slices
        piece = Piece(chunk=chunk, layers={name: layer[(..., *inside)] for name, layer in layers.items()})
        piece.hide(valid[inside])
        yield piece


def _read(job: Job, block: Block, forward: Forward, valid: np.ndarray) -> Iterator[Group]:
    """Read the tiles that reach into a block, and note in `valid` where the scene is valid in it."""
    lattice = job.lattice
    around = list(lattice.cells_of(block, stitch.neighbours(lattice)))
    with forward.reading:
        reader = reader_of(job, around)
        for _, positions in groupby(around, key=itemgetter(0)):
            row = list(positions)
            window = lattice.tile_window(*row[0])
            reader.load(window.row, window.row_stop)
            yield from groups(job, reader, [p for p in row if reader.cut(lattice.tile_window(*p))[1].any()])
            core = lattice.core_window(row[0][0], block.cells[2])
            strip = Window(core.row, block.window.col, core.height, block.window.width)
            strip = strip.intersect(block.window)
            if strip.height:
                valid[strip.relative_to(block.window).slices] = reader.cut(strip)[1]
