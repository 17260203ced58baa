"""Some pixels of many: a simple random sample of those that come in batches."""

import numpy as np


class PixelSample:
    """Keeps pixels by random numbers, the smallest of all: every pixel is as likely to stay as any other.

    Parameters
    ----------
    limit : int
        Pixels to keep.
    classes : int
        Labels of other numbers than ``0..classes-1``, as 255 for unknown, are left out.
    seed : int
        Of the draw. What stays depends on the order of the pixels, not on how they are batched.
    """

    def __init__(self, limit: int, classes: int, seed: int = 0) -> None:
        self._limit, self._classes = limit, classes
        self._random = np.random.default_rng(seed)
        self._keys = np.zeros(0)
        self._values: np.ndarray | None = None
        self._labels = np.zeros(0, np.intp)

    def add(self, values: np.ndarray, labels: np.ndarray) -> None:
        """Offer pixels.

        Parameters
        ----------
        values : numpy.ndarray
            What is known of each, float of shape ``(pixels, any)``.
        labels : numpy.ndarray
            Integers of shape ``(pixels,)``.
        """
        known = np.flatnonzero((labels >= 0) & (labels < self._classes))
        keys = self._random.random(len(known))
        if len(self._keys) == self._limit:
            promising = keys < self._keys.max(initial=0)
            known, keys = known[promising], keys[promising]
        kept = np.zeros((0, values.shape[1]), np.float32) if self._values is None else self._values
        self._keys = np.concatenate([self._keys, keys])
        self._values = np.concatenate([kept, values[known].astype(np.float32)])
        self._labels = np.concatenate([self._labels, labels[known].astype(np.intp)])
        if len(self._keys) > self._limit:
            smallest = np.argpartition(self._keys, self._limit)[: self._limit]
            smallest.sort()
            self._keys, self._values = self._keys[smallest], self._values[smallest]
            self._labels = self._labels[smallest]

    def taken(self) -> tuple[np.ndarray, np.ndarray]:
        """Return values, float32, and labels of the pixels that were kept, in an order of their own."""
        order = np.argsort(self._keys)  # so that rounding of sums does not depend on the batches either
        values = np.zeros((0, 0), np.float32) if self._values is None else self._values
        return values[order], self._labels[order]
