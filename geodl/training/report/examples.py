"""The squares of the validation part that a network maps best and worst.

They are chosen during the one pass in which the accuracy is measured, and what the network said
about them is kept: nothing has to be computed again, and memory holds a few squares only.
"""

import heapq
from dataclasses import dataclass

import numpy as np

from geodl.assess.confusion import Accuracy, accuracy, confusion_matrix
from geodl.assess.labels import IGNORE
from geodl.tiles import Window
from geodl.training.evaluate import Tile
from geodl.training.recipe import Recipe

SIDE = 192
"""Pixels; the side of a square where the recipe's blocks give none."""
_SMALLEST, _LARGEST = 64, 256
_LEAST = 0.25
"""Share of a square that must be labelled: the figures of a few pixels say little."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A square of a plot: what the labels and what the network say.

    Parameters
    ----------
    plot : int
        Number of the plot.
    window : Window
        Where it lies in the plot.
    labels, predicted : numpy.ndarray
        Class positions, uint8, of the shape of the window; 255 where there is none.
    accuracy : Accuracy
        On the labelled pixels of the square; mean IoU over the classes that occur in either.
    """

    plot: int
    window: Window
    labels: np.ndarray
    predicted: np.ndarray
    accuracy: Accuracy

    @property
    def kinds(self) -> int:
        """Number of classes among the labels."""
        return sum(c.pixels > 0 for c in self.accuracy.classes)


_Rank = tuple[bool, float, int, int]
"""Telling, or of one class or few labels; mean IoU; number of classes; number of the square, its own."""


class Examples:
    """Keeps the best and the worst squares of a pass over the validation tiles.

    Squares with two classes or more among their labels, and labels on a quarter of their pixels, go
    before all others: one class alone is mapped with a mean IoU of 0 or 1 all too often.

    Parameters
    ----------
    names : list of str
        Names of the classes.
    side : int
        Side of a square in pixels. Squares lie on multiples of it, as spatial blocks do; one that
        spreads over several tiles is put together again.
    count : int
        How many to keep at either end.
    """

    def __init__(self, names: list[str], *, side: int = SIDE, count: int = 3) -> None:
        self._names, self._side, self._count = names, side, count
        self._seen = 0
        # Squares that may still grow: at most those of one row of tiles. Labels and prediction each.
        self._open: dict[tuple[int, int, int], np.ndarray] = {}
        self._high: list[tuple[_Rank, Example]] = []  # heaps, the least wanted first
        self._low: list[tuple[_Rank, Example]] = []

    def look(self, tile: Tile, core: Window, labels: np.ndarray, predicted: np.ndarray) -> None:
        """Take over a tile; to be handed to `Validation.confusion`, which goes from top to bottom."""
        for key in [(plot, row, column) for plot, row, column in self._open
                    if plot != tile[0] or row + self._side <= core.row]:  # fmt: skip
            self._rank(*key)
        for row in range(core.row // self._side * self._side, core.row_stop, self._side):
            for column in range(core.col // self._side * self._side, core.col_stop, self._side):
                square = Window(row, column, self._side, self._side)
                part = core.intersect(square)
                found = self._open.setdefault(
                    (tile[0], row, column), np.full((2, self._side, self._side), IGNORE, dtype=np.uint8)
                )
                inside = part.relative_to(core).slices
                found[(slice(None), *part.relative_to(square).slices)] = labels[inside], predicted[inside]

    def _rank(self, plot: int, row: int, column: int) -> None:
        labels, predicted = self._open.pop((plot, row, column))
        known = int((labels != IGNORE).sum())
        if not known:
            return
        # The network was not run where no tile has labels, nor beyond the scene.
        rows, columns = (np.flatnonzero((predicted != IGNORE).any(axis=axis)) for axis in (1, 0))
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        example = Example(
            plot=plot,
            window=Window(row + int(rows[0]), column + int(columns[0]), *predicted[box].shape),
            labels=labels[box],
            predicted=predicted[box],
            accuracy=accuracy(confusion_matrix(labels, predicted, len(self._names)), self._names),
        )
        self._seen += 1
        telling = known >= _LEAST * self._side**2 and example.kinds > 1
        value, kinds, number = example.accuracy.mean_iou, example.kinds, self._seen
        # One order, and its reverse, so that a square is among both only where there are few.
        _keep(self._high, ((telling, value, kinds, -number), example), self._count)
        _keep(self._low, ((telling, -value, -kinds, number), example), self._count)

    def chosen(self) -> tuple[list[Example], list[Example]]:
        """Return the best squares, best first, and the worst, worst first; no square is in both."""
        for key in list(self._open):
            self._rank(*key)
        entries = {abs(rank[3]): (rank[0], example) for rank, example in self._high + self._low}
        telling = any(telling for telling, _ in entries.values())
        found = [(example.accuracy.mean_iou, example.kinds, -number, example)
                 for number, (tells, example) in entries.items() if tells or not telling]  # fmt: skip
        ordered = [entry[3] for entry in sorted(found, key=lambda entry: entry[:3], reverse=True)]
        half = (len(ordered) + 1) // 2
        best, worst = ordered[:half], ordered[half:]
        return best[: self._count], worst[::-1][: self._count]


def _keep(heap: list[tuple[_Rank, Example]], entry: tuple[_Rank, Example], count: int) -> None:
    if len(heap) < count:
        heapq.heappush(heap, entry)
    else:
        heapq.heappushpop(heap, entry)


def side_of(recipe: Recipe) -> int:
    """Side of the squares of a recipe: blocks, or parts or groups of them, of a size to look at."""
    block = recipe.split.block
    if recipe.split.by != "blocks" or all(source.role != "auto" for source in recipe.sources):
        return SIDE
    return block * -(-_SMALLEST // block) if block < _SMALLEST else block // -(-block // _LARGEST)
