"""Where two maps differ, drawn over the scene."""

from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
import xarray as xr

from geodl.errors import ProductError
from geodl.scene import valid_mask
from geodl.scene.stretch import stretched
from geodl.tiles import Window

SIDE = 2048  # pixels; the longer side of the picture, at most
_ZOOM = 8  # small pictures are enlarged up to so many times, so that a pixel of the scene shows
_DPI = 128  # a power of two: figures are sized in inches, and no pixel must be lost
_LINE, _LETTER = 30, 10  # pixels; height of a line of text, and width of a letter
DIFFERENCE, FLIP = 1, 2
_COLORS = {DIFFERENCE: (255, 214, 10), FLIP: (230, 0, 110)}
_FIRST, _SECOND = (0, 200, 240), (255, 255, 255)  # of borders

Borders = tuple[list[int], list[int]]
"""Rows and columns of the scene before which a tile begins."""


class Picture:
    """A window of a scene, reduced, with the places where two maps of it differ.

    Parameters
    ----------
    scene : xarray.DataArray
        Dims (band, y, x).
    window : Window
        What to show.
    """

    def __init__(self, scene: xr.DataArray, window: Window) -> None:
        self._scene, self._window = scene, window
        longer = max(window.height, window.width)
        self._factor = -(-longer // SIDE)
        self._zoom = min(_ZOOM, max(1, SIDE // longer))
        self.marks = np.zeros((self._reduced(window.height), self._reduced(window.width)), dtype=np.uint8)

    def _reduced(self, length: int) -> int:
        return -(-length // self._factor)

    def add(self, part: Window, flips: np.ndarray, differing: np.ndarray) -> None:
        """Mark pixels of a part of the window; of those that share a pixel of the picture the worst shows.

        Parameters
        ----------
        part : Window
            In pixels of the scene.
        flips, differing : numpy.ndarray
            bool, of its shape.
        """
        level = np.where(flips, np.uint8(FLIP), differing.astype(np.uint8))
        inside = part.relative_to(self._window)
        rows = np.arange(inside.row, inside.row_stop) // self._factor
        columns = np.arange(inside.col, inside.col_stop) // self._factor
        for axis, index in enumerate((rows, columns)):
            level = np.maximum.reduceat(level, np.flatnonzero(np.diff(index, prepend=-1)), axis=axis)
        marks = self.marks[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        np.maximum(marks, level, out=marks)

    def draw(self, first: Borders, second: Borders) -> np.ndarray:
        """Return the picture: uint8, shape (height, width, 3); borders of the second tiling are dashed."""
        image = self._backdrop()
        near = self.marks == DIFFERENCE
        image[near] = image[near] // 2 + np.array(_COLORS[DIFFERENCE], dtype=np.uint8) // 2
        image = image.repeat(self._zoom, axis=0).repeat(self._zoom, axis=1)
        for borders, color, dash in ((first, _FIRST, 1), (second, _SECOND, 3)):
            for axis, starts in enumerate(borders):
                lines = np.moveaxis(image, axis, 0)
                for place in self._places(starts, axis):
                    on = np.arange(lines.shape[1]) // 4 % dash == 0
                    lines[place, on] = lines[place, on] // 4 + np.array(color, dtype=np.uint8) // 4 * 3
        # Above the borders: a single pixel must not hide below one.
        flips = (self.marks == FLIP).repeat(self._zoom, axis=0).repeat(self._zoom, axis=1)
        image[flips] = _COLORS[FLIP]
        return image

    def save(self, path: Path, first: Borders, second: Borders, lines: list[str]) -> None:
        """Write the picture as PNG, with a legend and some lines of text below it.

        Raises
        ------
        ProductError
            If the file cannot be written.
        """
        from matplotlib.figure import Figure  # without pyplot: no window system, no global state

        image = self.draw(first, second)
        legend = [
            (_COLORS[FLIP], "class differs"),
            (_COLORS[DIFFERENCE], "a probability differs by more than 0.001"),
            (_FIRST, "borders of the first tiling"),
            (_SECOND, "borders of the second tiling, dashed"),
        ]
        width = max(image.shape[1], 900)
        text = [short for line in lines for short in wrap(line, width // _LETTER - 4, drop_whitespace=False)]
        below = _LINE * (len(legend) + len(text)) + _LINE // 2
        height = image.shape[0] + below
        figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor=(0.8, 0.8, 0.8))
        figure.figimage(image, 0, below, origin="upper")
        words: dict[str, Any] = {"fontsize": 9, "family": "monospace", "parse_math": False}
        for number, (color, line) in enumerate([*legend, *((None, line) for line in text)]):
            y = (below - _LINE * (number + 1)) / height
            if color is not None:
                rgb = tuple(value / 255 for value in color)
                figure.text(_LETTER / width, y, "\N{BLACK SQUARE}", color=rgb, **words)
            figure.text((3 if color else 1) * _LETTER / width, y, line, color="black", **words)
        try:
            figure.savefig(path, format="png")
        except OSError as error:
            raise ProductError(str(path), f"cannot be written ({error})", "choose another --out") from error

    def _places(self, starts: list[int], axis: int) -> list[int]:
        """Positions in the picture of borders inside the window; none where they would lie too densely."""
        origin = (self._window.row, self._window.col)[axis]
        length = (self._window.height, self._window.width)[axis]
        inside = [start - origin for start in starts if 0 < start - origin < length]
        if len(inside) > 1 and inside[1] - inside[0] < 4 * self._factor:
            return []
        return [place // self._factor * self._zoom for place in inside]

    def _backdrop(self) -> np.ndarray:
        """Return the scene in muted colours, or grey: uint8, shape (height, width, 3); no data is dark."""
        names = [str(name) for name in self._scene.coords["band"].values]
        colors = ("red", "green", "blue")
        bands = [names.index(name) for name in colors] if set(colors) <= set(names) else [0] * 3
        image = np.zeros((*self.marks.shape, 3), dtype=np.float32)
        valid = np.zeros(self.marks.shape, dtype=bool)
        for part, to in self._parts():
            pixels = self._scene.isel(y=part.slices[0], x=part.slices[1]).compute(scheduler="synchronous")
            thin = slice(None, None, self._factor)
            image[to] = np.moveaxis(pixels.values[bands][:, thin, thin], 0, -1)
            valid[to] = valid_mask(pixels).values[thin, thin]
        image = stretched(image, valid)
        grey = image.mean(axis=-1, keepdims=True)
        muted = 60 + 130 * (0.4 * image + 0.6 * grey)
        return np.where(valid[..., None], muted, 30).astype(np.uint8)

    def _parts(self) -> Iterator[tuple[Window, tuple[slice, slice]]]:
        """Windows of the scene that fit into memory, and where they lie in the picture."""
        reduced = max(1, SIDE // self._factor)
        for row in range(0, self.marks.shape[0], reduced):
            for col in range(0, self.marks.shape[1], reduced):
                side = reduced * self._factor
                top, left = self._window.row + row * self._factor, self._window.col + col * self._factor
                yield (
                    Window(top, left, side, side).intersect(self._window),
                    (slice(row, row + reduced), slice(col, col + reduced)),
                )
