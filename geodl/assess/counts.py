"""All that is summed over the windows of a map, and over several maps."""

from collections.abc import Mapping

import numpy as np

from geodl.assess.boundary import BoundaryCounts, Tolerance
from geodl.assess.calibration import ConfidenceCounts, ConfidenceMap
from geodl.assess.classmap import ClassMap
from geodl.assess.confusion import IGNORE, accuracy, confusion_matrix
from geodl.assess.labels import Labels
from geodl.assess.result import Assessment, BoundaryAccuracy
from geodl.tiles import Window


class Counts:
    """Sums over pixels with a class in both the reference and the map.

    Parameters
    ----------
    tolerance : Tolerance, optional
        Outlines are compared where it is given.
    """

    def __init__(self, tolerance: Tolerance | None = None) -> None:
        self.matrix = np.zeros((IGNORE, IGNORE), dtype=np.int64)
        self._boundary = None if tolerance is None else BoundaryCounts(tolerance)
        self._confidence: ConfidenceCounts | None = None

    def add(self, window: Window, mapped: ClassMap, labels: Labels, trust: ConfidenceMap | None) -> None:
        """Read one window of a map, of its reference and of its confidence, and count its pixels."""
        read = window
        if self._boundary is not None:
            read = self._boundary.tolerance.around(window, mapped.grid.height, mapped.grid.width)
        inside = window.relative_to(read).slices
        wide_reference, wide_map = labels.read(read), mapped.read(read)
        reference, classes = wide_reference[inside], wide_map[inside]
        self.matrix += confusion_matrix(reference, classes, IGNORE)
        if self._boundary is not None:
            self._boundary.add(wide_reference, wide_map, inside)
        if trust is not None:
            self._confidence = self._confidence or ConfidenceCounts()
            known = (reference != IGNORE) & (classes != IGNORE)
            self._confidence.add(trust.read(window)[known], (reference == classes)[known])

    def merge(self, other: "Counts") -> None:
        """Add the sums over another map."""
        self.matrix += other.matrix
        if other._boundary is not None:
            if self._boundary is None:
                self._boundary = BoundaryCounts(other._boundary.tolerance)
            self._boundary.merge(other._boundary)
        if other._confidence is not None:
            self._confidence = self._confidence or ConfidenceCounts()
            self._confidence.merge(other._confidence)

    def result(self, map_path: str, reference: str, named: Mapping[int, str]) -> Assessment:
        """Return what the sums say about the classes that occur or have a name."""
        occurring = set(np.flatnonzero(self.matrix.any(axis=0) | self.matrix.any(axis=1)).tolist())
        values = sorted(occurring | {value for value in named if 0 <= value < IGNORE})
        matrix = self.matrix[np.ix_(values, values)]
        boundary: BoundaryAccuracy | None = None
        if self._boundary is not None:
            iou = tuple(self._boundary.iou(values).tolist())
            boundary = BoundaryAccuracy(tolerance=self._boundary.tolerance.pixels, iou=iou)
        return Assessment(
            map=map_path,
            reference=reference,
            values=tuple(values),
            matrix=matrix,
            accuracy=accuracy(matrix, [named.get(value, str(value)) for value in values]),
            boundary=boundary,
            calibration=None if self._confidence is None else self._confidence.result(),
        )
