"""What is compared: pairs, a method, the group of places held out, and the effort all networks share."""

import re
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geodl.changes import METHODS as UNSUPERVISED
from geodl.models.bundle import load_model
from geodl.models.spec import Units
from geodl.training.recipe import Recipe, load_recipe
from geodl.training.recipe.start import Start
from tests.benchmarks.accuracy.cases import UNCHANGED, Effort, altered
from tests.benchmarks.change.places import DATA, Place

WORKFLOW = Path(__file__).resolve().parents[3] / "workflows" / "change-oscd.yaml"

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "siamese_unet": ("siamese_unet", {}),
    "siamese_unet_concatenation": ("siamese_unet", {"fusion": "concatenation"}),
    "fc_siam_conc": ("fc_siam_conc", {"depth": 3}),
    "fc_siam_diff": ("fc_siam_diff", {"depth": 3}),
    "early_fusion": ("unet", {}),
    "early_fusion_compact": ("unet_compact", {}),
    "changevit": ("changevit", {}),
    "btc": ("btc", {}),
}
"""Architectures and their parameters; early fusion is a U-Net that sees both dates as one image."""

PEER = "torchgeo"
READY = "model"
"""A model that was trained elsewhere, as it is."""

ALTERATIONS: dict[str, dict[str, Any]] = {
    "-weights": {"optimisation": {"class_weights": "none"}},
    "-draws": {"optimisation": {"balanced_draws": 0.1}},
    "-dice": {"optimisation": {"loss": "cross_entropy"}},
    "-augment": {"augment": UNCHANGED.model_dump()},
    "-swap": {"augment": {"swap_dates": 0.0}},
    "-scores": {},
    "+aligned": {},
    "+model": {},
}
"""What may be appended to a network: ``siamese_unet-draws``.

``+aligned``, also for methods without labels: the later date is put into place and its values matched to
those of the earlier one, as ``--coregister shift --normalise pif`` do. ``+model`` begins with the weights of
the model that ``model`` measures. ``-draws`` still begins a tenth of the samples with a class. ``-scores``
feeds a network the values of the files, scaled by the training part, instead of standard scores.
"""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One run.

    Parameters
    ----------
    data : str
        Row of `DATA`.
    method : str
        See `split_method`.
    group : str
        The places held out.
    effort : Effort
        Steps, batch and patch of a network.
    seed : int
        Fixes draws and first weights.
    model : Path, optional
        A model folder, for ``model`` and ``+model``.
    """

    data: str
    method: str
    group: str
    effort: Effort
    seed: int = 1
    model: Path | None = None

    @property
    def base(self) -> str:
        """The method without its alterations."""
        return split_method(self.method)[0]

    @property
    def trained(self) -> bool:
        """Whether anything is learnt, so that effort and seed matter."""
        return self.base not in (*UNSUPERVISED, READY)

    @property
    def label(self) -> str:
        """Begins the names of its files, so that those of another effort or seed are not replaced."""
        spent = (self.effort.steps, self.effort.batch, self.effort.patch)
        told = f"-{'x'.join(map(str, spent))}-{self.seed}" if self.trained else ""
        return f"{self.data}-{self.method}{told}"

    @property
    def aligned(self) -> bool:
        """Whether the dates are made comparable beforehand."""
        return "+aligned" in split_method(self.method)[1]

    def _units(self, ours: Units) -> Units:
        """Units of what the network sees: `ours` but for torchgeo's trainer and models made elsewhere."""
        base, changes = split_method(self.method)
        if base == READY:
            assert self.model is not None
            return load_model(self.model).spec.units
        return DATA[self.data].units if base == PEER or "-scores" in changes else ours

    def recipe(self, places: Sequence[Place]) -> Recipe:
        """Return what to train on all places but those of the group, and check on these."""
        base, changes = split_method(self.method)
        architecture, parameters = NETWORKS.get(base, ("unet", {}))
        data, recipe = DATA[self.data], load_recipe(WORKFLOW)
        recipe = altered(
            recipe,
            {
                "name": f"{self.data}-{base}".replace("_", "-"),
                "architecture": architecture,
                "parameters": parameters,
                "bands": [f"{date}.{band}" for date in ("before", "after") for band in data.bands],
                "units": self._units(recipe.units),
                "dtype": data.dtype,
                "classes": [
                    c.model_copy(update={"source": [value]})
                    for c, value in zip(recipe.classes, data.values, strict=True)
                ],
                "sources": [p.source("validation" if p.group == self.group else "train") for p in places],
                "seed": self.seed,
                "optimisation": {
                    "epochs": 1,
                    "samples_per_epoch": self.effort.steps * self.effort.batch,
                    "batch": self.effort.batch,
                    "patch": self.effort.patch,
                },
            },
        )
        for name in changes:
            recipe = altered(recipe, ALTERATIONS[name])
        if "+model" in changes:
            recipe = altered(recipe, {"start": Start(model=str(self.model))})
        return recipe


def add_effort(parser: ArgumentParser) -> None:
    """Add the options that make an `Effort`."""
    parser.add_argument("--steps", type=int, default=120, help="of the optimiser")
    parser.add_argument("--batch", type=int, default=8, help="samples of a step")
    parser.add_argument("--patch", type=int, default=96, help="side of a sample in pixels")


def split_method(method: str) -> tuple[str, tuple[str, ...]]:
    """Split a method into what it is and what is changed.

    >>> split_method("siamese_unet-draws+aligned"), split_method("cva")
    (('siamese_unet', ('-draws', '+aligned')), ('cva', ()))

    Raises
    ------
    ValueError
        There is no such method.
    """
    base, *changes = re.split("(?=[-+])", method)
    allowed = tuple(ALTERATIONS) if base in NETWORKS else ("+aligned",)
    if base in known_methods() and all(change in allowed for change in changes):
        return base, tuple(changes)
    raise ValueError(
        f"no method {method!r}; there are {', '.join(known_methods())}, and networks followed by any of "
        f"{', '.join(ALTERATIONS)}"
    )


def known_methods() -> tuple[str, ...]:
    """List what finds change: without labels, networks, torchgeo's trainer, a model."""
    return (*UNSUPERVISED, *NETWORKS, PEER, READY)
