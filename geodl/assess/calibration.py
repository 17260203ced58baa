"""Calibration: whether a map that says 90 % is right nine times out of ten.

The expected calibration error and the reliability diagram as in Guo, Pleiss, Sun and Weinberger, *On
Calibration of Modern Neural Networks* (ICML 2017, https://arxiv.org/abs/1706.04599), section 2.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geodl.assess.classmap import ClassMap
from geodl.errors import SceneError
from geodl.scene.grid import Grid, same_grid
from geodl.scene.safety import GDAL_ERRORS, driver_of, gdal_reason, local_file, open_raster
from geodl.tiles import Window

BINS = 15


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Confidence against accuracy, by bins of equal width of confidence.

    Parameters
    ----------
    pixels : numpy.ndarray of int64
        Pixels of each bin.
    confidence, correct : numpy.ndarray of float64
        Mean confidence and share of correct pixels of each bin; NaN where it is empty.
    """

    pixels: np.ndarray
    confidence: np.ndarray
    correct: np.ndarray

    @property
    def expected_error(self) -> float:
        """Mean distance between confidence and accuracy over all pixels (ECE); NaN without pixels."""
        filled = self.pixels > 0
        if not filled.any():
            return math.nan
        distance = np.abs(self.correct - self.confidence)[filled]
        return float(np.average(distance, weights=self.pixels[filled]))

    @property
    def largest_error(self) -> float:
        """Distance between confidence and accuracy in the worst bin (MCE); NaN without pixels."""
        filled = self.pixels > 0
        return float(np.abs(self.correct - self.confidence)[filled].max()) if filled.any() else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: NaN becomes None."""
        return {
            "expected_calibration_error": _number(self.expected_error),
            "maximum_calibration_error": _number(self.largest_error),
            "bins": [
                {"pixels": int(pixels), "confidence": _number(confidence), "correct": _number(correct)}
                for pixels, confidence, correct in zip(
                    self.pixels, self.confidence, self.correct, strict=True
                )
            ],
        }

    def save_png(self, path: str | Path) -> None:
        """Draw the reliability diagram, and below it how many pixels each bin holds, into a PNG file."""
        from matplotlib.figure import Figure  # without pyplot: no window system, no global state

        figure = Figure(figsize=(5, 6), layout="constrained")
        upper, lower = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
        count = len(self.pixels)
        centres = (np.arange(count) + 0.5) / count
        filled = self.pixels > 0
        upper.bar(centres[filled], self.correct[filled], width=0.9 / count, color="#4c78a8", label="measured")
        upper.plot([0, 1], [0, 1], color="#333333", linestyle="--", label="perfect")
        upper.plot(
            self.confidence[filled], self.correct[filled], "o", color="#e45756", label="mean confidence"
        )
        upper.set(ylabel="share of correct pixels", xlim=(0, 1), ylim=(0, 1))
        upper.set_title(f"expected calibration error {100 * self.expected_error:.1f} %", fontsize=10)
        upper.legend(loc="upper left", fontsize=8)
        lower.bar(centres, self.pixels / max(1, self.pixels.sum()), width=0.9 / count, color="#9d9d9d")
        lower.set(xlabel="confidence", ylabel="share of pixels")
        figure.savefig(path, dpi=110)


class ConfidenceCounts:
    """Sums by bin of confidence; those of the parts of a map add up to those of the whole."""

    def __init__(self, bins: int = BINS) -> None:
        self._edges = np.linspace(0, 1, bins + 1)
        self._sums = np.zeros((3, bins))

    def add(self, confidence: np.ndarray, correct: np.ndarray) -> None:
        """Count pixels.

        Parameters
        ----------
        confidence : numpy.ndarray of float, shape (n,)
            0..1; NaN is left out.
        correct : numpy.ndarray of bool, shape (n,)
            Whether the map has the class of the reference.
        """
        known = np.isfinite(confidence)
        confidence, correct = confidence[known], correct[known]
        bins = len(self._edges) - 1
        place = np.clip(np.searchsorted(self._edges, confidence, side="right") - 1, 0, bins - 1)
        for row, weights in zip(self._sums, (None, confidence, correct), strict=True):
            row += np.bincount(place, weights, minlength=bins)

    def merge(self, other: "ConfidenceCounts") -> None:
        """Add the sums of another map."""
        self._sums += other._sums

    def result(self) -> Calibration:
        """Return what the sums say."""
        pixels, confidence, correct = self._sums
        return Calibration(
            pixels=pixels.astype(np.int64),
            confidence=_mean(confidence, pixels),
            correct=_mean(correct, pixels),
        )


@dataclass(frozen=True, kw_only=True)
class ConfidenceMap:
    """An open raster of confidences, or of one probability per class, on the grid of a map."""

    path: str
    source: Any

    def read(self, window: Window) -> np.ndarray:
        """Return confidences 0..1, float32, shape ``(height, width)``; NaN where unknown.

        Of several bands, the probabilities of the classes, the largest counts.
        """
        found = np.zeros((window.height, window.width), dtype=np.float32)
        for band in range(1, self.source.count + 1):
            np.maximum(found, self._band(band, window), out=found)  # unknown in one band, unknown in all
        if (found > 1 + 1e-6).any():
            raise SceneError(
                f"confidence {self.path}",
                "holds values above 1",
                "set the scale of its band: gdal_edit.py -scale 0.01 for percent",
            )
        return found

    def _band(self, band: int, window: Window) -> np.ndarray:
        rows, columns = window.slices
        area = ((rows.start, rows.stop), (columns.start, columns.stop))
        try:
            values = self.source.read(band, window=area, masked=True).astype(np.float32)
        except GDAL_ERRORS as error:
            raise SceneError(
                f"confidence {self.path}", gdal_reason(error, self.path), "the file is damaged"
            ) from error
        scale, offset = self.source.scales[band - 1], self.source.offsets[band - 1]
        return (values * np.float32(scale) + np.float32(offset)).filled(np.nan)


@contextmanager
def open_confidence(path: str | Path, mapped: ClassMap) -> Iterator[ConfidenceMap]:
    """Open the confidence or the probabilities that belong to a map; call inside `gdal_watched`.

    Raises
    ------
    SceneError
        The file cannot be read, or lies on another grid than the map.
    """
    file = local_file(path)
    with open_raster(file, driver_of(file)) as source:
        grid = Grid(height=source.height, width=source.width, transform=source.transform, crs=source.crs)
        here = (grid.height, grid.width) == (mapped.grid.height, mapped.grid.width)
        if not here or (mapped.grid.crs is not None and not same_grid(mapped.grid, grid)):
            raise SceneError(
                f"confidence {path}", "lies on another grid than the map", "give the one of the same product"
            )
        yield ConfidenceMap(path=str(path), source=source)


def _mean(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 6)
