"""What was measured, line by line, and as tables of means and deviations over the seeds."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks.accuracy.cases import BASES, PEERS, Case, split_name
from tests.benchmarks.lines import append_lines, read_lines

_HEADINGS = (
    "data", "variant", "seeds", "mIoU", "overall accuracy", "gain over torchgeo", "gain over its base",
    "weights", "s",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Row:
    """The accuracy of one run on all its validation pixels."""

    data: str
    variant: str
    seed: int
    steps: int
    batch: int
    patch: int
    mean_iou: float
    """Mean intersection over union of the classes that occur, 0..1."""
    overall: float
    """Share of pixels with the right class, 0..1."""
    iou: dict[str, float | None]
    """Intersection over union by class; None where a class neither occurs nor is mapped."""
    pixels: int
    """Validation pixels."""
    parameters: int | None
    """Weights of the network; None for a forest."""
    seconds: float
    """Processor time of decoding, learning and checking."""

    def is_of(self, case: Case) -> bool:
        """Whether this is what the case would measure."""
        effort = case.effort
        mine = (self.data, self.variant, self.seed, self.steps, self.batch, self.patch)
        return mine == (case.data, case.variant, case.seed, effort.steps, effort.batch, effort.patch)


def append_row(path: Path, row: Row) -> None:
    """Add a line to a file of rows."""
    append_lines(path, [asdict(row)])


def read_rows(path: Path) -> list[Row]:
    """Read a file of rows; none where there is no file."""
    return [Row(**line) for line in read_lines(path)]


def accuracy_table(rows: Iterable[Row]) -> str:
    """Write a Markdown table, one line per data and variant.

    Means and standard deviations over the seeds in points, that is hundredths. Gains are those of mIoU
    over torchgeo, and for an altered variant over what it alters: the mean over the seeds that both
    have, for a seed fixes the blocks held out.
    """
    rows = list(rows)
    lines = [f"| {' | '.join(_HEADINGS)} |", f"|{' --- |' * len(_HEADINGS)}"]
    for data, variant in _pairs(rows):
        mine = _of(rows, data, variant)
        base, alterations = split_name(variant)
        weights = next(iter(mine.values())).parameters
        cells = [
            data,
            f"`{variant}`",
            str(len(mine)),
            _spread([row.mean_iou for row in mine.values()]),
            _spread([row.overall for row in mine.values()]),
            "" if variant == "torchgeo" else _gain(mine, _of(rows, data, "torchgeo")),
            _gain(mine, _of(rows, data, base)) if alterations else "",
            "" if weights is None else f"{weights / 1e6:.1f} M",
            f"{np.mean([row.seconds for row in mine.values()]):.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def class_table(rows: Iterable[Row], data: str) -> str:
    """Write the mean IoU of each class in points as a Markdown table, variants side by side."""
    rows = [row for row in rows if row.data == data]
    variants = [variant for _, variant in _pairs(rows)]
    lines = [
        f"| class | {' | '.join(f'`{variant}`' for variant in variants)} |",
        f"| --- |{' --- |' * len(variants)}",
    ]
    for name in rows[0].iou if rows else ():
        cells = []
        for variant in variants:
            known = [row.iou[name] for row in _of(rows, data, variant).values()]
            cells.append(_spread([value for value in known if value is not None]))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _pairs(rows: list[Row]) -> list[tuple[str, str]]:
    """Data and variants: set by set, altered variants last."""
    sets = list(dict.fromkeys(row.data for row in rows))

    def place(pair: tuple[str, str]) -> tuple[int, int, int]:
        base, alterations = split_name(pair[1])
        return sets.index(pair[0]), len(alterations), (PEERS + BASES).index(base)

    return sorted(dict.fromkeys((row.data, row.variant) for row in rows), key=place)


def _of(rows: list[Row], data: str, variant: str) -> dict[int, Row]:
    """Rows by seed; of several the last."""
    return {row.seed: row for row in rows if (row.data, row.variant) == (data, variant)}


def _gain(mine: dict[int, Row], others: dict[int, Row]) -> str:
    both = sorted(mine.keys() & others.keys())
    found = [mine[seed].mean_iou - others[seed].mean_iou for seed in both]
    return _spread(found, sign="+") if found else ""


def _spread(values: list[float], sign: str = "") -> str:
    """Mean and standard deviation in hundredths; the latter where there are several values.

    >>> _spread([0.31, 0.35]), _spread([0.05], sign="+"), _spread([])
    ('33.0 ± 2.8', '+5.0', '-')
    """
    if not values:
        return "-"
    mean = f"{100 * np.mean(values):{sign}.1f}"
    deviation = 100 * float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return mean if math.isnan(deviation) else f"{mean} ± {deviation:.1f}"
