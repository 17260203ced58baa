"""Pixels moved by fractions of a pixel: Lanczos interpolation along a field of shifts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geodl.alignment.field import Field
from geodl.alignment.window import Pixels, Work, as_stored
from geodl.tiles import Window

RADIUS = 3  # pixels that Lanczos' kernel reaches
# Weights come from a table: a thousandth of a pixel is finer than any shift is known, and a pixel gets the
# same weights in every window.
_FRACTIONS = 1024


def _lanczos_table() -> np.ndarray:
    """Weights of the pixels -2 to 3 around a position: (fractions, 6), each row with the sum 1."""
    distance = np.arange(1 - RADIUS, RADIUS + 1) - np.arange(_FRACTIONS)[:, None] / _FRACTIONS
    weights = np.sinc(distance) * np.sinc(distance / RADIUS)
    weights[0] = distance[0] == 0  # exactly: whole shifts change no value
    return weights / weights.sum(axis=1, keepdims=True)


_LANCZOS = _lanczos_table()


@dataclass(frozen=True, kw_only=True)
class Move:
    """Fetches each pixel from where the field says its content lies.

    Where the kernel meets no pixel without data, it is Lanczos' (radius 3); near such pixels the valid ones
    among the four around count linearly. A pixel has data where the source pixel nearest to its
    place has, so no data spreads by the shift alone.
    """

    field: Field
    """Layers dy, dx in pixels: the content of pixel (row, column) lies at (row + dy, column + dx)."""
    fill: float | None
    """The nodata value of integers, which no other pixel may get."""

    @property
    def halo(self) -> int:
        """The largest shift and the kernel."""
        return int(np.ceil(np.abs(self.field.array).max())) + RADIUS

    def select(self, positions: list[int]) -> "Move":  # noqa: ARG002 - all bands move alike
        """Return the same."""
        return self

    def __call__(self, sources: Sequence[Pixels], window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Resample a window."""
        (source,) = sources
        rows, columns = window.slices
        dy, dx = self.field.at(rows, columns)
        down = _placed(np.arange(rows.start, rows.stop)[:, None] + dy)
        across = _placed(np.arange(columns.start, columns.stop) + dx)
        valid = source.valid
        values = np.where(valid, source.values, 0)
        seen = _nearest(valid, down, across, source.origin)
        if not len(values):
            return np.empty((0, *seen.shape)), seen
        sharp, known = _lanczos(values, valid, down, across, source.origin)
        if not (known | ~seen).all():
            sharp = np.where(known, sharp, _linear(values, valid, down, across, source.origin))
        return as_stored(sharp, seen, source.values.dtype, self.fill), seen


_: type[Work] = Move


def _placed(position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole pixel before a position, and the fraction beyond it in steps."""
    steps = np.rint(position * _FRACTIONS).astype(np.int64)
    return steps // _FRACTIONS, steps % _FRACTIONS


Places = tuple[np.ndarray, np.ndarray]


def _nearest(valid: np.ndarray, down: Places, across: Places, origin: tuple[int, int]) -> np.ndarray:
    row = down[0] + (down[1] >= _FRACTIONS // 2) - origin[0]
    column = across[0] + (across[1] >= _FRACTIONS // 2) - origin[1]
    return _taken(valid, row, column)


def _taken(valid: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Tell which pixels hold data; they may lie outside, where there is none."""
    inside = (row >= 0) & (row < valid.shape[0]) & (column >= 0) & (column < valid.shape[1])
    return inside & valid[_clipped(row, valid.shape[0]), _clipped(column, valid.shape[1])]


def _clipped(index: np.ndarray, length: int) -> np.ndarray:
    return np.clip(index, 0, length - 1)


def _lanczos(
    values: np.ndarray, valid: np.ndarray, down: Places, across: Places, origin: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the interpolated bands, and where every pixel of weight holds data."""
    if down[0].shape[1] == across[0].shape[0] == 1:  # one shift for all: along columns, then along rows
        flat = (across[0][0], across[1][0])
        inner, whole = _along(values, valid, flat, origin[1])
        outer, known = _along(inner.swapaxes(1, 2), whole.T, (down[0][:, 0], down[1][:, 0]), origin[0])
        return outer.swapaxes(1, 2), known.T
    shape = np.broadcast_shapes(down[0].shape, across[0].shape)
    known = np.ones(shape, bool)
    total = np.zeros((len(values), *shape))
    for i in range(2 * RADIUS):
        row, row_weight = down[0] + (i + 1 - RADIUS) - origin[0], _LANCZOS[down[1], i]
        inner = np.zeros((len(values), *shape))
        for j in range(2 * RADIUS):
            column, column_weight = across[0] + (j + 1 - RADIUS) - origin[1], _LANCZOS[across[1], j]
            matters = (row_weight != 0) & (column_weight != 0)
            known &= _taken(valid, row, column) | ~matters
            picked = values[:, _clipped(row, valid.shape[0]), _clipped(column, valid.shape[1])]
            inner += picked * column_weight
        total += inner * row_weight
    return total, known


def _along(
    values: np.ndarray, valid: np.ndarray, places: Places, first: int
) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate along the last axis, at places counted from `first` pixels before it begins."""
    length = valid.shape[1]
    total = np.zeros((*values.shape[:2], len(places[0])))
    known = np.ones(total.shape[1:], bool)
    for tap in range(2 * RADIUS):
        index, weight = places[0] + (tap + 1 - RADIUS) - first, _LANCZOS[places[1], tap]
        at = _clipped(index, length)
        total += values[:, :, at] * weight
        known &= (valid[:, at] & (index >= 0) & (index < length)) | (weight == 0)
    return total, known


def _linear(
    values: np.ndarray, valid: np.ndarray, down: Places, across: Places, origin: tuple[int, int]
) -> np.ndarray:
    """Interpolate between the valid ones of the four pixels around."""
    shape = np.broadcast_shapes(down[0].shape, across[0].shape)
    total, weights = np.zeros((len(values), *shape)), np.zeros(shape)
    for row_step in (0, 1):
        for column_step in (0, 1):
            row, column = down[0] + row_step - origin[0], across[0] + column_step - origin[1]
            v, u = down[1] / _FRACTIONS, across[1] / _FRACTIONS
            weight = (v if row_step else 1 - v) * (u if column_step else 1 - u)
            weight = weight * _taken(valid, row, column)
            weights += weight
            total += values[:, _clipped(row, valid.shape[0]), _clipped(column, valid.shape[1])] * weight
    return np.divide(total, weights, out=np.zeros_like(total), where=weights > 0)
