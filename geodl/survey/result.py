"""What points say about a map, as values, tables and a picture."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geodl.assess.estimate import Estimate, SampleEstimate
from geodl.assess.result import percent, plain, printed

if TYPE_CHECKING:
    from rich.table import Table

HECTARE = 1e4


@dataclass(frozen=True, kw_only=True)
class AreaAssessment:
    """Accuracies and areas with 95 % intervals.

    Parameters
    ----------
    map, points : str
        The files compared.
    names : tuple of str
        One name per class of `estimate`.
    mapped : tuple of float
        Area of each class in the map, in m².
    area : float
        Area that the estimates are about, in m².
    estimate : SampleEstimate
        Shares of that area, and accuracies.
    unanswered : int
        Points without an answer.
    notes : tuple of str
        What a reader of the figures must know.
    """

    map: str
    points: str
    names: tuple[str, ...]
    mapped: tuple[float, ...]
    area: float
    estimate: SampleEstimate
    unanswered: int
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; areas in hectares, undefined numbers None."""
        found, hectares = self.estimate, self.area / HECTARE
        return {
            "map": self.map,
            "points": self.points,
            "answered": int(found.counts.sum()),
            "unanswered": self.unanswered,
            "area_ha": round(hectares, 4),
            "overall_accuracy": found.overall.to_dict(),
            "classes": [
                {
                    "value": value,
                    "name": self.names[k],
                    "mapped_area_ha": round(self.mapped[k] / HECTARE, 4),
                    "area_ha": found.shares[k].to_dict(hectares),
                    "share": found.shares[k].to_dict(),
                    "users_accuracy": found.users[k].to_dict(),
                    "producers_accuracy": found.producers[k].to_dict(),
                }
                for k, value in enumerate(found.classes)
            ],
            "points_by_map_and_reference": found.counts.tolist(),
            "area_by_map_and_reference": np.round(found.matrix, 8).tolist(),
            "notes": list(self.notes),
        }

    def to_text(self, width: int = 110) -> str:
        """Return areas and accuracies by class and the error matrix as tables of plain characters."""
        notes = [f"note: {plain(note)}" for note in self.notes]
        return printed(self._class_table(), self._matrix_table(), *notes, width=width)

    def _class_table(self) -> "Table":
        from rich.table import Table

        overall = f"overall accuracy {_with_interval(self.estimate.overall)} %"
        shown = Table(
            title="Areas in ha and accuracies in %, ± half a 95 % interval",
            caption=f"{int(self.estimate.counts.sum()):,} points: {overall}",
        )
        shown.add_column("class")
        for heading in ("area in the map", "estimated area", "user's accuracy", "producer's accuracy"):
            shown.add_column(heading, justify="right")
        for k, share in enumerate(self.estimate.shares):
            hectares = self.area / HECTARE
            shown.add_row(
                plain(self.names[k]),
                f"{self.mapped[k] / HECTARE:,.1f}",
                f"{share.value * hectares:,.1f} ± {_or_dash(share.half_width * hectares, ',.1f')}",
                _with_interval(self.estimate.users[k]),
                _with_interval(self.estimate.producers[k]),
            )
        return shown

    def _matrix_table(self) -> "Table":
        from rich.table import Table

        shown = Table(title="% of the area (points): map in rows, reference in columns")
        shown.add_column("")
        for name in self.names:
            shown.add_column(plain(name), justify="right")
        rows = zip(self.names, self.estimate.matrix, self.estimate.counts, strict=True)
        for name, shares, counts in rows:
            cells = zip(shares.tolist(), counts.tolist(), strict=True)
            shown.add_row(plain(name), *(f"{100 * share:.2f} ({count})" for share, count in cells))
        return shown

    def save_png(self, path: str | Path) -> None:
        """Draw the area of each class in the map and as estimated, with its interval, into a PNG file."""
        from matplotlib.figure import Figure  # without pyplot: no window system, no global state

        count, hectares = len(self.names), self.area / HECTARE
        figure = Figure(figsize=(7, 1.6 + 0.5 * count), layout="constrained")
        axes = figure.add_subplot()
        places = np.arange(count)
        estimates = np.array([share.value for share in self.estimate.shares]) * hectares
        errors = np.array([share.half_width for share in self.estimate.shares]) * hectares
        axes.barh(places - 0.2, np.array(self.mapped) / HECTARE, 0.35, color="#b0b0b0", label="in the map")
        axes.barh(
            places + 0.2,
            estimates,
            0.35,
            xerr=np.nan_to_num(errors),
            color="#4c78a8",
            ecolor="#222222",
            capsize=3,
            label="estimated from points, with 95 % interval",
        )
        axes.set_yticks(places, [name.replace("$", r"\$") for name in self.names])
        axes.invert_yaxis()
        axes.set(xlabel="area in hectares", xlim=(0, None))
        axes.set_title(f"overall accuracy {_with_interval(self.estimate.overall)} %", fontsize=10)
        figure.legend(loc="outside lower center", ncols=2, fontsize=8)
        figure.savefig(path, dpi=110)


def _with_interval(found: Estimate) -> str:
    if math.isnan(found.value):
        return "-"
    return f"{percent(found.value)} ± {percent(found.half_width)}"


def _or_dash(value: float, form: str) -> str:
    return "-" if math.isnan(value) else f"{value:{form}}"
