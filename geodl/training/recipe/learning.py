"""How to learn: the optimiser and its course, and random changes to the samples."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from geodl.training.recipe.fields import Count, Fraction, Positive, Strict


class Optimisation(Strict):
    """How long and how fast to learn.

    The learning rate rises over the first `warmup` of the run and falls to zero by a cosine; progress
    is the larger of the fraction of steps and of `time_limit_minutes`, so that a run cut short by
    time has still come to rest. Of the samples, `balanced_draws` begin with a class, all alike, and
    the others with any labelled pixel. `ema` is the decay of the averaged weights. Every
    `validation_every` epochs tiles of `validation_pixels` are checked, at the end all of them.
    """

    epochs: Count = 20
    samples_per_epoch: Count = 512
    patch: Annotated[int, Field(ge=16, le=4096)] = 256
    batch: Count = 8
    learning_rate: Positive = 2e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    warmup: Fraction = 0.05
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    class_weights: Literal["none", "balanced", "sqrt"] = "sqrt"
    balanced_draws: Fraction = 0.5
    ema: Annotated[float, Field(gt=0, lt=1)] | None = 0.998
    precision: Literal["auto", "32", "bf16"] = "auto"
    gradient_clip: Positive = 1.0
    time_limit_minutes: Positive | None = None
    validation_every: Count = 1
    validation_pixels: Count = 8_000_000


class Augment(Strict):
    """Random changes to the training samples; every amount 0 switches one off.

    Amounts of brightness, contrast and channel jitter are in standard deviations of the bands;
    gamma is the largest change of the exponent, as a natural logarithm; `noise` and `blur` are the
    largest standard deviation in normalised units and in pixels.
    """

    flips_rotations: bool = True
    zoom: tuple[Positive, Positive] = (1.0, 1.0)
    brightness: Annotated[float, Field(ge=0, le=2)] = 0.1
    contrast: Annotated[float, Field(ge=0, lt=1)] = 0.1
    channels: Annotated[float, Field(ge=0, le=1)] = 0.05
    gamma: Annotated[float, Field(ge=0, le=1)] = 0.0
    noise: Annotated[float, Field(ge=0, le=1)] = 0.02
    blur: Annotated[float, Field(ge=0, le=5)] = 0.0

    @field_validator("zoom")
    @classmethod
    def _ordered(cls, zoom: tuple[float, float]) -> tuple[float, float]:
        if not 0.25 <= zoom[0] <= zoom[1] <= 4:
            raise ValueError(f"{zoom} is not (smallest, largest) within 0.25..4")
        return zoom
