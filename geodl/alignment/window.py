"""Scenes that are made of others when a window of them is read, a few pixels around it included."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import xarray as xr
from dask.base import tokenize

from geodl.scene.adopt import PER_BAND, per_band, select_bands
from geodl.scene.lazy import lazy_array
from geodl.scene.masks import physical, valid_mask
from geodl.scene.nodata import empty_value, holds
from geodl.scene.reader import windows_of
from geodl.tiles import Window

_CHUNK = 1024  # rows and columns of what one task reads when a whole scene is computed


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """A window of one scene."""

    values: np.ndarray
    """Shape (bands, rows, columns); without bands where only the mask is wanted."""
    valid: np.ndarray
    """bool, shape (rows, columns)."""
    origin: tuple[int, int]
    """Row and column of the scene at which it begins."""


class Work(Protocol):
    """Makes a window of the result from windows of its sources; its `repr` tells all it does."""

    @property
    def halo(self) -> int:
        """Pixels of the sources that it needs around a window."""

    def __call__(self, sources: Sequence[Pixels], window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Return values (bands, rows, columns) and where they are valid, bool (rows, columns)."""

    def select(self, positions: list[int]) -> "Work":
        """Return the work of the bands at `positions` of the result, from those of each source."""


@dataclass(frozen=True, kw_only=True)
class WindowReader:
    """Array-like (band, y, x), or (y, x) where `bands` is None; windows do not depend on each other."""

    sources: tuple[xr.DataArray, ...] = field(repr=False)
    """Lazy, dims (band, y, x), on one grid."""
    token: str
    """Stands for the content of the sources."""
    work: Work
    lifted: bool
    """The sources are read as physical values, NaN where invalid."""
    size: tuple[int, int]
    """Rows and columns."""
    bands: int | None
    dtype: np.dtype
    fill: float

    @property
    def shape(self) -> tuple[int, ...]:
        """(bands, rows, columns) or (rows, columns)."""
        return self.size if self.bands is None else (self.bands, *self.size)

    @property
    def ndim(self) -> int:
        """Three, or two."""
        return len(self.shape)

    @property
    def together(self) -> tuple[int, ...]:
        """All bands are read together."""
        return (self.bands or 1,)

    def select(self, positions: list[int]) -> "WindowReader":
        """Return a reader of the bands at `positions`, in that order."""
        sources = []
        for source in self.sources:
            names = [str(name) for name in source.coords["band"].values]
            sources.append(select_bands(source, [names[i] for i in positions]))
        return replace(
            self,
            sources=tuple(sources),
            token=f"{self.token}[{','.join(map(str, positions))}]",
            work=self.work.select(positions),
            bands=len(positions),
        )

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Return the values of a window, the fill value where there is no data, and where there is data."""
        around = self._around(window)
        values, valid = self.work([self._pixels(source, around) for source in self.sources], window)
        return np.where(valid, values, self.dtype.type(self.fill)).astype(self.dtype), valid

    def valid(self, window: Window) -> np.ndarray:
        """Return where there is data; the values of the sources are read only where they decide."""
        around = self._around(window)
        masks = []
        for source in self.sources:
            rows, columns = around.slices
            valid = valid_mask(source.isel(y=rows, x=columns)).compute(scheduler="synchronous").values
            none = np.empty((0, *valid.shape), source.dtype)
            masks.append(Pixels(values=none, valid=valid, origin=(around.row, around.col)))
        return self.work(masks, window)[1]

    def _around(self, window: Window) -> Window:
        halo = self.work.halo
        height, width = window.height + 2 * halo, window.width + 2 * halo
        return Window(window.row - halo, window.col - halo, height, width).intersect(Window(0, 0, *self.size))

    def _pixels(self, source: xr.DataArray, window: Window) -> Pixels:
        rows, columns = window.slices
        # In this thread, and the mask from the pixels: asked for lazily, both would be read twice.
        part = source.isel(y=rows, x=columns).compute(scheduler="synchronous")
        values = physical(part) if self.lifted else part
        return Pixels(values=values.values, valid=valid_mask(part).values, origin=(window.row, window.col))

    def __getitem__(self, key: tuple[slice | int, ...]) -> np.ndarray:
        slices, kept = windows_of(key, self.shape)
        rows, columns = slices[-2:]
        window = Window(rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start)
        if not (window.height and window.width):
            return np.empty(self.shape, self.dtype)[tuple(slices)][kept]
        values, _ = self.read(window)
        return (values[0] if self.bands is None else values[slices[0]])[kept]


@dataclass(frozen=True, kw_only=True)
class ValidReader:
    """Array-like (y, x) of bool: where a reader has data."""

    of: WindowReader

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.of.size

    @property
    def ndim(self) -> int:
        """Two."""
        return 2

    @property
    def dtype(self) -> np.dtype:
        """Bool."""
        return np.dtype(bool)

    def __getitem__(self, key: tuple[slice | int, ...]) -> np.ndarray:
        (rows, columns), kept = windows_of(key, self.shape)
        window = Window(rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start)
        if not (window.height and window.width):
            return np.empty((window.height, window.width), bool)[kept]
        return self.of.valid(window)[kept]


def remade(scene: xr.DataArray, work: Work) -> xr.DataArray:
    """Return `scene` with other pixels: same bands, dtype, units and grid, lazily.

    Without a value that is free to say 'no data' the coordinate `valid` says it.
    """
    fill = free_value(scene)
    reader = WindowReader(
        sources=(_bare(scene),),
        token=token_of(scene),
        work=work,
        lifted=False,
        size=(scene.sizes["y"], scene.sizes["x"]),
        bands=scene.sizes["band"],
        dtype=scene.dtype,
        fill=empty_value(scene.dtype) if fill is None else fill,
    )
    chunks = tuple(min(_CHUNK, length) for length in reader.size)
    # The dates of a pair have the coordinate `time` each; it stays.
    coords = {name: coord for name, coord in scene.coords.items() if not str(name).startswith("valid")}
    if fill is None:
        coords["valid"] = xr.DataArray(lazy_array(ValidReader(of=reader), chunks), dims=("y", "x"))
    data = lazy_array(reader, (reader.bands, *chunks))
    attributes = {**scene.attrs, "nodata": fill, "mask": "any"}
    result = xr.DataArray(data, dims=("band", "y", "x"), coords=coords, attrs=attributes, name=scene.name)
    kept = ("block_rows", "grid_mapping")
    result.encoding = {key: value for key, value in scene.encoding.items() if key in kept}
    result.encoding["reader"] = reader
    return result


def raster_of(
    sources: Sequence[xr.DataArray], work: Work, dtype: str, fill: float, *, place: xr.DataArray
) -> xr.DataArray:
    """Return a lazy raster (y, x) on the grid of `place`, made of scenes read in physical units."""
    reader = WindowReader(
        sources=tuple(_bare(source) for source in sources),
        token=" ".join(token_of(source) for source in sources),
        work=work,
        lifted=True,
        size=(place.sizes["y"], place.sizes["x"]),
        bands=None,
        dtype=np.dtype(dtype),
        fill=fill,
    )
    chunks = tuple(min(_CHUNK, length) for length in reader.size)
    coords = {name: place.coords[name] for name in ("y", "x", "spatial_ref") if name in place.coords}
    result = xr.DataArray(lazy_array(reader, chunks), dims=("y", "x"), coords=coords, attrs={"nodata": fill})
    if "spatial_ref" in coords:
        result.encoding["grid_mapping"] = "spatial_ref"
    return result


def free_value(scene: xr.DataArray) -> float | None:
    """Value that is free to say 'no data' in every band; None where there is none."""
    if scene.dtype.kind == "f":
        return empty_value(scene.dtype)
    values = set(per_band(scene, "nodata"))
    value: Any = values.pop() if len(values) == 1 else None
    free = value is not None and scene.attrs.get("mask") != "all" and holds(scene.dtype, value)
    return value if free else None


def as_stored(values: np.ndarray, valid: np.ndarray, dtype: np.dtype, fill: float | None) -> np.ndarray:
    """Round values (bands, rows, columns) to integers of `dtype`, and leave `fill` to pixels without data."""
    if dtype.kind not in "iu":
        return values
    limits = np.iinfo(dtype)
    whole = np.clip(np.rint(values), limits.min, limits.max)
    if fill is not None:
        whole[(whole == fill) & valid] += 1 if fill < limits.max else -1
    return whole


def token_of(scene: xr.DataArray) -> str:
    """Stand for the pixels of a scene and for how they are read."""
    decisive = [scene.attrs.get(key) for key in (*PER_BAND, "mask")]
    masks = [coord.data for name, coord in scene.coords.items() if str(name).startswith("valid")]
    return tokenize(scene.data, masks, decisive)


def _bare(scene: xr.DataArray) -> xr.DataArray:
    """Leave out coordinates that are as long as the scene: no window needs them."""
    return scene.drop_vars([name for name in ("y", "x") if name in scene.coords])
