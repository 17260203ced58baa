"""A model is probed on noise and on imagery: what it is, as measured."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from geodl.models.bundle import Model
from geodl.models.probe import TOLERANCE, Probe, probe
from geodl.pixels import RowReader
from geodl.predict import make_job
from geodl.tiles import Window

SIDE = 1536  # pixels; of the part of a scene that is looked at


def probe_model(
    model: Model, scenes: Sequence[xr.DataArray] = (), *, tolerance: float = TOLERANCE, device: str = "cpu"
) -> Probe:
    """Measure how far a model looks, what each halo costs and loses, and whether it bears bfloat16.

    Parameters
    ----------
    model : Model
        From `geodl.load_model`.
    scenes : sequence of xarray.DataArray
        Scenes that fit the model; their middle is shown to it, beside noise.
    tolerance : float
        Largest difference of any probability that the recommended halo may cause.
    device : str
        Where to compute.

    Raises
    ------
    MismatchError
        If a scene does not fit the model.
    """
    return probe(
        model, inputs=[_middle(scene, model) for scene in scenes], tolerance=tolerance, device=device
    )


def _middle(scene: xr.DataArray, model: Model) -> np.ndarray:
    """Cut the middle of a scene, as the network sees it: float32 (bands, y, x), 0 without data."""
    job = make_job(scene, model, device="cpu", tile=model.spec.tile)
    height, width = (min(SIDE, side) for side in (job.lattice.height, job.lattice.width))
    top, left = (job.lattice.height - height) // 2, (job.lattice.width - width) // 2
    reader = RowReader(job.scene, left, left + width)
    reader.load(top, top + height)
    values, valid = reader.cut(Window(top, left, height, width))
    gain, bias = (np.array(v, np.float32)[:, None, None] for v in (job.scaling.gain, job.scaling.bias))
    return np.where(valid, values.astype(np.float32) * gain + bias, np.float32(0))
