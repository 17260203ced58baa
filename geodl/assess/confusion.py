"""The confusion matrix, and the accuracy measures that follow from it.

Definitions as in Congalton and Green, *Assessing the Accuracy of Remotely Sensed Data* (3rd ed.,
2019), chapters 5 and 7: recall is producer's accuracy, precision is user's accuracy.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

IGNORE = 255


def confusion_matrix(reference: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Count pixels by reference class (rows) and predicted class (columns).

    Parameters
    ----------
    reference, predicted : numpy.ndarray of uint8
        Class numbers ``0..classes-1`` in arrays of the same shape. Pixels where either holds
        anything else (255 = nodata) are left out.
    classes : int
        Number of classes.

    Returns
    -------
    numpy.ndarray
        int64, shape ``(classes, classes)``. Matrices of parts add up to that of the whole.

    >>> confusion_matrix(np.array([0, 0, 1, 255], "u1"), np.array([0, 1, 1, 1], "u1"), 2)
    array([[1, 1],
           [0, 1]])
    """
    kept = (reference < classes) & (predicted < classes)
    pairs = reference[kept].astype(np.int64) * classes + predicted[kept]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


@dataclass(frozen=True, kw_only=True)
class ClassAccuracy:
    """Accuracy of one class; fractions in 0..1, NaN where the class makes them undefined."""

    name: str
    pixels: int
    """Reference pixels of this class."""
    precision: float
    recall: float
    f1: float
    iou: float


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Accuracy of a map; fractions in 0..1, NaN where undefined.

    `mean_iou` and `mean_f1` are averages over the classes that occur in the reference or in the map.
    """

    pixels: int
    overall: float
    mean_iou: float
    mean_f1: float
    kappa: float
    classes: tuple[ClassAccuracy, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON: NaN becomes None."""
        return {
            "pixels": self.pixels,
            "overall_accuracy": _number(self.overall),
            "mean_iou": _number(self.mean_iou),
            "mean_f1": _number(self.mean_f1),
            "kappa": _number(self.kappa),
            "classes": [
                {
                    "name": c.name,
                    "pixels": c.pixels,
                    "precision": _number(c.precision),
                    "recall": _number(c.recall),
                    "f1": _number(c.f1),
                    "iou": _number(c.iou),
                }
                for c in self.classes
            ],
        }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 6)


def accuracy(matrix: np.ndarray, names: list[str]) -> Accuracy:
    """Derive the accuracy measures from a confusion matrix.

    Parameters
    ----------
    matrix : numpy.ndarray
        Counts, shape ``(classes, classes)``, reference in rows.
    names : list of str
        One name per class.

    >>> accuracy(np.array([[3, 1], [0, 4]]), ["water", "land"]).overall
    0.875
    """
    matrix = matrix.astype(np.float64)
    total, hits = matrix.sum(), np.diag(matrix)
    actual, mapped = matrix.sum(axis=1), matrix.sum(axis=0)
    precision, recall = _ratio(hits, mapped), _ratio(hits, actual)
    iou, f1 = _ratio(hits, actual + mapped - hits), _ratio(2 * hits, actual + mapped)
    overall = float(_ratio(hits.sum(), total))
    chance = float(_ratio(actual @ mapped, total**2))
    return Accuracy(
        pixels=int(total),
        overall=overall,
        mean_iou=_mean(iou),
        mean_f1=_mean(f1),
        kappa=float(_ratio(overall - chance, 1 - chance)),
        classes=tuple(
            ClassAccuracy(
                name=name,
                pixels=int(actual[k]),
                precision=float(precision[k]),
                recall=float(recall[k]),
                f1=float(f1[k]),
                iou=float(iou[k]),
            )
            for k, name in enumerate(names)
        ),
    )


def _ratio(above: Any, below: Any) -> np.ndarray:
    """Quotient with NaN, and no warning, where the denominator is 0."""
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    return np.divide(above, below, out=np.full(below.shape, np.nan), where=below != 0)


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else math.nan
