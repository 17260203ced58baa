"""What is known about a model after a comparison."""

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Row:
    """One model.

    Parameters
    ----------
    name, architecture : str
        As in ``model.json``.
    parameters : int
        Numbers that training set.
    file_size : int
        Bytes of the weights as stored.
    gflops : float or None
        1e9 operations per 1e6 pixels shown to the network; None where a file does not tell.
    speed : float
        1e6 pixels of the scenes per second, here, from the file to the classes.
    memory : int or None
        Bytes that the network and the run of it took at most, beside the program itself; on a GPU its own.
        None where the system does not tell.
    labelled : int
        Pixels that have a label.
    overall, mean_iou : float or None
        Against the labels, 0..1; None without labels.
    iou : dict of str to float or None
        By class of the labels.
    """

    name: str
    architecture: str
    parameters: int
    file_size: int
    gflops: float | None
    speed: float
    memory: int | None
    labelled: int = 0
    overall: float | None = None
    mean_iou: float | None = None
    iou: dict[str, float | None] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def table_of(rows: Sequence[Row], width: int = 140) -> str:
    """Return the rows as a table of plain characters.

    Accuracy of each model but the first also stands as its difference from the first, in points.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    shown = Table(box=None, padding=(0, 1))
    for heading in ("model", "network"):
        shown.add_column(heading, no_wrap=True)
    labelled = any(row.mean_iou is not None for row in rows)
    headings = ["mean IoU %", "overall %"] if labelled else []
    headings += ["parameters", "file MB", "GFLOPs/Mpx", "Mpx/s here", "peak MB"]
    for heading in headings:
        shown.add_column(heading, justify="right")
    for row in rows:
        accuracy = [_share(row.mean_iou, rows[0].mean_iou, first=row is rows[0]),
                    _share(row.overall, rows[0].overall, first=row is rows[0])]  # fmt: skip
        cells = [
            f"{row.parameters:,}",
            f"{row.file_size / 1e6:.2f}",
            "-" if row.gflops is None else f"{row.gflops:.1f}",
            f"{row.speed:.3g}",
            "-" if row.memory is None else f"{row.memory / 1e6:.0f}",
        ]
        shown.add_row(escape(row.name), row.architecture, *(accuracy if labelled else []), *cells)
    console = Console(width=width, file=io.StringIO(), record=True, color_system=None)
    console.print(shown)
    return console.export_text().rstrip()


def _share(value: float | None, reference: float | None, *, first: bool) -> str:
    if value is None:
        return "-"
    change = "" if first or reference is None else f" ({100 * (value - reference):+.2f})"
    return f"{100 * value:.2f}{change}"
