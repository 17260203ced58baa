"""Buildings that wait until their neighbours are known.

Buildings come in the order in which strips of the raster end them. One is worked on when no building that
is still to come can lie within reach, and stays known while one that is still waiting can reach it. So
what depends on neighbours never depends on the strips.
"""

from collections.abc import Iterator

import numpy as np

Table = dict[str, np.ndarray]
"""Columns of buildings, each of shape (n, ...), among them ``number`` and the rows ``top`` and ``bottom``."""

NO_MORE = np.iinfo(np.int64).max
"""The frontier when no building is still to come."""


def in_context(parts: Iterator[tuple[Table, int]], reach: int) -> Iterator[tuple[Table, np.ndarray, int]]:
    """Yield buildings together with all that lie within reach of them.

    Parameters
    ----------
    parts : iterator of (Table, int)
        New buildings, and the frontier: the first row in which one of those still to come may lie. The
        last frontier is `NO_MORE`.
    reach : int
        Rows.

    Yields
    ------
    table : Table
        The buildings known at present, in the order of their numbers.
    ready : bool array, shape (n,)
        Those whose neighbours are all in the table. Every building is ready once.
    frontier : int
        First row of the buildings that will be ready later.
    """
    held: Table | None = None
    done = np.empty(0, bool)
    for table, frontier in parts:
        held = table if held is None else {name: np.concatenate([held[name], table[name]]) for name in held}
        done = np.concatenate([done, np.zeros(len(table["number"]), bool)])
        order = np.argsort(held["number"])
        held, done = take(held, order), done[order]
        ready = ~done & (held["bottom"] < frontier - reach)
        done = done | ready
        waiting = int(min(held["top"][~done].min(initial=NO_MORE), frontier))
        yield held, ready, waiting
        keep = ~done | (held["bottom"] >= waiting - reach)
        held, done = take(held, keep), done[keep]


def take(table: Table, index: np.ndarray) -> Table:
    """Return the buildings at `index`, which is a mask or holds positions."""
    return {name: column[index] for name, column in table.items()}
