"""Readers as Dask arrays whose windows read only themselves."""

import hashlib
from typing import Protocol, runtime_checkable

import dask.array as da
import numpy as np
import xarray as xr


class Reader(Protocol):
    """Array-like whose windows read only themselves, and whose `repr` tells its content."""

    @property
    def ndim(self) -> int:
        """Number of dimensions."""

    @property
    def dtype(self) -> np.dtype:
        """Of its elements."""


@runtime_checkable
class BandReader(Reader, Protocol):
    """A reader (band, y, x) that can choose its bands before anything is read."""

    @property
    def together(self) -> tuple[int, ...]:
        """Numbers of bands that are read together."""

    def select(self, positions: list[int]) -> "BandReader":
        """Return a reader of the bands at `positions`, in that order."""


def lazy_array(reader: Reader, chunks: tuple) -> da.Array:
    """Make a Dask array over a reader, named by its content: files, their sizes and times, bands and grid.

    Dask pushes slices of the array down into ``reader[...]`` if nothing else uses the same chunk:
    compute the pixels of a window first, their mask from the result.
    """
    return da.from_array(
        reader,
        chunks=chunks,
        name=array_name(reader),
        lock=False,
        asarray=False,
        inline_array=True,
        meta=np.empty((0,) * reader.ndim, dtype=reader.dtype),
    )


def selected_array(scene: xr.DataArray, positions: list[int]) -> da.Array | None:
    """Choose the bands at `positions` in the reader of `scene`; None if that cannot be.

    Dask does not push a list of bands down: all bands of whole chunks would be read for each window
    of a scene whose bands were selected first. It is possible as long as `scene` is what
    `open_scene` returned, which the name of its array proves.
    """
    reader = scene.encoding.get("reader")
    if scene.chunks is None or not isinstance(reader, BandReader):
        return None
    if scene.data.name != array_name(reader):
        return None
    chosen = reader.select(positions)
    bands = chosen.together if max(scene.chunks[0]) > 1 else (1,) * len(positions)
    return lazy_array(chosen, (bands, *scene.chunks[1:]))


def array_name(reader: Reader) -> str:
    """Name of the Dask array over a reader: a hash of what it reads."""
    return f"scene-{hashlib.sha256(repr(reader).encode()).hexdigest()[:24]}"
