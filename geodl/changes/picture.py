"""A picture of two dates and of what changed between them, of scenes of any size."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from geodl.models.spec import ClassSpec
from geodl.publish.triptych import SIDE, Panels, strongest, write_triptych
from geodl.scene.stretch import stretched

_COLORS = ("red", "green", "blue")

Pair = tuple[np.ndarray, np.ndarray]
"""Both dates, each NaN where it holds no data."""


def draw_pair(
    strips: Callable[[int, int], tuple[Pair, np.ndarray]],
    shape: tuple[int, int],
    path: Path,
    *,
    titles: tuple[str, str, str],
    legend: Sequence[ClassSpec],
    finished: bool = False,
) -> None:
    """Write before, after and change side by side; of a large scene every n-th pixel.

    Of the map the pixels between count too: a change of a single one shows.

    Parameters
    ----------
    strips : callable
        ``strips(start, stop)``: the colours of both dates (rows, columns, 3) and the map (rows, columns).
    shape : tuple of int = (height, width)
        Of the scene in pixels.
    path : pathlib.Path
    titles : tuple of str
        Above the three panels.
    legend : sequence of ClassSpec
        Of the map.
    finished : bool
        The colours are from 0 to 1; else both dates are stretched alike.

    Raises
    ------
    ProductError
        The file cannot be written.
    """
    factor = -(-max(shape) // SIDE)
    dates: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    maps = []
    step = max(1, SIDE // factor) * factor
    for start in range(0, shape[0], step):
        pair, classes = strips(start, min(start + step, shape[0]))
        for parts, date in zip(dates, pair, strict=True):
            parts.append(date[::factor, ::factor].copy())  # a view would keep the whole strip
        maps.append(strongest(classes, factor))
    images = [np.concatenate(parts) for parts in dates]
    seen = [np.isfinite(image).all(axis=-1) for image in images]
    images = [np.where(known[..., None], image, 0) for known, image in zip(seen, images, strict=True)]
    if not finished:  # side by side, so that both dates get one stretch
        both = stretched(np.concatenate(images, axis=1), np.concatenate(seen, axis=1))
        images = np.split(both, 2, axis=1)
    panels = Panels(
        before=images[0],
        after=images[1],
        seen=(seen[0], seen[1]),
        classes=np.concatenate(maps),
        titles=titles,
    )
    write_triptych(panels, path, legend=legend)


def visible(date: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return red, green and blue of a date (bands, rows, columns); without them its first band as grey."""
    chosen = _COLORS if set(_COLORS) <= set(names) else (names[0],) * 3
    return np.moveaxis(date[[names.index(name) for name in chosen]], 0, -1)
