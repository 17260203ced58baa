"""What is counted in a finished map: one pass over its blocks, in flat memory."""

from dataclasses import dataclass

import numpy as np
from affine import Affine

from geodl.page.subject import Subject
from geodl.tiles import Window
from geodl.vector.area import PixelAreas, measurable

NODATA = 255
_ROWS = 256  # of a window that are counted at a time


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Counts of a map, and the map at the size of a picture."""

    pixels: np.ndarray
    """int64, (256,): pixels of each value."""
    areas: np.ndarray | None
    """float64, (256,): true areas in m² of each value; None where pixels have no size on the earth."""
    percents: np.ndarray | None
    """int64, (101,): pixels of each whole percent of confidence; None where it was not asked for."""
    certainty: np.ndarray | None
    """float64, (256,): mean confidence of each value, 0 to 1; NaN of values that do not occur."""
    classes: np.ndarray
    """uint8, the reduced map."""
    confidence: np.ndarray
    """uint8, the reduced confidence in percent; 255 where there is none."""


def measure(subject: Subject) -> Measured:
    """Count the pixels, areas and confidence of a map.

    Parameters
    ----------
    subject : Subject

    Raises
    ------
    ProductError
        A finished block cannot be read.
    """
    known = "confidence" in subject.layers
    pixels, percents = np.zeros(256, np.int64), np.zeros(256, np.int64)
    areas, certain = np.zeros(256), np.zeros(256)
    on_earth = subject.crs is not None and measurable(subject.crs)
    reduced = {name: np.full(subject.reduced_shape, NODATA, np.uint8) for name in ("class", "confidence")}
    for window in subject.windows:
        inside, place = subject.thinned(window)
        classes = subject.read("class", window)
        reduced["class"][place] = classes[inside]
        pixels += np.bincount(classes.ravel(), minlength=256)
        if on_earth:
            areas += _areas(subject, window, classes)
        if known:
            percent = subject.read("confidence", window)
            reduced["confidence"][place] = percent[inside]
            percents += np.bincount(percent.ravel(), minlength=256)
            counted = np.where(percent == NODATA, 0, percent)
            certain += np.bincount(classes.ravel(), weights=counted.ravel(), minlength=256)
    with np.errstate(invalid="ignore"):
        certainty = certain / pixels / 100
    return Measured(
        pixels=pixels,
        areas=areas if on_earth else None,
        percents=percents[:101] if known else None,
        certainty=certainty if known else None,
        classes=reduced["class"],
        confidence=reduced["confidence"],
    )


def _areas(subject: Subject, window: Window, classes: np.ndarray) -> np.ndarray:
    """Areas in m² of the values in a window; pixels outside the domain of the projection have none."""
    assert subject.crs is not None
    corner = subject.transform * Affine.translation(window.col, window.row)
    ground = PixelAreas(subject.crs, corner, (window.height, window.width))
    areas = np.zeros(256)
    for start in range(0, window.height, _ROWS):
        stop = min(start + _ROWS, window.height)
        weights = np.nan_to_num(ground.rows(start, stop), posinf=0, neginf=0)
        areas += np.bincount(classes[start:stop].ravel(), weights=weights.ravel(), minlength=256)
    return areas
