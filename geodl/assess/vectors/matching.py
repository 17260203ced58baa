"""Which object of the map is which object of the reference."""

from dataclasses import dataclass

import numpy as np
import shapely

from geodl.assess.vectors.layer import Features
from geodl.assess.vectors.turning import turning_angle_error


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Objects of the reference and of the map that overlap; all arrays have the shape (n,).

    Parameters
    ----------
    reference, mapped : numpy.ndarray of int64
        Numbers of the objects in their files.
    iou : numpy.ndarray of float64
        Intersection over union.
    turning : numpy.ndarray of float64
        Turning-angle error in degrees; NaN where one of the two was clipped.
    """

    reference: np.ndarray
    mapped: np.ndarray
    iou: np.ndarray
    turning: np.ndarray

    @classmethod
    def joined(cls, parts: list["Pairs"]) -> "Pairs":
        """Put parts one after the other."""
        if not parts:
            none, nothing = np.zeros(0, np.int64), np.zeros(0)
            return cls(reference=none, mapped=none, iou=nothing, turning=nothing)
        return cls(
            reference=np.concatenate([part.reference for part in parts]),
            mapped=np.concatenate([part.mapped for part in parts]),
            iou=np.concatenate([part.iou for part in parts]),
            turning=np.concatenate([part.turning for part in parts]),
        )

    def __getitem__(self, chosen: np.ndarray) -> "Pairs":
        return Pairs(
            reference=self.reference[chosen],
            mapped=self.mapped[chosen],
            iou=self.iou[chosen],
            turning=self.turning[chosen],
        )

    def __len__(self) -> int:
        return len(self.iou)


def overlapping(reference: Features, mapped: Features, above: float) -> Pairs:
    """Pair the objects whose intersection over union is more than `above`."""
    tree = shapely.STRtree(mapped.geometry)
    r, m = tree.query(reference.geometry, predicate="intersects")
    common = shapely.area(shapely.intersection(reference.geometry[r], mapped.geometry[m]))
    iou = common / (shapely.area(reference.geometry[r]) + shapely.area(mapped.geometry[m]) - common)
    kept = iou > above
    r, m, iou = r[kept], m[kept], iou[kept]
    return Pairs(
        reference=reference.ids[r], mapped=mapped.ids[m], iou=iou, turning=_turning(reference[r], mapped[m])
    )


def matched(pairs: Pairs) -> Pairs:
    """Keep the pairs that make matches: each object occurs at most once, the best pairs first.

    The rule of SpaceNet (Van Etten, Lindenbaum and Bacastow 2018, arXiv:1807.01232): an object of the
    reference is found by at most one of the map. There the objects of the map choose in the order of
    the file; here the pair with the highest IoU comes first, so that the order does not matter. Above
    an IoU of 0.5 both are the same where the objects of a layer do not overlap each other. The matches
    of a higher threshold are those among these that exceed it.
    """
    order = np.lexsort((pairs.mapped, pairs.reference, -pairs.iou))
    taken_reference: set[int] = set()
    taken_mapped: set[int] = set()
    chosen = []
    for place, r, m in zip(
        order.tolist(), pairs.reference[order].tolist(), pairs.mapped[order].tolist(), strict=True
    ):
        if r not in taken_reference and m not in taken_mapped:
            taken_reference.add(r)
            taken_mapped.add(m)
            chosen.append(place)
    return pairs[np.array(chosen, dtype=np.intp)]


def _turning(reference: Features, mapped: Features) -> np.ndarray:
    clipped = reference.clipped | mapped.clipped
    return np.array(
        [
            np.nan if cut else turning_angle_error(m, r)
            for m, r, cut in zip(mapped.geometry, reference.geometry, clipped.tolist(), strict=True)
        ],
        dtype=np.float64,
    )
