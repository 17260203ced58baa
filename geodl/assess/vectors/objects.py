"""Polygons against polygons: which objects were found, and how well they are drawn.

Both layers are read square by square. Every object counts in the square that its representative point lies
in, every piece of ground in its own square: the result does not depend on the squares, and memory holds
the objects of one of them, and 32 bytes for each pair of objects that may be a match.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from geodl.assess.vectors.cells import Cell, cells
from geodl.assess.vectors.covered import covered_areas
from geodl.assess.vectors.layer import Box, Features, Layer
from geodl.assess.vectors.matching import Pairs, matched, overlapping
from geodl.assess.vectors.object_result import ObjectAssessment, Objects
from geodl.assess.vectors.outlines import inner_band, vertices
from geodl.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class ObjectOptions:
    """What is told of polygons.

    Parameters
    ----------
    iou : tuple of float
        Thresholds, 0 to below 1: a match has an intersection over union of more than this.
    boundary : float
        Distance in metres from the outlines within which boundary IoU looks.
    side : float, optional
        Side of the squares that are read, in metres; changes memory and speed, never the result.
    """

    iou: tuple[float, ...] = (0.5,)
    boundary: float = 1.0
    side: float | None = None

    def __post_init__(self) -> None:
        if not self.iou or not all(0 <= value < 1 for value in self.iou):
            shown = ", ".join(map(str, self.iou))
            raise OptionError(f"--iou {shown}", "is not from 0 to below 1", "give for instance 0.5")
        if not 0 < self.boundary < np.inf:
            raise OptionError(f"--boundary {self.boundary}m", "is no distance", "give for instance 1m")


def assess_objects(mapped: Layer, reference: Layer, how: ObjectOptions) -> ObjectAssessment:
    """Compare two layers of polygons in the same metric CRS.

    Raises
    ------
    SceneError
        A file is damaged.
    """
    sums = _Sums(how)
    boxes = [layer.bounds for layer in (mapped, reference) if layer.box is not None]
    bounds = _around(boxes, reference)
    for cell in cells(bounds, max(mapped.count, reference.count), how.side):
        sums.add(cell, mapped, reference)
    return sums.result(mapped, reference)


class _Sums:
    """What is added up over the squares."""

    def __init__(self, how: ObjectOptions) -> None:
        self._how = how
        self._pairs: list[Pairs] = []
        self._counts = np.zeros((2, 2), np.int64)  # (reference, map) x (objects, vertices)
        self._area = np.zeros(3)  # m² of the reference, of the map, of both
        self._band = np.zeros(3)

    def add(self, cell: Cell, mapped: Layer, reference: Layer) -> None:
        of_reference, of_map = reference.read(cell.box), mapped.read(cell.box)
        own = of_reference[cell.owns(of_reference.geometry)]
        for row, features in enumerate((own, of_map[cell.owns(of_map.geometry)])):
            self._counts[row] += len(features), vertices(features.whole).sum()
        self._area += covered_areas(cell.cut(of_reference.geometry), cell.cut(of_map.geometry))
        self._band += covered_areas(
            *(self._bands(cell, features, reference.area) for features in (of_reference, of_map))
        )
        if len(own):
            # Objects of the square may reach out of it, and so may what overlaps them.
            near = mapped.read(_around([tuple(shapely.total_bounds(own.geometry)), cell.box]))
            pairs = overlapping(own, near, min(self._how.iou))
            if len(pairs):
                self._pairs.append(pairs)

    def result(self, mapped: Layer, reference: Layer) -> ObjectAssessment:
        found = matched(Pairs.joined(self._pairs))
        objects = [Objects(*row) for row in self._counts.tolist()]
        return ObjectAssessment(
            map=str(mapped.path),
            reference=str(reference.path),
            reference_objects=objects[0],
            map_objects=objects[1],
            thresholds=self._how.iou,
            match_iou=found.iou,
            match_turning=found.turning,
            area_iou=_iou(self._area),
            boundary_iou=_iou(self._band),
            boundary_metres=self._how.boundary,
        )

    def _bands(self, cell: Cell, features: Features, area: Any) -> np.ndarray:
        """Ground near outlines, in the cell; the border of the area of interest is no outline."""
        bands = cell.cut(inner_band(features.whole, self._how.boundary))
        return bands if area is None else shapely.intersection(bands, area)


def _iou(areas: np.ndarray) -> float:
    one, other, both = areas.tolist()
    either = one + other - both
    return both / either if either > 0 else float("nan")


def _around(boxes: list[Box], layer: Layer | None = None) -> Box:
    """Smallest rectangle around some, within a layer's area of interest."""
    corners = np.array(boxes)
    left, bottom = corners[:, :2].min(axis=0)
    right, top = corners[:, 2:].max(axis=0)
    if layer is not None and layer.area is not None:
        area = shapely.bounds(shapely.buffer(layer.area, 1, join_style="mitre"))
        left, bottom = max(left, area[0]), max(bottom, area[1])
        right, top = min(right, area[2]), min(top, area[3])
    return float(left), float(bottom), float(right), float(top)
