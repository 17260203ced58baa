"""What was measured, as rows of tables."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

_WIDTH = 240  # columns; a narrower terminal breaks lines, but nothing is left out


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Seconds that a run cannot beat; None where one does not apply."""

    bare: float
    """Bare forward over exactly the pixels of the scene."""
    tiles: float | None = None
    """Bare forward over the tiles, halos included, that the run needs."""
    read: float | None = None
    """Reading the scene once."""
    write: float | None = None
    """Writing the map from memory."""

    @property
    def total(self) -> float | None:
        """Reading, bare forward and writing, one after the other."""
        if self.read is None or self.write is None:
            return None
        return self.read + self.bare + self.write

    def mean(self, other: "Bounds") -> "Bounds":
        """Average two measurements of the same bounds."""
        mine, others = asdict(self), asdict(other)
        return Bounds(**{k: v if v is None else (v + others[k]) / 2 for k, v in mine.items()})


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way to map one scene."""

    network: str
    mode: str
    """``stream`` and ``tiles`` are geodl's; the others are peers, with the halo that they used."""
    precision: str
    layout: str
    size: int
    wall_s: float
    """From the open scene to the last file, libraries imported."""
    again_s: float | None
    """Of a second scene of the same process, the network being warm."""
    command_s: float | None
    """Of the whole command, the start of Python included."""
    bounds: Bounds
    peak_gib: float
    flips: float | None
    """Share of classes that differ from the map of the network that sees the whole scene."""
    difference: float | None
    """Largest difference of a probability from that network's."""

    @property
    def ratio(self) -> float:
        """Wall time over the bare forward of the scene's pixels."""
        return self.wall_s / self.bounds.bare

    @property
    def again_ratio(self) -> float | None:
        """Wall time of the second scene over the bare forward of its pixels."""
        return self.again_s and self.again_s / self.bounds.bare

    @property
    def tiles_ratio(self) -> float | None:
        """Wall time over the bare forward of the tiles."""
        return self.bounds.tiles and self.wall_s / self.bounds.tiles

    @property
    def total_ratio(self) -> float | None:
        """Wall time over reading, bare forward and writing."""
        return self.bounds.total and self.wall_s / self.bounds.total

    def as_json(self) -> dict[str, Any]:
        """Everything measured, and the ratios."""
        ratios = {
            "ratio": self.ratio,
            "again_ratio": self.again_ratio,
            "tiles_ratio": self.tiles_ratio,
            "total_ratio": self.total_ratio,
        }
        return {**asdict(self), **ratios}


@dataclass(frozen=True, kw_only=True)
class FlatRow:
    """Peak memory of a run."""

    network: str
    precision: str
    layout: str
    rows: int
    columns: int
    wall_s: float
    peak_gib: float

    def as_json(self) -> dict[str, Any]:
        """Everything measured."""
        return asdict(self)


def print_rows(rows: Iterable[Row]) -> None:
    """Print the table of runs, in Markdown."""
    table = _table(
        "network",
        "mode",
        "precision",
        "size",
        "run (s)",
        "again (s)",
        "command (s)",
        "bare (s)",
        "run / bare",
        "again / bare",
        "tiles (s)",
        "run / tiles",
        "sum (s)",
        "run / sum",
        "peak (GiB)",
        "flips",
        "max |dp|",
    )
    for row in rows:
        table.add_row(
            row.network,
            row.mode,
            row.precision,
            str(row.size),
            f"{row.wall_s:.1f}",
            _shown(row.again_s, ".1f"),
            _shown(row.command_s, ".1f"),
            f"{row.bounds.bare:.1f}",
            f"{row.ratio:.2f}",
            _shown(row.again_ratio, ".2f"),
            _shown(row.bounds.tiles, ".1f"),
            _shown(row.tiles_ratio, ".2f"),
            _shown(row.bounds.total, ".1f"),
            _shown(row.total_ratio, ".2f"),
            f"{row.peak_gib:.2f}",
            _shown(row.flips, ".4%"),
            _shown(row.difference, ".1e"),
        )
    _print(table)


def print_flat_rows(rows: Iterable[FlatRow]) -> None:
    """Print peak memory by size; the ratio is to the first size of the same network and layout."""
    table = _table("network", "precision", "layout", "size", "wall (s)", "peak (GiB)", "ratio")
    first: dict[tuple[str, ...], float] = {}
    for row in rows:
        kind = (row.network, row.precision, row.layout)
        ratio = row.peak_gib / first.setdefault(kind, row.peak_gib)
        cells = (f"{row.rows} x {row.columns}", f"{row.wall_s:.1f}", f"{row.peak_gib:.3f}", f"{ratio:.3f}")
        table.add_row(*kind, *cells)
    _print(table)


def _table(*columns: str) -> Table:
    table = Table(box=MARKDOWN)
    for column in columns:
        text = column in ("network", "mode", "precision", "layout")
        table.add_column(column, justify="left" if text else "right", no_wrap=True)
    return table


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _print(table: Table) -> None:
    Console(width=_WIDTH).print(table)
