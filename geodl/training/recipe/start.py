"""What to begin with: weights of another model, or what scenes without labels teach."""

from typing import Annotated

from pydantic import Field, model_validator

from geodl.training.recipe.fields import Count, Fraction, Positive, Strict


class Start(Strict):
    """Weights that a training begins with; one of `model`, `weights` and `torchgeo`."""

    model: str | None = None
    """A model folder, relative to data_root, or the name of a bundled model."""
    weights: str | None = None
    """A file of weights of torchvision, timm, torchgeo or segmentation-models-pytorch."""
    torchgeo: str | None = None
    """A name of torchgeo's, such as ResNet18_Weights.SENTINEL2_ALL_MOCO; needs the network once."""
    share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """How much of the weights in the beginning is mixed into those that are kept (WiSE-FT, arXiv:2109.01903):
    what was learnt before is forgotten less. All weights must come from there."""
    bands: Annotated[list[str], Field(min_length=1)] | None = None
    """For `weights`: names of the bands that the first layer of the file takes."""

    @model_validator(mode="after")
    def _one_source(self) -> "Start":
        given = [name for name in ("model", "weights", "torchgeo") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"one of model, weights and torchgeo must be given, not {', '.join(given) or 'none'}"
            )
        return self


class Pretraining(Strict):
    """For `geodl pretrain`: scenes without labels, and how much of them is hidden."""

    scenes: tuple[str, ...] = ()
    """Files or patterns, relative to data_root; without any, the scenes of the sources are used."""
    hidden: Annotated[Fraction, Field(gt=0, lt=1)] = 0.6
    """Share of each sample that the network does not see and must restore."""
    square: Count = 16
    """Side of the hidden squares in pixels."""
    epochs: Count | None = None
    """By default as many as optimisation says."""
    learning_rate: Positive | None = None
    """By default that of optimisation."""
