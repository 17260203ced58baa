"""What an assessment found, as values, tables and pictures."""

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geodl.assess.calibration import Calibration
from geodl.assess.confusion import Accuracy

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, kw_only=True)
class BoundaryAccuracy:
    """How well outlines agree.

    Parameters
    ----------
    tolerance : int
        Distance from an outline, in pixels of the map.
    iou : tuple of float
        Boundary IoU by class, 0..1; NaN where a class has no outline.
    """

    tolerance: int
    iou: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the classes that have an outline."""
        known = [value for value in self.iou if not math.isnan(value)]
        return sum(known) / len(known) if known else math.nan


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """How well a map agrees with a reference.

    Parameters
    ----------
    map, reference : str
        The files compared.
    values : tuple of int
        Raster value of each class, in the order of the matrix.
    matrix : numpy.ndarray
        Pixels by reference class (rows) and map class (columns); int64.
    accuracy : Accuracy
        What follows from the matrix; names the classes.
    boundary : BoundaryAccuracy, optional
        Where a tolerance was given.
    calibration : Calibration, optional
        Where the confidence of the map was given.
    """

    map: str
    reference: str
    values: tuple[int, ...]
    matrix: np.ndarray
    accuracy: Accuracy
    boundary: BoundaryAccuracy | None = None
    calibration: Calibration | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        found = {
            "map": self.map,
            "reference": self.reference,
            **self.accuracy.to_dict(),
            "values": list(self.values),
            "matrix": self.matrix.tolist(),
        }
        if self.boundary is not None:
            found["boundary"] = {
                "tolerance_pixels": self.boundary.tolerance,
                "mean_iou": _number(self.boundary.mean),
                "iou": [_number(value) for value in self.boundary.iou],
            }
        if self.calibration is not None:
            found["calibration"] = self.calibration.to_dict()
        return found

    def to_text(self, width: int = 110) -> str:
        """Return the accuracy by class and the confusion matrix as tables of plain characters."""
        return printed(_accuracy_table(self), _matrix_table(self), width=width)

    def save_png(self, path: str | Path) -> None:
        """Draw the matrix, each row as shares of its reference class, into a PNG file."""
        _draw_matrix(Path(path), self)


def printed(*parts: Any, width: int = 110) -> str:
    """Tables as plain characters."""
    from rich.console import Console

    console = Console(width=width, file=io.StringIO(), record=True, color_system=None)
    console.print(*parts, sep="\n")
    return console.export_text().rstrip()


def percent(value: float) -> str:
    """Write a share as percent with one decimal; a dash where it is undefined.

    >>> percent(0.876), percent(float("nan"))
    ('87.6', '-')
    """
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def plain(name: str) -> str:
    """Class names come from files: square brackets are no markup, control characters are dropped."""
    return "".join(c for c in name if c.isprintable()).replace("[", r"\[")


def _accuracy_table(found: Assessment) -> "Table":
    from rich.table import Table

    accuracy, boundary = found.accuracy, found.boundary
    shown = Table(title="Accuracy in %", caption=_summary(found))
    shown.add_column("class")
    headings = ["reference pixels", "precision", "recall", "F1", "IoU"]
    if boundary is not None:
        headings.append(f"boundary IoU ({boundary.tolerance} px)")
    for heading in headings:
        shown.add_column(heading, justify="right")
    for number, c in enumerate(accuracy.classes):
        shares = [c.precision, c.recall, c.f1, c.iou]
        if boundary is not None:
            shares.append(boundary.iou[number])
        shown.add_row(plain(c.name), f"{c.pixels:,}", *map(percent, shares))
    return shown


def _summary(found: Assessment) -> str:
    accuracy = found.accuracy
    words = [
        f"{accuracy.pixels:,} pixels: overall {percent(accuracy.overall)}",
        f"mean IoU {percent(accuracy.mean_iou)}",
        f"mean F1 {percent(accuracy.mean_f1)}",
        f"kappa {accuracy.kappa:.3f}",
    ]
    if found.boundary is not None:
        words.append(f"mean boundary IoU {percent(found.boundary.mean)}")
    if found.calibration is not None:
        words.append(f"expected calibration error {percent(found.calibration.expected_error)}")
    return ", ".join(words)


def _matrix_table(found: Assessment) -> "Table":
    from rich.table import Table

    shown = Table(title="Pixels: reference in rows, map in columns")
    names = [plain(c.name) for c in found.accuracy.classes]
    shown.add_column("")
    for name in names:
        shown.add_column(name, justify="right")
    for name, row in zip(names, found.matrix.tolist(), strict=True):
        shown.add_row(name, *(f"{count:,}" for count in row))
    return shown


def _draw_matrix(path: Path, found: Assessment) -> None:
    from matplotlib.figure import Figure  # without pyplot: no window system, no global state

    count = len(found.values)
    totals = found.matrix.sum(axis=1, keepdims=True)
    shares = np.divide(found.matrix, totals, out=np.zeros(found.matrix.shape), where=totals > 0)
    # Dollar signs would start mathematics.
    names = [c.name.replace("$", r"\$") for c in found.accuracy.classes]
    side = 2.5 + 0.6 * count
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(count), names, rotation=45, ha="right")
    axes.set_yticks(range(count), names)
    axes.set(xlabel="map", ylabel="reference")
    axes.set_title(
        f"overall {percent(found.accuracy.overall)} %, mean IoU {percent(found.accuracy.mean_iou)} %",
        fontsize=10,
    )
    for row, column in np.ndindex(count, count):
        color = "white" if shares[row, column] > 0.5 else "black"
        text = f"{100 * shares[row, column]:.0f}"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
    figure.colorbar(image, label="share of the row", shrink=0.8)
    figure.savefig(path, dpi=110)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 6)
