"""A picture for people: before, after, and what changed, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geodl.models.spec import ClassSpec
from geodl.publish.files import writing
from geodl.task import NO_BEFORE

SIDE = 1024  # pixels of a panel, at most, of large scenes
_DPI = 128  # a power of two: figures are sized in inches, and no pixel must be lost
_GAP, _LINE, _LETTER = 12, 30, 10  # pixels; between panels, height of a line of text, width of a letter
_SMALLEST, _ZOOM = 400, 6  # panels smaller than so many pixels are enlarged, up to so many times
_EMPTY = 40  # grey of pixels without data, 0 to 255
UNCHANGED = 0


@dataclass(frozen=True, kw_only=True)
class Panels:
    """What is shown, reduced to the size of a picture."""

    before: np.ndarray
    """float, 0 to 1, shape (height, width, 3); as `after` with the same stretch."""
    after: np.ndarray
    seen: tuple[np.ndarray, np.ndarray]
    """Where each date holds data, bool, shape (height, width)."""
    classes: np.ndarray
    """uint8, shape (height, width)."""
    titles: tuple[str, str, str]


def write_triptych(panels: Panels, path: Path, *, legend: Sequence[ClassSpec]) -> None:
    """Write the three panels with titles above and the legend below as PNG.

    Parameters
    ----------
    panels : Panels
    path : pathlib.Path
    legend : sequence of ClassSpec
        Values of the class panel; those that do not occur are left out. Unchanged pixels show the later date
        in grey.

    Raises
    ------
    ProductError
        The file cannot be written.
    """
    from matplotlib.figure import Figure  # without pyplot: no window system, no global state

    images = [
        _date(image, seen) for image, seen in zip((panels.before, panels.after), panels.seen, strict=True)
    ]
    images.append(_change(panels, legend))
    shown = [c for c in legend if c.value != UNCHANGED and (panels.classes == c.value).any()]
    zoom = min(_ZOOM, max(1, -(-_SMALLEST // max(panels.classes.shape))))
    images = [image.repeat(zoom, axis=0).repeat(zoom, axis=1) for image in images]
    height, width = images[0].shape[:2]
    below, above = _LINE * max(1, len(shown)) + _LINE // 2, _LINE + _GAP
    whole = (above + height + below, 3 * width + 4 * _GAP)
    figure = Figure(figsize=(whole[1] / _DPI, whole[0] / _DPI), dpi=_DPI, facecolor="white")
    words: dict[str, Any] = {"fontsize": 9, "family": "sans-serif", "parse_math": False, "color": "black"}
    for number, (image, title) in enumerate(zip(images, panels.titles, strict=True)):
        left = _GAP + number * (width + _GAP)
        figure.figimage(image, left, below, origin="upper")
        figure.text(left / whole[1], (below + height + _GAP) / whole[0], _short(title, width), **words)
    left = 3 * _GAP + 2 * width
    for number, c in enumerate(shown):
        y = (below - _LINE * (number + 1)) / whole[0]
        figure.text(left / whole[1], y, "\N{BLACK SQUARE}", **{**words, "color": c.color})
        figure.text((left + 2 * _LETTER) / whole[1], y, _short(c.name, width - 2 * _LETTER), **words)
    with writing(path):
        figure.savefig(path, format="png")


def _date(image: np.ndarray, seen: np.ndarray) -> np.ndarray:
    return np.where(seen[..., None], 255 * image, _EMPTY).astype(np.uint8)


def _change(panels: Panels, legend: Sequence[ClassSpec]) -> np.ndarray:
    """Paint classes over the later date in light grey."""
    grey = 110 + 130 * panels.after.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    image = np.where((panels.seen[0] & panels.seen[1])[..., None], grey, _EMPTY).astype(np.uint8)
    for c in legend:
        if c.value != UNCHANGED:
            image[panels.classes == c.value] = c.rgb
    return image


def _short(text: str, width: int) -> str:
    letters = max(4, width // _LETTER)
    return text if len(text) <= letters else f"{text[: letters - 1]}\N{HORIZONTAL ELLIPSIS}"


def strongest(classes: np.ndarray, factor: int) -> np.ndarray:
    """Of the pixels of a cell: a change before what is unchanged, and any class before no data."""
    rank = np.where(classes >= NO_BEFORE, 0, 1 + classes.astype(np.int16)) * 256 + classes
    for axis in (0, 1):
        rank = np.maximum.reduceat(rank, np.arange(0, rank.shape[axis], factor), axis=axis)
    return (rank % 256).astype(np.uint8)


def title_of(date: dict[str, Any]) -> str:
    """Say which date it is."""
    return f"{date['label']} {date['date']}" if date.get("date") else str(date.get("name", date["label"]))
