"""Regions of equal value in a strip of rows: what is summed over them, and which join across a border."""

from dataclasses import dataclass, fields

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import label


@dataclass(frozen=True, kw_only=True)
class Sums:
    """What is known of regions; every array has shape (regions,)."""

    value: np.ndarray
    pixels: np.ndarray
    area: np.ndarray
    """In m², or in pixels where there is no CRS."""
    certain: np.ndarray
    """Sum of the confidences."""
    measured: np.ndarray
    """Number of pixels with a confidence."""
    least: np.ndarray
    """Smallest confidence, infinite where there is none."""

    def take(self, index: np.ndarray) -> "Sums":
        """Return those at `index`, which is a mask or holds positions."""
        return Sums(**{field.name: getattr(self, field.name)[index] for field in fields(self)})


def no_sums() -> Sums:
    """Return the sums of no regions."""
    whole, real = np.empty(0, np.int64), np.empty(0)
    return Sums(value=whole, pixels=whole, area=real, certain=real, measured=real, least=real)


def label_regions(classes: np.ndarray, nodata: int, connectivity: int) -> tuple[np.ndarray, int]:
    """Give the regions of equal value the numbers 1 to n, nodata 0; returns those of the pixels, and n."""
    return label(classes, background=nodata, return_num=True, connectivity=1 if connectivity == 4 else 2)


def measure(
    classes: np.ndarray,
    labels: np.ndarray,
    count: int,
    percent: np.ndarray | None,
    weights: np.ndarray | None,
) -> Sums:
    """Sum over the regions 1 to `count` of `labels`; they come at 0 to `count` - 1.

    `percent` are confidences (0..1, NaN unknown) and `weights` areas of the pixels, all of one shape.
    """
    flat = labels.ravel()
    value = np.zeros(count + 1, np.int64)
    value[flat] = classes.ravel()
    pixels = np.bincount(flat, minlength=count + 1)
    area = pixels if weights is None else np.bincount(flat, weights.ravel(), minlength=count + 1)
    certain: np.ndarray = np.zeros(count + 1)
    measured: np.ndarray = np.zeros_like(pixels)
    least = np.full(count + 1, np.inf)
    if percent is not None:
        known = np.isfinite(percent).ravel()
        certain = np.bincount(flat, np.where(known, percent.ravel(), 0), minlength=count + 1)
        measured = np.bincount(flat[known], minlength=count + 1)
        np.minimum.at(least, flat, np.where(known, percent.ravel(), np.inf))
    whole = Sums(
        value=value,
        pixels=pixels,
        area=area.astype(np.float64),
        certain=certain,
        measured=measured,
        least=least,
    )
    return whole.take(np.arange(1, count + 1))


def join(
    classes_above: np.ndarray,
    above: np.ndarray,
    classes_below: np.ndarray,
    below: np.ndarray,
    nodata: int,
    connectivity: int,
) -> np.ndarray:
    """Find the regions that touch across the border between two rows and are one.

    `above` and `below` number the regions of the pixels of both rows, of shape (width,) like their values.
    Returns pairs of numbers, each once: shape (2, pairs).
    """
    pairs = []
    for shift in (0,) if connectivity == 4 else (-1, 0, 1):
        upper = slice(max(0, shift), len(above) + min(0, shift))
        lower = slice(max(0, -shift), len(above) + min(0, -shift))
        joined = (classes_above[upper] == classes_below[lower]) & (classes_below[lower] != nodata)
        pairs.append(np.stack([above[upper][joined], below[lower][joined]]))
    return np.unique(np.concatenate(pairs, axis=1), axis=1)


def renumber(pairs: np.ndarray, count: int) -> tuple[np.ndarray, int]:
    """Give `count` regions new numbers, those that `pairs` join the same; returns them, and how many."""
    graph = coo_array((np.ones(pairs.shape[1], bool), (pairs[0], pairs[1])), shape=(count, count))
    total, number = connected_components(graph, directed=False)
    return number, total


def add_up(strip: Sums, pending: Sums, number: np.ndarray, total: int) -> Sums:
    """Sum over regions that were numbered anew: those of `strip` come first in `number`."""

    def both(name: str) -> np.ndarray:
        return np.concatenate([getattr(strip, name), getattr(pending, name)])

    value, least = np.zeros(total, np.int64), np.full(total, np.inf)
    value[number] = both("value")
    np.minimum.at(least, number, both("least"))
    summed = {
        name: np.bincount(number, both(name), total) for name in ("pixels", "area", "certain", "measured")
    }
    return Sums(value=value, least=least, **summed)
