"""`model.json`: everything a prediction needs to know about a network, validated.

The file is written by training or by `geodl models import` and read before any scene is opened, so
that a mismatch is named first. In the file it has the form of a STAC Item: see `geodl.models.item`.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from geodl.calendars import Calendar
from geodl.task import TASKS

FORMAT_VERSION = 2  # as in `ModelSpec.format_version`
NODATA_CLASS = 255
WEIGHTS_FILE = "weights.safetensors"
ONNX = "onnx"  # the architecture that is not ours to build: the file brings its own graph
ONNX_FILE = "network.onnx"

Units = Literal["reflectance", "digital_number", "z_score"]


def _one_line(text: str) -> str:
    # Shown on terminals and in reports, where escape sequences would act.
    if text and not text.isprintable():
        raise ValueError("holds control characters")
    return text


def _some_lines(text: str) -> str:
    _one_line(text.replace("\n", " ").replace("\t", " "))
    return text


Line = Annotated[str, Field(max_length=512), AfterValidator(_one_line)]
Text = Annotated[str, Field(max_length=20_000), AfterValidator(_some_lines)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BandSpec(_Strict):
    """One input channel: its name and the statistics that scale it.

    The network sees ``(value - mean) / std`` with `value` in the units of the model.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]{1,64}$")]
    mean: Annotated[float, Field(allow_inf_nan=False)]
    std: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ClassSpec(_Strict):
    """One class of the map: the value in the raster, its name and its colour ``#rrggbb``."""

    value: Annotated[int, Field(ge=0, lt=NODATA_CLASS)]
    name: Annotated[Line, Field(min_length=1, max_length=128)]
    color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$"), AfterValidator(str.lower)]

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Colour as three integers 0..255."""
        return int(self.color[1:3], 16), int(self.color[3:5], 16), int(self.color[5:7], 16)


class TrainingSpec(_Strict):
    """Where the weights come from."""

    data: list[Line] = []
    licence: Line = ""
    date: Line = ""
    recipe: dict[str, Any] = {}
    note: Text = ""


class AccuracySpec(_Strict):
    """Accuracy measured on data that took no part in the fit; fractions in 0..1.

    `reference` names the labels, `split` says how they were kept apart from those of the training
    (``"spatial blocks, 1280 m apart"``).
    """

    reference: Text = ""
    split: Line = ""
    pixels: Annotated[int, Field(ge=0)] = 0
    overall: Annotated[float, Field(ge=0, le=1)] | None = None
    mean_iou: Annotated[float, Field(ge=0, le=1)] | None = None
    iou: dict[str, float | None] = {}


class ModelSpec(_Strict):
    """The validated content of ``model.json``.

    `tile`, `halo` and `stride` are in pixels: the network sees squares of `tile`, keeps the core of
    ``tile - 2 * halo`` and its output shifts exactly with input shifts of `stride`. `bf16_agreement` is
    the share of pixels that keep their class when the network computes in bfloat16, where measured.
    Class scores are divided by `temperature` before they become probabilities (Guo et al. 2017,
    https://arxiv.org/abs/1706.04599); it moves no pixel to another class. `licence` is that of the weights,
    ``training.licence`` that of the data. A model with a `calendar` maps series of scenes, and its bands are
    those of all steps. `familiar_sha256` is that of ``familiar.safetensors``, which says
    what the model has seen; empty where there is none. With `units` ``z_score`` bands are standard scores
    within each scene, see `geodl.standard`.
    """

    format_version: Literal[2] = 2
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.\-]{0,63}$")]
    title: Line = ""
    task: str
    architecture: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]
    parameters: dict[str, Any] = {}
    bands: Annotated[list[BandSpec], Field(min_length=1, max_length=512)]
    units: Units
    dtype: Literal["uint8", "uint16", "int16", "float32"] | None = None
    pixel_size: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    pixel_size_range: tuple[float, float] | None = None
    calendar: Calendar | None = None
    classes: Annotated[list[ClassSpec], Field(min_length=2, max_length=NODATA_CLASS)]
    tile: Annotated[int, Field(gt=0, le=8192)]
    halo: Annotated[int, Field(ge=0, le=4096)]
    stride: Annotated[int, Field(gt=0, le=1024)]
    stitch: Literal["crop", "blend"]
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    licence: Line = ""
    bf16_agreement: Annotated[float, Field(ge=0, le=1)] | None = None
    training: TrainingSpec = TrainingSpec()
    accuracy: AccuracySpec = AccuracySpec()
    familiar_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    weights_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""

    @field_validator("task")
    @classmethod
    def _known_task(cls, task: str) -> str:
        if task not in TASKS:
            raise ValueError(f"unknown task {task!r}; geodl knows {', '.join(TASKS)}")
        return task

    @model_validator(mode="after")
    def _consistent(self) -> "ModelSpec":
        if self.core <= 0 or self.core % self.stride or self.halo % self.stride:
            raise ValueError(
                f"tile {self.tile} and halo {self.halo}: the halo and the core (tile - 2 * halo) "
                f"must be positive multiples of the stride {self.stride}"
            )
        for what, seen in (
            ("band name", [band.name for band in self.bands]),
            ("class value", [c.value for c in self.classes]),
            ("class name", [c.name for c in self.classes]),
        ):
            if len(set(seen)) != len(seen):
                raise ValueError(f"a {what} occurs twice: {seen}")
        if self.calendar is not None and self.calendar.bands_of_one_date(self.band_names) is None:
            raise ValueError(
                f"the bands are not those of the {self.calendar.steps} steps of the calendar, one step after "
                "the other, as in 01.ndvi, 01.gap, 02.ndvi, 02.gap"
            )
        if self.pixel_size_range is not None and not 0 < self.pixel_size_range[0] <= self.pixel_size_range[1]:
            raise ValueError(f"pixel_size_range {self.pixel_size_range} is not (smallest, largest) in metres")
        return self

    @property
    def core(self) -> int:
        """Side of the part of a tile that is kept, in pixels."""
        return self.tile - 2 * self.halo

    @property
    def band_names(self) -> list[str]:
        """Names of the input channels, in the order the network expects."""
        return [band.name for band in self.bands]

    @property
    def class_values(self) -> list[int]:
        """Raster value of each output channel."""
        return [c.value for c in self.classes]

    @property
    def weights_file(self) -> str:
        """Name of the file beside ``model.json`` that holds the weights."""
        return ONNX_FILE if self.architecture == ONNX else WEIGHTS_FILE


def first_problem(error: ValidationError, *, inside: str = "") -> str:
    """Say in one phrase where a validated file is wrong and why.

    Examples
    --------
    >>> try:
    ...     BandSpec(name="red", mean=0.1, std=0)
    ... except ValidationError as error:
    ...     print(first_problem(error, inside="bands.0"))
    bands.0.std: Input should be greater than 0
    """
    place, why = problem_of(error)
    where = ".".join(str(part) for part in ([inside] if inside else []) + list(place))
    return f"{where}: {why}" if where else why


def problem_of(error: ValidationError) -> tuple[tuple[str | int, ...], str]:
    """Return the place of the first thing that is wrong, as keys and positions, and why it is."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    why = problem["msg"].removeprefix("Value error, ")
    return problem["loc"], f"{why} (and {error.error_count() - 1} more)" if error.error_count() > 1 else why


def flag_attributes(classes: Iterable[ClassSpec]) -> dict[str, Any]:
    """CF attributes of a class raster: values, meanings and colours of its flags.

    Plain lists and strings, so that an array that carries them can be written to any format.
    """
    classes = tuple(classes)
    return {
        "flag_values": [c.value for c in classes],
        "flag_meanings": " ".join("_".join(c.name.split()) for c in classes),
        "flag_colors": " ".join(c.color for c in classes),
        "class_names": [c.name for c in classes],
    }


def classes_of_attributes(attributes: Mapping[str, Any]) -> tuple[ClassSpec, ...]:
    """Return the classes that `flag_attributes` wrote down; none where there are no such attributes.

    >>> water = ClassSpec(value=1, name="open water", color="#2b6cb0")
    >>> classes_of_attributes(flag_attributes([water])) == (water,)
    True
    """
    if not {"flag_values", "flag_meanings", "flag_colors"} <= set(attributes):
        return ()
    values, colors = attributes["flag_values"], str(attributes["flag_colors"]).split()
    names = attributes.get("class_names", str(attributes["flag_meanings"]).split())
    return tuple(
        ClassSpec(value=int(value), name=str(name), color=color)
        for value, name, color in zip(values, names, colors, strict=True)
    )
