"""Values on a coarse grid of nodes, and between them; and how block shifts become a smooth field."""

from dataclasses import dataclass

import numpy as np

from geodl.alignment.blocks import BlockShifts
from geodl.alignment.consensus import Agreement
from geodl.errors import SceneError

_LEAST_NODES = 6  # twice the unknowns of a plane
_TURNS = 20
_OUTLIER = 3.0  # robust standard deviations
_NOISE = 0.05  # pixels; the block shifts of real scenes scatter by this at least
_SMOOTH = 1.0  # distances between blocks: the width of the smoothing
_CALM = 0.1  # weight of "no bend here" against that of a block of coherence 1


@dataclass(frozen=True, kw_only=True)
class Field:
    """Layers of values at nodes, linear between them, constant beyond the outer ones.

    Plain tuples, so that it can be hashed, printed in full and sent to workers.
    """

    rows: tuple[float, ...]
    """Of the nodes, evenly spaced, in pixels from the upper edge of the scene."""
    columns: tuple[float, ...]
    values: tuple[tuple[tuple[float, ...], ...], ...]
    """Layers, rows, columns."""

    @classmethod
    def of(cls, rows: np.ndarray, columns: np.ndarray, values: np.ndarray) -> "Field":
        """Make a field of arrays: `values` of shape (layers, rows, columns)."""
        layers = tuple(tuple(tuple(map(float, row)) for row in layer) for layer in values)
        return cls(rows=tuple(map(float, rows)), columns=tuple(map(float, columns)), values=layers)

    @property
    def array(self) -> np.ndarray:
        """The values: (layers, rows, columns)."""
        return np.array(self.values)

    def at(self, rows: slice, columns: slice) -> np.ndarray:
        """Return the values at the centres of a window of pixels.

        Returns
        -------
        numpy.ndarray
            Shape (layers, rows, columns); (layers, 1, 1) where the field is constant.

        >>> field = Field.of([2.0, 6.0], [4.0], np.array([[[0.0], [1.0]]]))
        >>> field.at(slice(0, 8), slice(0, 1))[0, :, 0].tolist()
        [0.0, 0.0, 0.125, 0.375, 0.625, 0.875, 1.0, 1.0]
        """
        values = self.array
        if values.shape[1:] == (1, 1):
            return values
        down, v = _between(np.array(self.rows), rows)
        across, u = _between(np.array(self.columns), columns)
        v, last_row, last_column = v[:, None], values.shape[1] - 1, values.shape[2] - 1
        below, right = np.minimum(down + 1, last_row), np.minimum(across + 1, last_column)
        upper = values[:, down][:, :, across] * (1 - u) + values[:, down][:, :, right] * u
        lower = values[:, below][:, :, across] * (1 - u) + values[:, below][:, :, right] * u
        return upper * (1 - v) + lower * v


def _between(nodes: np.ndarray, pixels: slice) -> tuple[np.ndarray, np.ndarray]:
    """Find the node before each pixel centre, and how far on to the next it lies (0 to 1)."""
    if len(nodes) == 1:
        count = pixels.stop - pixels.start
        return np.zeros(count, int), np.zeros(count)
    step = (nodes[-1] - nodes[0]) / (len(nodes) - 1)
    at = np.clip((np.arange(pixels.start, pixels.stop) + 0.5 - nodes[0]) / step, 0, len(nodes) - 1)
    first = np.minimum(np.floor(at).astype(int), len(nodes) - 2)
    return first, at - first


def constant_field(dy: float, dx: float) -> Field:
    """Return the field of one shift."""
    return Field.of(np.zeros(1), np.zeros(1), np.array([[[dy]], [[dx]]]))


