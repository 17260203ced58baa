"""What was measured, line by line, and as tables."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.change.cases import READY, Case, known_methods, split_method
from tests.benchmarks.change.scores import HALF, Found, best_threshold, found_at
from tests.benchmarks.lines import append_lines, read_lines

_HEADINGS = (
    "method", "steps x batch x pixels",
    "places", "F1", "precision", "recall", "IoU", "mean F1 of places", "F1, other threshold",
    "weights", "s",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Row:
    """The map of one place by a method that has not seen it."""

    data: str
    method: str
    group: str
    place: str
    seed: int
    steps: int | None
    """Of the optimiser; None where nothing is trained."""
    batch: int | None
    patch: int | None
    counts: list[list[int]]
    """As `tests.benchmarks.change.scores.tally` counts."""
    parameters: int | None
    """Weights of the network; None without one."""
    seconds: float
    """Processor time of the part held out, divided by its places."""

    @classmethod
    def of(
        cls, case: Case, place: str, counts: list[list[int]], parameters: int | None, seconds: float
    ) -> "Row":
        """Write down what a case found in one place."""
        return cls(**_settings(case), place=place, counts=counts, parameters=parameters, seconds=seconds)

    def is_of(self, case: Case) -> bool:
        """Whether this is what the case would measure."""
        return all(getattr(self, name) == value for name, value in _settings(case).items())


def _settings(case: Case) -> dict[str, Any]:
    effort = case.effort
    names = ("steps", "batch", "patch")
    spent = {name: getattr(effort, name) if case.trained else None for name in names}
    return {"data": case.data, "method": case.method, "group": case.group, "seed": case.seed, **spent}


def append_rows(path: Path, rows: Iterable[Row]) -> None:
    """Add lines to a file of rows."""
    append_lines(path, map(asdict, rows))


def read_rows(path: Path) -> list[Row]:
    """Read a file of rows; none where there is no file."""
    return [Row(**line) for line in read_lines(path)]


def change_table(rows: Iterable[Row], data: str) -> str:
    """Write a Markdown table of one set, in points, that is hundredths.

    Pixels of all places are counted together; of several seeds the sums. "Other threshold" is not one half
    but the one of the highest F1 on the maps of all other groups: what a map whose probabilities mean
    something else gains by a threshold that could have been known beforehand.
    """
    lines = [f"| {' | '.join(_HEADINGS)} |", f"|{' --- |' * len(_HEADINGS)}"]
    for method, mine in _by_method(rows, data):
        pooled = found_at(_sum(mine))
        alone = [found_at(row.counts).f1 for row in mine]
        decided = mine[0].steps is not None or method == READY
        weights = mine[0].parameters
        cells = [
            f"`{method}`",
            _effort(mine[0]),
            str(len({row.place for row in mine})),
            *(_points(v) for v in (pooled.f1, pooled.precision, pooled.recall, pooled.iou)),
            _points(float(np.mean(alone))),
            _points(_with_other_thresholds(mine).f1) if decided else "",
            "" if weights is None else f"{weights / 1e6:.1f} M",
            f"{np.mean([row.seconds for row in mine]):.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def place_table(rows: Iterable[Row], data: str) -> str:
    """Write the F1 of each place in points as a Markdown table, a line per method."""
    rows = [row for row in rows if row.data == data]
    places = sorted({row.place for row in rows})
    headings = (*_HEADINGS[:2], *places)
    lines = [f"| {' | '.join(headings)} |", f"|{' --- |' * len(headings)}"]
    for method, mine in _by_method(rows, data):
        cells = []
        for place in places:
            here = [row for row in mine if row.place == place]
            cells.append(_points(found_at(_sum(here)).f1) if here else "")
        lines.append(f"| `{method}` | {_effort(mine[0])} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _by_method(rows: Iterable[Row], data: str) -> list[tuple[str, list[Row]]]:
    """Rows of one set by method and effort, altered methods after what they alter."""
    rows = [row for row in rows if row.data == data]
    order = known_methods()

    def place(key: tuple[str, str]) -> tuple[int, int, list[int]]:
        base, changes = split_method(key[0])
        return order.index(base), len(changes), [int(n) for n in key[1].split(" x ") if n]

    keys = sorted({(row.method, _effort(row)) for row in rows}, key=place)
    return [(key[0], [row for row in rows if (row.method, _effort(row)) == key]) for key in keys]


def _effort(row: Row) -> str:
    return "" if row.steps is None else f"{row.steps} x {row.batch} x {row.patch}"


def _with_other_thresholds(rows: Sequence[Row]) -> Found:
    """Map each group with the threshold that suits all others best."""
    total = Found(right=0, false=0, missed=0)
    for group in {row.group for row in rows}:
        others = [row for row in rows if row.group != group]
        threshold = best_threshold(_sum(others)) if others else HALF
        here = found_at(_sum([row for row in rows if row.group == group]), threshold)
        total = Found(
            right=total.right + here.right,
            false=total.false + here.false,
            missed=total.missed + here.missed,
        )
    return total


def _sum(rows: Sequence[Row]) -> np.ndarray:
    return np.sum([np.array(row.counts) for row in rows], axis=0)


def _points(value: float) -> str:
    return f"{100 * value:.1f}"
