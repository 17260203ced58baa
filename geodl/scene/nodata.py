"""Nodata values compared with pixels, as their dtype can hold them. Pure numpy."""

import numpy as np


def holds(dtype: np.dtype, nodata: float) -> bool:
    """Tell whether a pixel of `dtype` can be `nodata`: -9999 cannot occur among uint8.

    >>> holds(np.dtype("uint8"), -9999), holds(np.dtype("float32"), float("nan"))
    (False, True)
    """
    if dtype.kind not in "iu":
        return True
    limits = np.iinfo(dtype)
    return bool(np.isfinite(nodata) and nodata == int(nodata) and limits.min <= nodata <= limits.max)


def as_pixel(dtype: np.dtype, nodata: float) -> np.generic:
    """Convert `nodata` to `dtype`, as a writer would have: float64 tags of float32 files are rounded."""
    with np.errstate(over="ignore"):
        return dtype.type(int(nodata) if dtype.kind in "iu" else nodata)


def equals_nodata(values: np.ndarray, nodata: float) -> np.ndarray:
    """Find nodata pixels; NaN equals NaN."""
    if not holds(values.dtype, nodata):
        return np.zeros(values.shape, dtype=bool)
    return np.isnan(values) if np.isnan(nodata) else values == as_pixel(values.dtype, nodata)


def empty_value(dtype: np.dtype) -> float:
    """Value of pixels without data in files that name none."""
    return float("nan") if dtype.kind == "f" else 0.0
