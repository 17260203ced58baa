"""Labels for checking on ground that other scenes learn from: what the division cannot prevent."""

from collections.abc import Sequence

import numpy as np
from affine import Affine
from pyproj import Transformer

from geodl.assess.labels import IGNORE
from geodl.training.plots.decode import Decoded
from geodl.training.plots.pairs import Pair
from geodl.training.plots.places import overlaps
from geodl.training.plots.plot import Plot, strips

_SAMPLE = 4000
"""Pixels of a scene that are looked up, at most about twice as many."""


def shared_ground(pairs: Sequence[Pair], scenes: Sequence[Decoded], plots: Sequence[Plot]) -> list[float]:
    """Tell for each plot which share of its validation labels lies on ground that another one learns from.

    Scenes of role ``auto`` are divided so that they share none; those of other roles lie where the
    recipe says. A photograph shares ground with itself alone.

    Parameters
    ----------
    pairs, scenes, plots : sequence of Pair, of Decoded and of Plot
        In the same order.

    Returns
    -------
    list of float
        Between 0 and 1, from some thousand labelled pixels of each plot.
    """
    near: list[set[int]] = [set() for _ in plots]
    for one, other in [*overlaps(list(scenes)), *_same_files(pairs)]:
        if {pairs[one].source.role, pairs[other].source.role} != {"auto"}:
            near[one].add(other)
            near[other].add(one)
    found = []
    for number, plot in enumerate(plots):
        others = [other for other in sorted(near[number]) if sum(plots[other].train)]
        if not others or not sum(plot.validation):
            found.append(0.0)
            continue
        rows, columns = _some_labelled(plot)
        learnt = np.zeros(len(rows), dtype=bool)
        for other in others:
            there = _elsewhere(rows, columns, scenes[number], scenes[other])
            learnt |= _known(plots[other].labels("train"), *there)
        found.append(float(learnt.mean()))
    return found


def _same_files(pairs: Sequence[Pair]) -> list[tuple[int, int]]:
    first: dict[tuple, list[int]] = {}
    for number, pair in enumerate(pairs):
        first.setdefault(pair.scene, []).append(number)
    return [(a, b) for same in first.values() for a in same for b in same if a < b]


def _some_labelled(plot: Plot) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of pixels with validation labels, evenly taken in the order of the rows."""
    labels, step, passed = plot.labels("validation"), max(1, sum(plot.validation) // _SAMPLE), 0
    rows, columns = [], []
    for window in strips(plot.height, plot.width):
        y, x = np.nonzero(labels[window.slices] != IGNORE)
        chosen = slice(-passed % step, None, step)
        rows.append(window.row + y[chosen])
        columns.append(x[chosen])
        passed += len(y)
    return np.concatenate(rows), np.concatenate(columns)


def _elsewhere(
    rows: np.ndarray, columns: np.ndarray, scene: Decoded, other: Decoded
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns in another scene of the middles of pixels; they may lie outside of it."""
    if (scene.crs, scene.transform) == (other.crs, other.transform) or scene.crs is None:
        return rows, columns
    x, y = _moved(scene.grid.affine, columns + 0.5, rows + 0.5)
    x, y = Transformer.from_crs(scene.crs, other.crs, always_xy=True).transform(x, y)
    there = _moved(~other.grid.affine, x, y)
    outside = ~np.isfinite(there).all(axis=0)
    columns, rows = np.where(outside, -1, np.floor(there)).astype(np.int64)
    return rows, columns


def _moved(affine: Affine, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Apply an affine matrix; shape ``(2, points)``."""
    return np.array([affine.a * x + affine.b * y + affine.c, affine.d * x + affine.e * y + affine.f])


def _known(labels: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Whether there are labels at pixels; False outside."""
    height, width = labels.shape
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    known = np.zeros(len(rows), dtype=bool)
    known[inside] = labels[rows[inside], columns[inside]] != IGNORE
    return known
