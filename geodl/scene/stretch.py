"""Pixels of any units as brightness for people's eyes."""

import numpy as np


def stretched(image: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Stretch each band between its 2nd and 98th percentile.

    Parameters
    ----------
    image : numpy.ndarray
        float32, (height, width, bands).
    valid : numpy.ndarray
        bool, (height, width): the pixels that count; what the others become means nothing.

    Returns
    -------
    numpy.ndarray
        0 to 1, of the shape of `image`.
    """
    if not valid.any():
        return np.zeros_like(image)
    low, high = np.percentile(image[valid], (2, 98), axis=0)
    return ((image - low) / np.maximum(high - low, 1e-6)).clip(0, 1)
