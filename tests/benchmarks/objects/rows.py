"""What was measured, line by line, and as tables."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.benchmarks.lines import append_lines, read_lines

COLUMNS = {
    "buildings": {
        "truth": "buildings", "pixel_iou": "pixel IoU", "precision": "precision", "recall": "recall",
        "f1": "F1", "boundary_iou": "boundary IoU", "turning_degrees": "turning, °",
        "corners": "corners a building",
    },
    "roads": {
        "truth_km": "km", "pixel_iou": "pixel IoU", "f1_3m": "F1, 3 m", "f1_3px": "F1, 3 px",
        "apls": "APLS", "apls_missing": "ways found", "apls_invented": "ways that are", "parts": "parts",
    },
}  # fmt: skip
"""Values that tables show, with their headings."""

AS_THEY_ARE = {"truth": 0, "parts": 0, "truth_km": 1, "turning_degrees": 1, "corners": 1}
"""Digits of values that are no shares; shares are shown in hundredths."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """How good one way is on one scene."""

    place: str
    task: str
    model: str
    hash: str
    """Of the model, shortened."""
    way: str
    """``geodl``, or ``threshold``."""
    seen: bool
    """Whether the model has learnt from this place."""
    pixel: float
    """Metres that the network saw a pixel."""
    seconds: float
    """Processor time of the product; 0 or so where it was there."""
    values: dict[str, float]

    def is_of(self, place: str, model_hash: str) -> bool:
        """Whether this is what a measurement would find."""
        return (self.place, self.hash) == (place, model_hash[:12])


def append_rows(path: Path, rows: Iterable[Row]) -> None:
    """Add lines to a file of rows, all at once."""
    append_lines(path, (_without_nan(asdict(row)) for row in rows))


def read_rows(path: Path) -> list[Row]:
    """Read a file of rows; none where there is no file."""
    return [Row(**{**row, "values": _with_nan(row["values"])}) for row in read_lines(path)]


def table(rows: Iterable[Row], task: str) -> str:
    """Write a Markdown table of one task: a line for each place, model and way; shares in hundredths."""
    columns = COLUMNS[task]
    lines = [f"| place | model | way | {' | '.join(columns.values())} |", f"|{' --- |' * (len(columns) + 3)}"]
    for row in _in_order(row for row in rows if row.task == task):
        place = f"{row.place} (learnt from)" if row.seen else row.place
        cells = [_shown(key, row.values[key]) for key in columns]
        lines.append(f"| {place} | {row.model} {row.hash[:6]} | {row.way} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _in_order(rows: Iterable[Row]) -> list[Row]:
    """The last of several rows of one measurement, ways of one scene side by side."""
    last = {(row.place, row.hash, row.way): row for row in rows}
    places = list(dict.fromkeys(row.place for row in last.values()))
    return sorted(last.values(), key=lambda row: places.index(row.place))


def _shown(key: str, value: float) -> str:
    """Write a value.

    >>> _shown("f1", 0.8342), _shown("parts", 3.0), _shown("apls", math.nan)
    ('83.4', '3', '-')
    """
    if math.isnan(value):
        return "-"
    return f"{value:.{AS_THEY_ARE[key]}f}" if key in AS_THEY_ARE else f"{100 * value:.1f}"


def _without_nan(row: dict) -> dict:
    values = {key: None if math.isnan(value) else value for key, value in row["values"].items()}
    return {**row, "values": values}


def _with_nan(values: dict[str, float | None]) -> dict[str, float]:
    return {key: math.nan if value is None else value for key, value in values.items()}
