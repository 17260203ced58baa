"""`Recipe`: the parts as one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from geodl.calendars import Calendar
from geodl.errors import RecipeError
from geodl.models.spec import Units
from geodl.task import CHANGED, TASKS, UNCHANGED
from geodl.training.recipe.data import Edges, LabelClass, Source, Split, small_colours
from geodl.training.recipe.fields import Count, Positive, Strict
from geodl.training.recipe.learning import Augment, Optimisation
from geodl.training.recipe.many_dates import check_many_dates, with_all_steps
from geodl.training.recipe.portable import portable
from geodl.training.recipe.positions import Positions
from geodl.training.recipe.start import Pretraining, Start

_WITH_PATHS = ("sources", "split", "start", "pretraining")


class Recipe(Strict):
    """What to train on what; `load_recipe` makes one from a file."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.\-]{0,63}$")]
    """Name of the model: small letters, digits, dots, dashes."""
    title: str = ""
    """Name for people."""
    task: str = "landcover"
    """What the model is for, e.g. landcover."""
    architecture: str = "unet_compact"
    """The network: unet_compact, unet, unetplusplus, segformer, ...; unknown names are answered by a list."""
    parameters: Annotated[dict[str, Any], Field(default_factory=dict)]
    """Parameters of the architecture, e.g. {encoder: resnet18}."""
    bands: Annotated[list[str], Field(min_length=1)]
    """Names of the bands that the network sees, in its order."""
    calendar: Calendar | None = None
    """For series of many dates: the days at which the network sees them; `bands` are those of one date."""
    units: Units
    """What the network is fed: reflectance, digital_number (as in the files), or z_score (standard scores
    within each scene, which say nothing of its sun, haze and sensor)."""
    dtype: Literal["uint8", "uint16", "int16", "float32"] | None = None
    """For digital numbers: the type that scenes must have."""
    pixel_size: Positive | None = None
    """Metres on the ground."""
    pixel_size_range: tuple[float, float] | None = None
    """Smallest and largest pixel size in metres of scenes that the model accepts."""
    tile: Count | None = None
    """Side of the tiles of a prediction in pixels; by default that of the architecture."""
    halo: Annotated[int, Field(ge=0)] | None = None
    """Margin of a tile that is thrown away, in pixels; by default that of the architecture."""
    stitch: Literal["crop", "blend"] | None = None
    """How tiles are joined; by default as the architecture needs it."""
    half: bool = False
    """Store the weights as float16, in half the space; the accuracy is that of what is stored."""
    classes: Annotated[list[LabelClass], Field(min_length=2)]
    """The classes of the map."""
    edges: Edges | None = None
    """Makes the rim of things of one class a class of its own."""
    data_root: Path = Path()
    """Folder that scenes and labels are relative to; itself relative to the recipe."""
    sources: Annotated[list[Source], Field(min_length=1)]
    """Scenes with their labels."""
    split: Split = Split()
    """How scenes of role "auto" are divided into training and validation."""
    start: Start | None = None
    """Weights to begin with; by default random ones."""
    pretraining: Pretraining = Pretraining()
    """For `geodl pretrain`, which learns without labels."""
    optimisation: Optimisation = Optimisation()
    """How long and how fast to learn."""
    augment: Augment = Augment()
    """Random changes to the training samples."""
    seed: int = 0
    """Fixes every random choice."""
    licence: str = ""
    """Licence of the data, and of the weights learnt from them."""
    note: str = ""
    """What users of the model should know about its data."""

    _positions: Positions | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _bands_of_all_steps(cls, content: Any) -> Any:
        return with_all_steps(content)

    @field_validator("bands")
    @classmethod
    def _bands_differ(cls, bands: list[str]) -> list[str]:
        _check_distinct("band", bands)
        return bands

    @field_validator("classes")
    @classmethod
    def _classes_differ(cls, classes: list[LabelClass]) -> list[LabelClass]:
        _check_distinct("class value", [c.value for c in classes])
        _check_distinct("class name", [c.name for c in classes])
        _check_distinct("label value", [key for c in classes for key in c.keys])
        return classes

    @model_validator(mode="after")
    def _as_many_dates(self) -> Self:
        two = self.task in TASKS and TASKS[self.task].dates == 2
        for number, source in enumerate(self.sources):
            if two != (source.after is not None):
                raise ValueError(
                    f"source {number + 1} has {'no `after`' if two else 'an `after`'}: the task {self.task} "
                    f"compares {'two dates' if two else 'no dates'}"
                )
        for change in ("swap_dates", "shift"):
            if getattr(self.augment, change) and not two:
                raise ValueError(f"`{change}` needs two dates, the task {self.task} has one")
        pasted = any(source.paste for source in self.sources)
        if pasted and not two:
            raise ValueError(f"`paste` needs two dates, the task {self.task} has one")
        if pasted and {c.value for c in self.classes} != {UNCHANGED, CHANGED}:
            raise ValueError(
                "`paste` cannot tell kinds of change: it needs the classes 0, unchanged, and 1, changed"
            )
        return self

    @model_validator(mode="after")
    def _of_many_dates(self) -> Self:
        check_many_dates(self)
        return self

    @field_validator("sources")
    @classmethod
    def _both_roles(cls, sources: list[Source]) -> list[Source]:
        roles = {source.role for source in sources}
        if "auto" not in roles and not {"train", "validation"} <= roles:
            raise ValueError(
                "some scenes must have the role 'train' and some 'validation', or 'auto' for both"
            )
        return sources

    @model_validator(mode="after")
    def _names_are_of_classes(self) -> Self:
        known = [c.name for c in self.classes]
        named = [] if self.edges is None else [self.edges.of, self.edges.into]
        for source in self.sources:
            named += source.classes
            _check_distinct("label value", [key for keys in source.classes.values() for key in keys])
        for name in named:
            if name not in known:
                raise ValueError(f"there is no class {name!r}; the classes are {', '.join(known)}")
        if self.edges is not None and self.edges.of == self.edges.into:
            raise ValueError(f"`edges`: the rim of {self.edges.of!r} must become another class")
        return self

    @property
    def mapping(self) -> dict[int | str, int]:
        """From what label files hold to the position of the class in `classes`."""
        made = None if self.edges is None else self.edges.into
        return {
            key: code
            for code, c in enumerate(self.classes)
            if c.name != made or c.source  # a class made of rims is in no file unless the recipe says so
            for key in c.keys
        }

    def mapping_of(self, source: Source) -> dict[int | str, int]:
        """As `mapping`, for the label files of one source."""
        if not source.classes:
            return self.mapping
        names = [c.name for c in self.classes]
        return {
            key: names.index(name) for name, keys in source.classes.items() for key in small_colours(keys)
        }

    def root_of(self, source: Source) -> Path:
        """Folder that the scenes and labels of a source are relative to."""
        return self.data_root if source.root is None else source.root

    def position(self, value: int) -> int | None:
        """Position in `classes` of the class with raster value `value`."""
        return next((code for code, c in enumerate(self.classes) if c.value == value), None)

    def placed(self, positions: Positions) -> Self:
        """Remember where in a file the keys stand, for `where`."""
        self._positions = positions
        return self

    def where(self, *keys: str | int) -> str:
        """Name a key for an error message, with file and line where it was read from one."""
        if self._positions is None:
            return f"recipe {self.name}, {'.'.join(map(str, keys))}"
        return f"recipe {self._positions.path}, {self._positions.describe(keys)}"

    def with_fold(self, fold: int) -> "Recipe":
        """Return the recipe with another part held out.

        Raises
        ------
        RecipeError
            The recipe has no such fold.
        """
        folds = self.split.folds
        if folds is None or not 0 <= fold < folds:
            raise RecipeError(
                self.where("split"),
                f"there is no fold {fold}" if folds else "it has no folds",
                f"use 0 to {folds - 1}" if folds else "say how many under split, e.g. `folds: 5`",
            )
        return self.model_copy(update={"split": self.split.model_copy(update={"fold": fold})})

    def written(self, *, whole: bool = False) -> dict[str, Any]:
        """Return what the recipe says, without the folders of this computer: for ``model.json``.

        Parameters
        ----------
        whole : bool
            Also what is as by default.
        """
        local: Any = {"data_root": True, "sources": {"__all__": {"root"}}}
        content = self.model_dump(mode="json", by_alias=True, exclude=local, exclude_defaults=not whole)
        if self.calendar is not None:
            content["bands"] = self.calendar.bands_of_one_date(self.bands)
        return content | {key: portable(content[key]) for key in _WITH_PATHS if key in content}


def _check_distinct(what: str, seen: Sequence[int | str]) -> None:
    if len(set(seen)) != len(seen):
        raise ValueError(f"a {what} occurs twice: {list(seen)}")
