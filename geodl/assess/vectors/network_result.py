"""What a comparison of networks found, as values and as tables."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geodl.assess.result import percent, printed
from geodl.assess.vectors.apls import PathSimilarity
from geodl.assess.vectors.network import Network
from geodl.assess.vectors.numbers import nothing_to_draw, number

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class NetworkSize:
    """How large a network is."""

    metres: float
    edges: int
    nodes: int
    parts: int
    """Separate networks."""

    @classmethod
    def of(cls, network: Network) -> "NetworkSize":
        """Measure a network."""
        return cls(network.length, len(network.edges), len(network.nodes), network.parts)


@dataclass(frozen=True, kw_only=True)
class RelaxedAccuracy:
    """Accuracy with a buffer; fractions in 0..1, NaN where undefined."""

    buffer: float
    """In metres."""
    precision: float
    """Correctness: share of the map's length within the buffer around the reference."""
    recall: float
    """Completeness: share of the reference's length within the buffer around the map."""

    @property
    def f1(self) -> float:
        """Harmonic mean of both; 0 where nothing was found, or nothing drawn."""
        if not (self.precision > 0 and self.recall > 0):
            return 0.0
        return 2 * self.precision * self.recall / (self.precision + self.recall)


@dataclass(frozen=True, kw_only=True)
class NetworkAssessment:
    """How well lines agree with those of a reference.

    Parameters
    ----------
    map, reference : str
        The files compared.
    map_size, reference_size : NetworkSize
        The networks, inside the area of interest.
    relaxed : tuple of RelaxedAccuracy
        One for each buffer.
    paths : PathSimilarity
        With the APLS.
    """

    map: str
    reference: str
    map_size: NetworkSize
    reference_size: NetworkSize
    relaxed: tuple[RelaxedAccuracy, ...]
    paths: PathSimilarity

    def summary(self) -> str:
        """Say the most important figures in one line."""
        near = self.relaxed[0]
        return f"APLS {self.paths.apls:.3f}, relaxed F1 ({near.buffer:g} m) {near.f1:.3f}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: NaN becomes None."""
        return {
            "map": self.map,
            "reference": self.reference,
            "kind": "network",
            "map_network": _size(self.map_size),
            "reference_network": _size(self.reference_size),
            "relaxed": [
                {
                    "buffer_metres": found.buffer,
                    "precision": number(found.precision),
                    "recall": number(found.recall),
                    "f1": number(found.f1),
                }
                for found in self.relaxed
            ],
            "apls": number(self.paths.apls),
            "apls_reference_to_map": number(self.paths.reference_to_map),
            "apls_map_to_reference": number(self.paths.map_to_reference),
            "ways": list(self.paths.ways),
        }

    def to_text(self, width: int = 110) -> str:
        """Return the figures as tables of plain characters."""
        return printed(_accuracy_table(self), _size_table(self), width=width)

    def save_png(self, path: Path) -> None:
        """Refuse: there is no picture of a comparison of lines."""
        nothing_to_draw(path)


def _size(size: NetworkSize) -> dict[str, Any]:
    return {
        "metres": round(size.metres, 3),
        "edges": size.edges,
        "nodes": size.nodes,
        "separate_parts": size.parts,
    }


def _accuracy_table(found: NetworkAssessment) -> "Table":
    from rich.table import Table

    paths = found.paths
    shown = Table(title="Network, in %", caption=f"APLS over {sum(paths.ways):,} ways")
    shown.add_column("")
    for heading in ("precision", "recall", "F1"):
        shown.add_column(heading, justify="right")
    for each in found.relaxed:
        shares = map(percent, (each.precision, each.recall, each.f1))
        shown.add_row(f"length within {each.buffer:g} m", *shares)
    both = map(percent, (paths.map_to_reference, paths.reference_to_map, paths.apls))
    shown.add_row("ways (APLS)", *both)
    return shown


def _size_table(found: NetworkAssessment) -> "Table":
    from rich.table import Table

    shown = Table(title="Size")
    shown.add_column("")
    for heading in ("km", "edges", "nodes", "separate parts"):
        shown.add_column(heading, justify="right")
    for name, size in (("map", found.map_size), ("reference", found.reference_size)):
        counts = (f"{count:,}" for count in (size.edges, size.nodes, size.parts))
        shown.add_row(name, f"{size.metres / 1000:,.2f}", *counts)
    return shown
