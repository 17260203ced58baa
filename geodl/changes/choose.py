"""The model whose features are compared: the one that is asked for, or a bundled one that fits."""

import xarray as xr

from geodl.errors import OptionError
from geodl.match import check_fit, fits
from geodl.models.bundle import Model, bundled_models, load_model
from geodl.task import TASKS


def model_for(pair: xr.DataArray, asked: str | None) -> Model:
    """Return a model of single dates that each date of a pair fits.

    Parameters
    ----------
    pair : xarray.DataArray
        From `geodl.open_pair`.
    asked : str, optional
        Name of a bundled model, or a model folder; by default the first bundled one that fits.

    Raises
    ------
    MismatchError
        The dates lack a band, or have other units or pixels.
    OptionError
        The model compares dates itself or is fed standard scores, or no bundled one fits.
    ModelError
        It cannot be loaded.
    """
    date = pair.isel(time=0, drop=True).assign_attrs(dates=())
    if asked is None:
        known = [spec for spec in bundled_models() if TASKS[spec.task].dates == 1]
        reasons = {spec.name: fits(date, spec) for spec in known}
        found = next((name for name, reason in reasons.items() if reason is None), None)
        if found is None:
            why = "; ".join(f"{reason}" for reason in reasons.values())
            raise OptionError(
                "--method features", f"no bundled model fits: {why}", "name one: --model FOLDER"
            )
        return load_model(found)
    model = load_model(asked)
    if TASKS[model.spec.task].dates > 1:
        raise OptionError(
            f"--model {model.spec.name}",
            "it compares two dates itself",
            f"use `geodl predict BEFORE AFTER --model {asked}`, or name a model of one date",
        )
    if model.spec.units == "z_score":
        raise OptionError(
            f"--model {model.spec.name}",
            "it is fed standard scores, which even out what two dates differ by",
            "name a model of reflectance or of digital numbers",
        )
    check_fit(date, model.spec)
    return model
