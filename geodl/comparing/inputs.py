"""Imagery of scenes as a network sees it."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from geodl.models.bundle import Model
from geodl.pixels import RowReader
from geodl.predict import make_job
from geodl.tiles import Window

SIDE = 512  # pixels, at most; of one input


def network_inputs(model: Model, scenes: Sequence[xr.DataArray], *, count: int = 16) -> list[np.ndarray]:
    """Cut squares out of scenes, evenly spread.

    Parameters
    ----------
    model : Model
        Gives bands, scaling, stride and tile.
    scenes : sequence of xarray.DataArray
        They fit the model.
    count : int, optional
        Squares in all, at most, and at least one of each scene.

    Returns
    -------
    list of numpy.ndarray
        float32 (bands, side, side), scaled, 0 without data; squares without any data are left out.

    Raises
    ------
    MismatchError
        If a scene does not fit the model.
    """
    each = max(1, count // max(1, len(scenes)))
    return [pixels for scene in scenes for pixels in _squares(model, scene, each)]


def _squares(model: Model, scene: xr.DataArray, count: int) -> list[np.ndarray]:
    job = make_job(scene, model, device="cpu", tile=model.spec.tile)
    stride = model.spec.stride
    side = max(stride, min(SIDE, model.spec.tile) // stride * stride)
    rooms = [max(0, length - side) for length in (job.lattice.height, job.lattice.width)]
    # A Kronecker sequence of the plastic number covers a rectangle evenly, however many points it has:
    # https://extremelearning.com.au/unreasonable-effectiveness-of-quasirandom-sequences/
    shares = (0.5 + np.outer(np.arange(count), (0.7548776662, 0.5698402910))) % 1
    found = []
    for top, left in (shares * np.array(rooms)).astype(int).tolist():
        reader = RowReader(job.scene, left, left + side)
        reader.load(top, top + side)
        values, valid = reader.cut(Window(top, left, side, side))
        gain, bias = (np.array(v, np.float32)[:, None, None] for v in (job.scaling.gain, job.scaling.bias))
        if valid.any():
            found.append(np.where(valid, values.astype(np.float32) * gain + bias, np.float32(0)))
    return found
