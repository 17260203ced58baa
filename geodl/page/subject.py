"""What a page is about."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from affine import Affine
from pyproj import CRS

from geodl.models.method import MethodSpec
from geodl.models.spec import ClassSpec, ModelSpec
from geodl.task import TASKS, Task
from geodl.tiles import Window

SIDE = 1600  # pixels; longest side of the pictures in a page


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A scene, its finished map, and what made it."""

    scene: xr.DataArray
    """Lazy, dims (band, y, x); of two dates with bands ``before.*`` and ``after.*``."""
    spec: ModelSpec | MethodSpec
    """What made the map."""
    legend: tuple[ClassSpec, ...]
    """All values that the map can hold; see `geodl.models.legend`."""
    windows: tuple[Window, ...]
    """Cover the map once; each is read whole."""
    read: Callable[[str, Window], np.ndarray]
    """Reads a window of a layer: uint8, (rows, columns); 255 is no data, confidence is in percent."""
    layers: tuple[str, ...]
    """Of `geodl.task.LAYERS`."""
    crs: CRS | None
    transform: Affine
    """From (column, row) to (x, y) of `crs`."""
    provenance: Mapping[str, Any]
    """As in the manifest."""

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.scene.sizes["y"], self.scene.sizes["x"]

    @property
    def factor(self) -> int:
        """Every so many-th pixel is shown, in both directions."""
        return -(-max(self.shape) // SIDE)

    @property
    def task(self) -> Task:
        """The row of `geodl.task.TASKS`."""
        return TASKS[self.spec.task]

    def thinned(self, window: Window) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Return which pixels of a window are shown, and where they lie in the reduced picture."""
        inside, place = [], []
        for start, length in ((window.row, window.height), (window.col, window.width)):
            first = -(-start // self.factor)
            last = -(-(start + length) // self.factor)
            inside.append(slice(first * self.factor - start, None, self.factor))
            place.append(slice(first, last))
        return (inside[0], inside[1]), (place[0], place[1])

    @property
    def reduced_shape(self) -> tuple[int, int]:
        """(height, width) of the reduced pictures."""
        return -(-self.shape[0] // self.factor), -(-self.shape[1] // self.factor)
