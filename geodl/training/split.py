"""Spatial blocks: which part of a scene is for learning and which for checking.

Pixels near each other resemble each other, so a random choice of pixels would measure memory rather
than skill (Roberts et al. 2017, "Cross-validation strategies for data with temporal, spatial,
hierarchical, or phylogenetic structure", doi:10.1111/ecog.02881). Whole blocks are held out, and a
gap around them is used for neither.
"""

import numpy as np

IGNORE = 255

_CANDIDATES = 200


def block_counts(labels: np.ndarray, block: int, classes: int) -> np.ndarray:
    """Labelled pixels by block and class; int64, shape ``(block rows, block columns, classes)``.

    `labels` is uint8 of shape ``(y, x)``; it may be a memory map, of which one row of blocks is read
    at a time.
    """
    height, width = labels.shape
    counts = np.zeros((-(-height // block), -(-width // block), classes), dtype=np.int64)
    for i in range(counts.shape[0]):
        strip = np.asarray(labels[i * block : (i + 1) * block])
        for j in range(counts.shape[1]):
            part = strip[:, j * block : (j + 1) * block]
            counts[i, j] = np.bincount(part.ravel(), minlength=IGNORE + 1)[:classes]
    return counts


def choose_blocks(counts: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Choose the validation blocks at random, so that both parts hold every class in proportion.

    Among many random choices the one is taken whose class frequencies, on a logarithmic scale, are
    closest to those of the whole.

    Parameters
    ----------
    counts : numpy.ndarray
        What `block_counts` returns; the blocks of several scenes may be stacked in any shape
        ``(..., classes)``.
    fraction : float
        Share of the labelled blocks that goes to validation.
    seed : int
        The same seed gives the same choice.

    Returns
    -------
    numpy.ndarray
        bool, shape of `counts` without its last dimension. All False where fewer than two blocks
        hold labels.
    """
    flat = counts.reshape(-1, counts.shape[-1])
    labelled = np.flatnonzero(flat.sum(axis=1))
    chosen = np.zeros(len(flat), dtype=bool)
    if len(labelled) < 2:
        return chosen.reshape(counts.shape[:-1])
    size = min(max(1, round(fraction * len(labelled))), len(labelled) - 1)
    random = np.random.default_rng(seed)
    total = flat.sum(axis=0).astype(np.float64)
    occurring = total > 0
    best, best_distance = labelled[:size], np.inf
    for _ in range(_CANDIDATES):
        candidate = random.choice(labelled, size, replace=False)
        share = flat[candidate].sum(axis=0)[occurring] / total[occurring]
        # 0.5 % keeps classes that are wholly on one side finite, and very unwelcome.
        distance = float(
            np.abs(np.log((share + 0.005) / (fraction + 0.005))).sum()
            + np.abs(np.log((1.005 - share) / (1.005 - fraction))).sum()
        )
        if distance < best_distance:
            best, best_distance = candidate, distance
    chosen[best] = True
    return chosen.reshape(counts.shape[:-1])


def choose_folds(counts: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Share the labelled blocks out to folds of equal size, so that each holds every class in proportion.

    Among many random ways the one is taken whose folds' class frequencies, on a logarithmic scale, are
    closest to those of the whole.

    Parameters
    ----------
    counts : numpy.ndarray
        Labelled pixels by block and class, shape ``(..., classes)``.
    folds : int
        Number of folds.
    seed : int
        The same seed gives the same folds.

    Returns
    -------
    numpy.ndarray
        int64, shape of `counts` without its last dimension: number of the fold; -1 for blocks without
        labels.
    """
    flat = counts.reshape(-1, counts.shape[-1])
    labelled = np.flatnonzero(flat.sum(axis=1))
    numbers = np.full(len(flat), -1, dtype=np.int64)
    total = flat.sum(axis=0).astype(np.float64)
    occurring = total > 0
    random = np.random.default_rng(seed)
    turns = np.arange(len(labelled)) % folds
    best, best_distance = turns, np.inf
    for _ in range(_CANDIDATES):
        candidate = random.permutation(turns)
        share = np.stack([flat[labelled[candidate == fold]].sum(axis=0) for fold in range(folds)])
        share = share[:, occurring] / total[occurring]
        distance = float(np.abs(np.log((share + 0.005) / (1 / folds + 0.005))).sum())
        if distance < best_distance:
            best, best_distance = candidate, distance
    numbers[labelled] = best
    return numbers.reshape(counts.shape[:-1])


def near_blocks(chosen: np.ndarray, block: int, gap: int, rows: slice, width: int) -> np.ndarray:
    """Mark the pixels inside the chosen blocks or up to `gap` pixels away from one.

    Parameters
    ----------
    chosen : numpy.ndarray of bool
        Chosen blocks, shape ``(block rows, block columns)``.
    block, gap : int
        Side of a block and width of the margin, in pixels.
    rows : slice
        The rows of the scene wanted, ``slice(start, stop)``.
    width : int
        Columns of the scene.

    Returns
    -------
    numpy.ndarray
        bool, shape ``(rows.stop - rows.start, width)``.
    """
    near = np.zeros((rows.stop - rows.start, width), dtype=bool)
    for i, j in np.argwhere(chosen):
        top = max(0, i * block - gap - rows.start)
        bottom = (i + 1) * block + gap - rows.start
        if bottom > 0:
            near[top:bottom, max(0, j * block - gap) : (j + 1) * block + gap] = True
    return near
