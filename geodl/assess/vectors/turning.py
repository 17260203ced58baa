"""How much the directions of two outlines differ on the way around.

The tangent angle of an outline as a function of the way along it, the whole way being 1, is its turning
function (Arkin, Chew, Huttenlocher, Kedem and Mitchell, *An efficiently computable metric for comparing
polygonal shapes*, IEEE PAMI 13, 1991, doi:10.1109/34.75509). Here two of them are compared as they lie: the
start of the way is free, turning a polygon is an error. Where an outline lies and how large it is does not
matter: that is told by IoU. The tangent angle error of Girard et al. (CVPR 2021, arXiv:2004.14875) is a
relative, but takes the greatest difference, which a single step of a pixel drives to 90 degrees.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

_SAMPLES = 256
"""Places around the outline at which all starts are tried; the best is refined to where corners meet."""

_REFINED = 64
"""How many of the meetings near the best start are tried."""


@dataclass(frozen=True)
class _Turning:
    """Tangent angles in degrees from each of the starts, ascending in 0..1, to the next one."""

    starts: np.ndarray
    angles: np.ndarray

    def at(self, way: np.ndarray) -> np.ndarray:
        return self.angles[np.searchsorted(self.starts, way % 1, side="right") - 1]


def turning_angle_error(mapped: Any, reference: Any) -> float:
    """Mean difference between the directions of two outlines on the way around them, in degrees: 0..180.

    Parameters
    ----------
    mapped, reference : shapely.Polygon or shapely.MultiPolygon
        In metres. The outer outline of the largest part counts.

    >>> square = shapely.box(0, 0, 10, 10)
    >>> round(turning_angle_error(shapely.affinity.rotate(square, 20), square), 3)
    20.0
    """
    one, other = _turning(mapped), _turning(reference)
    coarse = _sampled(one, other)
    # Between two meetings of corners the error changes linearly with the start: it is least at one of them.
    meetings = (other.starts[:, None] - one.starts).ravel() % 1
    distance = np.abs((meetings - coarse + 0.5) % 1 - 0.5)
    near = np.argsort(distance, kind="stable")[:_REFINED]
    near = near[distance[near] <= 1.0 / _SAMPLES]
    return min(_error(one, other, start) for start in [coarse, *meetings[near].tolist()])


def _turning(polygon: Any) -> _Turning:
    parts = shapely.get_parts(polygon)
    largest = shapely.orient_polygons(parts[shapely.area(parts).argmax()])
    points = shapely.get_coordinates(largest.exterior)
    along = np.diff(points, axis=0)
    length = np.hypot(along[:, 0], along[:, 1])
    along, length = along[length > 0], length[length > 0]
    ends = np.cumsum(length)
    return _Turning((ends - length) / ends[-1], np.degrees(np.arctan2(along[:, 1], along[:, 0])))


def _sampled(one: _Turning, other: _Turning) -> float:
    """Start on `other`, one of `_SAMPLES`, at which the error is about least."""
    places = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    # Angles as whole numbers, 65536 to a full turn: their differences wrap around by themselves.
    here, there = (np.round(each.at(places) * (65536 / 360)).astype(np.int64) for each in (one, other))
    ahead = np.lib.stride_tricks.sliding_window_view(np.tile(there.astype(np.int16), 2), _SAMPLES)
    apart = np.abs(ahead[:_SAMPLES] - here.astype(np.int16)).view(np.uint16)  # (starts, places)
    return float(apart.sum(axis=1, dtype=np.uint32).argmin() / _SAMPLES)


def _error(one: _Turning, other: _Turning, start: float) -> float:
    """Mean difference where the way around `other` begins at `start`."""
    breaks = np.sort(np.concatenate([one.starts, (other.starts - start) % 1]))
    length = np.diff(breaks, append=breaks[0] + 1)
    middle = breaks + length / 2
    return float((_apart(other.at(middle + start) - one.at(middle)) * length).sum())


def _apart(difference: np.ndarray) -> np.ndarray:
    return np.abs((difference + 180) % 360 - 180)
