"""Readers as Dask arrays whose windows read only themselves."""

import hashlib

import dask.array as da
import numpy as np
import xarray as xr

from geodl.scene.reader import MaskReader, PixelReader


def lazy_array(reader: PixelReader | MaskReader, chunks: tuple) -> da.Array:
    """Make a Dask array over a reader, named by its content: files, their sizes and times, bands and grid.

    Dask pushes slices of the array down into ``reader[...]`` if nothing else uses the same chunk:
    compute the pixels of a window first, their mask from the result.
    """
    return da.from_array(
        reader,
        chunks=chunks,
        name=_name(reader),
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
    if scene.chunks is None or not isinstance(reader, PixelReader):
        return None
    if scene.data.name != _name(reader):
        return None
    chosen = reader.select(positions)
    per_file = tuple(len(file.indexes) for file in chosen.files)
    bands = per_file if max(scene.chunks[0]) > 1 else (1,) * len(positions)
    return lazy_array(chosen, (bands, *scene.chunks[1:]))


def _name(reader: PixelReader | MaskReader) -> str:
    return f"scene-{hashlib.sha256(repr(reader).encode()).hexdigest()[:24]}"
