"""`compare_models`: one row for each model."""

import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import xarray as xr

from geodl.comparing.measure import Reading, Task, measure
from geodl.comparing.row import Row
from geodl.errors import GeodlError, OptionError
from geodl.match import check_fit
from geodl.models.bundle import Model
from geodl.predict import scene_for


def compare_models(
    models: Sequence[Model],
    scenes: Sequence[xr.DataArray],
    *,
    labels: Sequence[str] = (),
    attribute: str | None = None,
    background: int | None = None,
    mapping: Mapping[int | str, int] | None = None,
    device: str = "auto",
    precision: str = "auto",
) -> list[Row]:
    """Map the same scenes with several models, and say what each is worth and costs.

    Each model is measured in a fresh process, one after the other, so that none finds memory or caches
    that another one left.

    Parameters
    ----------
    models : sequence of Model
        From `geodl.load_model`.
    scenes : sequence of xarray.DataArray
        From `geodl.open_scene`; they fit all models.
    labels : sequence of str, optional
        A raster or vector file for each scene.
    attribute, background, mapping
        How labels are read; as for `geodl.assess`.
    device, precision : str
        As for `geodl.predict`.

    Returns
    -------
    list of Row
        In the order of the models.

    Raises
    ------
    OptionError
        There is no scene, or not as many labels as scenes.
    MismatchError
        If a scene does not fit a model.
    SceneError
        If scenes or labels cannot be read, or have no pixel in common.
    """
    import torch

    if not scenes:
        raise OptionError("--scenes", "none is given", "name at least one")
    if labels and len(labels) != len(scenes):
        raise OptionError(
            "--labels",
            f"{len(labels)} files for {len(scenes)} scenes",
            "give one for each scene, in their order",
        )
    for model in models:  # before minutes are spent on those that do fit
        for scene in scenes:
            check_fit(scene_for(scene, model.spec), model.spec)
    reading = Reading(attribute=attribute, background=background, mapping=mapping)
    rows = []
    for model in models:
        task = Task(
            model=model,
            scenes=scenes,
            labels=labels,
            reading=reading,
            device=device,
            precision=precision,
            threads=torch.get_num_threads(),
        )
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            try:
                rows.append(pool.submit(measure, task).result())
            except BrokenProcessPool as error:
                raise GeodlError(
                    f"model {model.spec.name}", "the process that measured it was ended", "free memory"
                ) from error
    return rows
