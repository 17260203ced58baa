"""The recipe: what to train on what, as a YAML file that is checked before any scene is opened.

A recipe is data only. It can name files and numbers, never code. Paths are relative to `data_root`,
which is relative to the recipe itself.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from geodl.errors import RecipeError
from geodl.models.spec import NODATA_CLASS, Units

ROOT_VARIABLE = "GEODL_REAL_DATA"

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class LabelClass(_Strict):
    """One class of the model, and what stands for it in the label files.

    `source` (``from`` in the file) lists label values, colours ``"#rrggbb"`` or attribute values; by
    default the class value itself.
    """

    value: Annotated[int, Field(ge=0, lt=NODATA_CLASS)]
    name: Annotated[str, Field(min_length=1)]
    color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
    source: Annotated[list[int | str], Field(alias="from")] = []

    @property
    def keys(self) -> list[int | str]:
        """What stands for this class in label files; colours in lower case."""
        keys: list[int | str] = list(self.source) or [self.value]
        return [key.lower() if isinstance(key, str) and key.startswith("#") else key for key in keys]


class Source(_Strict):
    """Scenes with their labels.

    Parameters
    ----------
    scenes : str or list of str
        Files or glob patterns, each match a scene; with `stack`, all matches together are the
        bands of one scene.
    labels : str
        One file, or a pattern in which ``{stem}`` is the scene's file name without suffix and
        ``{folder}`` the folder it lies in.
    attribute, background : str, int, optional
        For vector labels: the column of the class, and the class value outside all polygons.
    role : {"auto", "train", "validation"}
        ``auto`` divides each scene into spatial blocks for either use.
    bands, scale, sensor, crs, ungeoreferenced
        Passed to `geodl.open_scene`.
    """

    scenes: str | list[str]
    labels: str
    stack: bool = False
    attribute: str | None = None
    background: int | None = None
    role: Literal["auto", "train", "validation"] = "auto"
    bands: list[str] | None = None
    scale: float | str | None = None
    sensor: str | None = None
    crs: str | None = None
    ungeoreferenced: bool = False

    @property
    def patterns(self) -> list[str]:
        """The scene patterns as a list."""
        return [self.scenes] if isinstance(self.scenes, str) else list(self.scenes)


class Split(_Strict):
    """How scenes of role ``auto`` are divided.

    `block` is the side of a block and `gap` the distance between training and validation pixels, in
    pixels. The default gap is the halo of the model: then no training pixel is predicted from
    anything inside a validation block.
    """

    block: Count = 128
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.25
    gap: Annotated[int, Field(ge=0)] | None = None


class Optimisation(_Strict):
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


class Augment(_Strict):
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


class Recipe(_Strict):
    """A validated recipe; `load_recipe` makes one from a file.

    `tile`, `halo` and `stitch` are taken from the architecture's row of `MODELS` where not given. With
    `half` the weights are stored as float16, in half the space; the accuracy is that of what is stored.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.\-]{0,63}$")]
    title: str = ""
    task: str = "landcover"
    architecture: str = "unet_compact"
    parameters: dict[str, Any] = {}
    bands: Annotated[list[str], Field(min_length=1)]
    units: Units
    dtype: Literal["uint8", "uint16", "int16", "float32"] | None = None
    pixel_size: Positive | None = None
    pixel_size_range: tuple[float, float] | None = None
    tile: Count | None = None
    halo: Annotated[int, Field(ge=0)] | None = None
    stitch: Literal["crop", "blend"] | None = None
    half: bool = False
    classes: Annotated[list[LabelClass], Field(min_length=2)]
    data_root: Path = Path()
    sources: Annotated[list[Source], Field(min_length=1)]
    split: Split = Split()
    optimisation: Optimisation = Optimisation()
    augment: Augment = Augment()
    seed: int = 0
    licence: str = ""
    note: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        keys = [key for c in self.classes for key in c.keys]
        for what, seen in (
            ("class value", [c.value for c in self.classes]),
            ("class name", [c.name for c in self.classes]),
            ("label value", keys),
            ("band", self.bands),
        ):
            if len(set(seen)) != len(seen):
                raise ValueError(f"a {what} occurs twice: {seen}")
        roles = {source.role for source in self.sources}
        if "auto" not in roles and not {"train", "validation"} <= roles:
            raise ValueError(
                "sources: some scenes must have the role 'train' and some 'validation', or 'auto' for both"
            )
        return self

    @property
    def mapping(self) -> dict[int | str, int]:
        """From what label files hold to the position of the class in `classes`."""
        return {key: code for code, c in enumerate(self.classes) for key in c.keys}

    def position(self, value: int) -> int | None:
        """Position in `classes` of the class with raster value `value`."""
        return next((code for code, c in enumerate(self.classes) if c.value == value), None)

    def written(self) -> dict[str, Any]:
        """Return what the recipe says beyond the defaults, without local paths: for ``model.json``."""
        return self.model_dump(mode="json", by_alias=True, exclude={"data_root"}, exclude_defaults=True)


def load_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe file.

    Parameters
    ----------
    path : str or Path
        A YAML file. ``data_root`` in it may contain ``${GEODL_REAL_DATA}`` or
        ``${GEODL_REAL_DATA:-fallback}``; no other variable is looked up.

    Raises
    ------
    RecipeError
        Naming the file, the key, what is wrong with it and what would do.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"recipe {path}", str(error), "give a readable YAML file") from error
    if not isinstance(content, dict):
        raise RecipeError(f"recipe {path}", "it holds no keys", "see workflows/ for examples")
    root = _expand(str(content.get("data_root", ".")), path)
    try:
        return Recipe.model_validate({**content, "data_root": (path.parent / root).resolve()})
    except ValidationError as error:
        raise RecipeError(f"recipe {path}", _explain(error), "mend the recipe") from error


def _expand(text: str, path: Path) -> str:
    def value(match: re.Match[str]) -> str:
        name, fallback = match.groups()
        if name != ROOT_VARIABLE:
            raise RecipeError(f"recipe {path}", f"data_root: unknown variable {name}", f"use {ROOT_VARIABLE}")
        found = os.environ.get(name) or fallback
        if not found:
            raise RecipeError(f"recipe {path}", f"data_root: {name} is not set", f"export {name}=FOLDER")
        return found

    return re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", value, text)


def _explain(error: ValidationError) -> str:
    """Every problem as ``key.path: message``, joined by semicolons."""
    problems = []
    for one in error.errors(include_url=False):
        where = ".".join(str(part) for part in one["loc"]) or "recipe"
        message = one["msg"].removeprefix("Value error, ")
        if one["type"] == "extra_forbidden":
            message = f"unknown key; known are {', '.join(_siblings(one['loc']))}"
        problems.append(f"{where}: {message}")
    return "; ".join(problems)


def _siblings(location: tuple[int | str, ...]) -> list[str]:
    """Keys that may stand where an unknown one was found."""
    models: dict[str, type[BaseModel]] = {
        "classes": LabelClass,
        "sources": Source,
        "split": Split,
        "optimisation": Optimisation,
        "augment": Augment,
    }
    home = models.get(str(location[0]), Recipe) if len(location) > 1 else Recipe
    return [field.alias or name for name, field in home.model_fields.items()]
