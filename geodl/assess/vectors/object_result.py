"""What a comparison of polygons found, as values and as tables."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geodl.assess.result import percent, printed
from geodl.assess.vectors.numbers import nothing_to_draw, number, ratio

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Objects:
    """The objects of one layer."""

    count: int
    vertices: int
    """Corners of all of them, holes included."""

    @property
    def vertices_per_object(self) -> float:
        """Mean number of corners; NaN without objects."""
        return ratio(self.vertices, self.count)


@dataclass(frozen=True, kw_only=True)
class ObjectAccuracy:
    """Accuracy at one threshold; fractions in 0..1, NaN where undefined."""

    threshold: float
    matches: int
    precision: float
    recall: float
    f1: float
    mean_iou: float
    """Mean IoU of the matches."""


@dataclass(frozen=True, kw_only=True)
class ObjectAssessment:
    """How well polygons agree with those of a reference.

    Parameters
    ----------
    map, reference : str
        The files compared.
    map_objects, reference_objects : Objects
        How many there are, inside the area of interest.
    thresholds : tuple of float
        A match has an IoU of more than this.
    match_iou : numpy.ndarray of float64
        IoU of each match at the lowest threshold, shape (n,), highest first.
    match_turning : numpy.ndarray of float64
        Turning-angle error of each match in degrees, shape (n,); NaN where one was clipped.
    area_iou : float
        Ground covered by both over ground covered by either, whatever belongs to which object.
    boundary_iou : float
        The same for the ground within `boundary_metres` of the outlines.
    boundary_metres : float
        Inside the objects.
    """

    map: str
    reference: str
    map_objects: Objects
    reference_objects: Objects
    thresholds: tuple[float, ...]
    match_iou: np.ndarray
    match_turning: np.ndarray
    area_iou: float
    boundary_iou: float
    boundary_metres: float

    @property
    def turning_angle_error(self) -> float:
        """Mean over the matches at the lowest threshold, in degrees; NaN where there are none."""
        known = self.match_turning[~np.isnan(self.match_turning)]
        return float(known.mean()) if len(known) else math.nan

    @property
    def accuracies(self) -> tuple[ObjectAccuracy, ...]:
        """Accuracy at each threshold."""
        return tuple(self.accuracy(threshold) for threshold in self.thresholds)

    def accuracy(self, threshold: float) -> ObjectAccuracy:
        """Accuracy at one threshold, not below the lowest of `thresholds`."""
        iou = self.match_iou[self.match_iou > threshold]
        mapped, reference = self.map_objects.count, self.reference_objects.count
        return ObjectAccuracy(
            threshold=threshold,
            matches=len(iou),
            precision=ratio(len(iou), mapped),
            recall=ratio(len(iou), reference),
            f1=ratio(2 * len(iou), mapped + reference),
            mean_iou=ratio(float(iou.sum()), len(iou)),
        )

    def summary(self) -> str:
        """Say the most important figures in one line."""
        first = self.accuracies[0]
        return f"F1 {first.f1:.3f} at IoU {first.threshold:g}, IoU of the ground covered {self.area_iou:.3f}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: NaN becomes None."""
        return {
            "map": self.map,
            "reference": self.reference,
            "kind": "objects",
            "map_objects": self.map_objects.count,
            "reference_objects": self.reference_objects.count,
            "map_vertices_per_object": number(self.map_objects.vertices_per_object),
            "reference_vertices_per_object": number(self.reference_objects.vertices_per_object),
            "thresholds": [
                {
                    "iou": found.threshold,
                    "matches": found.matches,
                    "precision": number(found.precision),
                    "recall": number(found.recall),
                    "f1": number(found.f1),
                    "mean_iou": number(found.mean_iou),
                }
                for found in self.accuracies
            ],
            "area_iou": number(self.area_iou),
            "boundary_iou": number(self.boundary_iou),
            "boundary_metres": self.boundary_metres,
            "turning_angle_error": number(self.turning_angle_error),
        }

    def to_text(self, width: int = 110) -> str:
        """Return the figures as tables of plain characters."""
        return printed(_match_table(self), _shape_table(self), width=width)

    def save_png(self, path: Path) -> None:
        """Refuse: there is no picture of a comparison of polygons."""
        nothing_to_draw(path)


def _match_table(found: ObjectAssessment) -> "Table":
    from rich.table import Table

    mapped, reference = found.map_objects.count, found.reference_objects.count
    shown = Table(title="Objects, in %", caption=f"{mapped:,} in the map, {reference:,} in the reference")
    for heading in ("IoU above", "matches", "precision", "recall", "F1", "mean IoU"):
        shown.add_column(heading, justify="right")
    for each in found.accuracies:
        shares = map(percent, (each.precision, each.recall, each.f1, each.mean_iou))
        shown.add_row(f"{each.threshold:g}", f"{each.matches:,}", *shares)
    return shown


def _shape_table(found: ObjectAssessment) -> "Table":
    from rich.table import Table

    shown = Table(title="Ground and outlines")
    shown.add_column("")
    shown.add_column("", justify="right")
    shown.add_row("area IoU", f"{percent(found.area_iou)} %")
    shown.add_row(f"boundary IoU ({found.boundary_metres:g} m)", f"{percent(found.boundary_iou)} %")
    error = found.turning_angle_error
    shown.add_row("turning-angle error of matches", "-" if math.isnan(error) else f"{error:.1f}°")
    for name, objects in (("map", found.map_objects), ("reference", found.reference_objects)):
        each = objects.vertices_per_object
        shown.add_row(f"vertices per object, {name}", "-" if math.isnan(each) else f"{each:.1f}")
    return shown