def smooth_field(blocks: BlockShifts, agreement: Agreement, bend: float) -> tuple[Field, np.ndarray]:
    """Fit a smooth field to the shifts of blocks: a plane, and what neighbouring blocks say beyond it.

    The plane is fitted by iteratively reweighted least squares with Tukey's weights; what is left is
    smoothed by normalised convolution (H. Knutsson and C.-F. Westin, CVPR 1993,
    doi:10.1109/CVPR.1993.341081), in which blocks count by their coherence and those that their
    neighbours contradict (J. Westerweel and F. Scarano, Experiments in Fluids 39, 2005,
    doi:10.1007/s00348-005-0016-6) not at all.

    Parameters
    ----------
    blocks, agreement
        From `measure_blocks` and `agree`.
    bend : float
        Pixels that the field may differ from the common shift, in each direction.

    Returns
    -------
    field : Field
        Layers dy, dx.
    used : numpy.ndarray
        bool (block rows, block columns).

    Raises
    ------
    SceneError
        Too few blocks agree for a field.
    """
    used = agreement.used
    if used.sum() < _LEAST_NODES:
        raise SceneError(
            "registration",
            f"only {int(used.sum())} blocks agree, a field needs {_LEAST_NODES}",
            "estimate one shift for the whole scene with --coregister shift",
        )
    plane = _plane_terms(blocks)
    weights = np.where(used, blocks.coherence**2, 0)
    shifts = np.where(used, np.stack([blocks.dy, blocks.dx]), 0)
    trend = _robust_plane(shifts, weights, plane)
    left = shifts - trend
    weights = weights * _supported(left, used)
    smooth = _smoothed(left, weights)
    middle = np.array([agreement.dy, agreement.dx])[:, None, None]
    values = np.clip(trend + smooth, middle - bend, middle + bend)
    return Field.of(blocks.rows, blocks.columns, values), weights > 0


def agreement_field(blocks: BlockShifts, used: np.ndarray) -> Field:
    """Field of one layer: the mean coherence of the blocks around, 0 for those that were not used.

    Blocks that hold no data count for nothing.
    """
    told = (blocks.coherence > 0).astype(float)
    quality = np.where(used, blocks.coherence, 0)[None]
    total = _convolved(told)
    near = np.divide(_convolved(quality[0] * told), total, out=np.zeros_like(total), where=total > 1e-6)
    return Field.of(blocks.rows, blocks.columns, near[None])


def _plane_terms(blocks: BlockShifts) -> np.ndarray:
    """Terms of a plane: (3, block rows, block columns), of about one unit each."""
    y, x = np.meshgrid(blocks.rows, blocks.columns, indexing="ij")
    size = max(float(blocks.rows.max()), float(blocks.columns.max()), 1.0)
    return np.stack([np.ones_like(y), y / size, x / size])


def _robust_plane(shifts: np.ndarray, weights: np.ndarray, terms: np.ndarray) -> np.ndarray:
    there = weights > 0
    known, flat = terms[:, there].T, weights[there]
    robust = np.ones_like(flat)
    middle = np.median(shifts[:, there], axis=1)
    fit = np.stack([middle, np.zeros(2), np.zeros(2)])
    for _ in range(_TURNS):
        off = np.linalg.norm(shifts[:, there].T - known @ fit, axis=1)
        scale = max(float(np.median(off)) / np.sqrt(2 * np.log(2)), _NOISE)
        robust = np.maximum(0, 1 - (off / (4.7 * scale)) ** 2) ** 2
        root = np.sqrt(flat * robust)[:, None]
        better = np.linalg.lstsq(known * root, shifts[:, there].T * root, rcond=None)[0]
        if np.abs(better - fit).max() < 1e-4:
            break
        fit = better
    return np.tensordot(fit.T, terms, axes=1)


def _supported(left: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Tell which blocks do not stand against the median of the eight around them."""
    values = np.where(used, left, np.nan)
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    height, width = used.shape
    around = np.stack(
        [
            padded[:, 1 + down : 1 + down + height, 1 + across : 1 + across + width]
            for down in (-1, 0, 1)
            for across in (-1, 0, 1)
            if (down, across) != (0, 0)
        ]
    )
    known = np.isfinite(around).all(axis=1).sum(axis=0) >= 3
    around = np.where(known, around, 0)
    median = np.nanmedian(around, axis=0)
    noise = np.nanmedian(np.abs(around - median), axis=0)
    strange = (np.abs(np.where(used, left, 0) - median) / (noise + _NOISE) > _OUTLIER).any(axis=0)
    return used & ~(known & strange)


def _smoothed(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    total = _convolved(weights) + _CALM
    return np.stack([_convolved(layer * weights) / total for layer in values])


def _convolved(values: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(values, _SMOOTH, mode="constant", truncate=3.0)
