"""How to learn: the optimiser and its course, and random changes to the samples."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from geodl.training.recipe.fields import Count, Fraction, Positive, Strict

LossName = Literal["cross_entropy", "bce", "cldice", "dice", "focal", "jaccard", "lovasz", "tversky"]


class Optimisation(Strict):
    """How long, how fast and by what measure to learn.

    Progress of a run is the larger of the fraction of steps and of `time_limit_minutes`, so that a run
    cut short by time has still come to rest.
    """

    epochs: Count = 20
    """How often `samples_per_epoch` are seen."""
    samples_per_epoch: Count = 512
    """Samples between two looks at the clock; none is ever seen twice."""
    patch: Annotated[int, Field(ge=16, le=4096)] = 256
    """Side of a sample in pixels."""
    batch: Count | Literal["auto"] = 8
    """Samples at once; "auto" for as many as the memory holds, 64 at most."""
    accumulate: Count = 1
    """Batches that make one step of the optimiser."""
    optimiser: Literal["adamw", "adam", "sgd", "adagrad"] = "adamw"
    """The optimiser; sgd has Nesterov's momentum."""
    learning_rate: Positive = 2e-3
    """The full learning rate; `geodl train --find-rate` proposes one."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Pull of the weights towards 0; biases and norms are spared."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """For sgd."""
    schedule: Literal["cosine", "one_cycle", "plateau", "constant"] = "cosine"
    """Course of the learning rate."""
    warmup: Fraction | None = None
    """Part of the run in which the rate rises: 0.05, for one_cycle 0.3."""
    plateau_checks: Count = 3
    """For plateau: after so many checks without a better mean IoU the rate is divided by ten."""
    loss: LossName | Annotated[dict[LossName, Positive], Field(min_length=1)] = "cross_entropy"
    """One loss, or the weights of several in a sum: {cross_entropy: 1, dice: 0.5}."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of a label that is spread over all classes (cross_entropy, bce)."""
    class_weights: Literal["auto", "none", "balanced", "sqrt"] = "auto"
    """Weight of rare classes in the loss: by the inverse of their pixels (balanced), or by its root (sqrt).
    "auto" is sqrt where a class has less than 2 % of the labelled training pixels, and none elsewhere: help
    that no class needs costs accuracy."""
    balanced_draws: Literal["auto"] | Fraction = "auto"
    """Share of the samples that begin with a class, all alike; the others with any labelled pixel. "auto" is
    0.5 where a class has less than 2 % of the labelled training pixels, and 0 elsewhere."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = 0.998
    """Decay of the averaged weights, which are what is kept; null for none."""
    precision: Literal["auto", "32", "bf16"] = "auto"
    """bf16 computes half as precisely and faster where the hardware does."""
    deterministic: bool = False
    """On a GPU: the same weights from the same seed, more slowly. A CPU always does."""
    gradient_clip: Positive = 1.0
    """Largest norm of a gradient."""
    encoder_rate: Positive = 1.0
    """Learning rate of the encoder as a multiple of that of the rest."""
    encoder_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Learning rate of each level of the encoder as a multiple of that of the level behind it: what the first
    levels know is changed least."""
    freeze_encoder: Annotated[int, Field(ge=0)] | Literal["all"] = 0
    """Epochs in which the encoder stays as it is; "all" for the whole run."""
    time_limit_minutes: Positive | None = None
    """The run has come to rest after so many minutes, those before an interruption included."""
    validation_every: Count = 1
    """Epochs between two checks."""
    validation_pixels: Count = 8_000_000
    """Pixels of a check; the last one of a run looks at all."""
    keep: Literal["best", "last"] = "best"
    """Which state becomes the model: that of the best mean IoU in a check, or the last; the latter where the
    validation data show less than what is to be learnt."""
    patience: Count | None = None
    """The run ends after so many checks without a better mean IoU."""

    @property
    def losses(self) -> dict[str, float]:
        """Weight of each loss in the sum."""
        if isinstance(self.loss, str):
            return {self.loss: 1.0}
        return {str(name): share for name, share in self.loss.items()}

    @property
    def rise(self) -> float:
        """Fraction of the run in which the learning rate rises."""
        if self.warmup is not None:
            return self.warmup
        return 0.3 if self.schedule == "one_cycle" else 0.05

    @property
    def frozen_epochs(self) -> int:
        """Epochs in which the encoder does not learn."""
        return self.epochs if self.freeze_encoder == "all" else self.freeze_encoder


class Augment(Strict):
    """Random changes to the training samples; every amount 0 switches one off."""

    after_passes: Annotated[float, Field(ge=0)] = 0.0
    """How often a run has seen each labelled pixel when it changes every sample; before, a growing share of
    them. What was not seen yet needs no variants, and a short run learns less from them."""
    flips_rotations: bool = True
    """The eight symmetries of the square."""
    zoom: tuple[Positive, Positive] = (1.0, 1.0)
    """Smallest and largest magnification."""
    brightness: Annotated[float, Field(ge=0, le=2)] = 0.1
    """Largest shift of all bands, in their standard deviations."""
    contrast: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Largest change of the contrast of all bands."""
    channels: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Largest shift, and change of contrast, of each band by itself."""
    gamma: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Largest change of the exponent, as a natural logarithm."""
    noise: Annotated[float, Field(ge=0, le=1)] = 0.02
    """Largest standard deviation of the noise, in those of the bands."""
    blur: Annotated[float, Field(ge=0, le=5)] = 0.0
    """Largest standard deviation of the blur in pixels."""
    haze: Annotated[float, Field(ge=0, le=5)] = 0.0
    """Thickest veil, in standard deviations."""
    shadow: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Largest share of the light that is missing in patches."""
    channel_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Chance of each band to be missing."""
    swap_dates: Fraction = 0.0
    """Chance of two dates to change places, for classes that mean the same both ways, as "changed" does."""
    shift: Annotated[float, Field(ge=0, le=8)] = 0.0
    """Of two dates: largest shift of the later one in pixels, down and right, that labels do not follow; what
    lies a little beside itself is no change."""
    cutmix: Fraction = 0.0
    """Chance of a sample to receive a rectangle of another, with its labels."""

    @field_validator("zoom")
    @classmethod
    def _ordered(cls, zoom: tuple[float, float]) -> tuple[float, float]:
        if not 0.25 <= zoom[0] <= zoom[1] <= 4:
            raise ValueError(f"{zoom} is not (smallest, largest) within 0.25..4")
        return zoom
