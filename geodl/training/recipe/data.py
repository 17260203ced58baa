"""What to learn from: classes, scenes with their labels, and how they are divided."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from geodl.models.spec import NODATA_CLASS
from geodl.training.recipe.fields import Count, Fraction, Positive, Strict
from geodl.training.recipe.table import Table

_OPENING = ("bands", "scale", "sensor", "crs", "ungeoreferenced", "resample")
_READING = (
    *_OPENING, "xyz", "rows", "columns",
    "attribute", "background", "width", "radius", "stack", "table",
)  # fmt: skip


class LabelClass(Strict):
    """One class of the model, and what stands for it in the label files."""

    value: Annotated[int, Field(ge=0, lt=NODATA_CLASS)]
    """Value of the class in the rasters that the model makes."""
    name: Annotated[str, Field(min_length=1)]
    """Name of the class in legends and tables."""
    color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
    """Colour of the class on maps: "#rrggbb"."""
    source: Annotated[list[int | str], Field(alias="from", default_factory=list)]
    """Label values, colours "#rrggbb" or attribute values that mean this class; by default its value."""

    @property
    def keys(self) -> list[int | str]:
        """What stands for this class in label files; colours in lower case."""
        return small_colours(list(self.source) or [self.value])


def small_colours(keys: list[int | str]) -> list[int | str]:
    """Write colours in small letters, as label readers name them."""
    return [key.lower() if isinstance(key, str) and key.startswith("#") else key for key in keys]


class Edges(Strict):
    """A class made of the rim of another one, which keeps things apart that touch each other.

    Of vector labels every polygon has its own rim, also where it touches its neighbour; of rasters every
    connected patch has one. A map whose interiors are apart can be grown back to the things it shows.
    """

    of: Annotated[str, Field(min_length=1)]
    """The class that gives its rim away."""
    into: Annotated[str, Field(min_length=1)]
    """The class that the rim becomes; another one of the classes, which label files need not hold."""
    pixels: Annotated[int, Field(ge=1, le=16)] = 2
    """Width of the rim, measured inwards from the outline."""


Range = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]
"""First row or column, and the one after the last."""


def _labels_or_table(schema: dict[str, Any]) -> None:
    """Say in the JSON schema what the validators of `Source` want: labels in files, or in a table."""
    schema["required"].remove("labels")
    schema["if"] = {"required": ["table"], "properties": {"table": {"type": "object"}}}
    schema["then"] = {"not": {"required": ["labels"]}}
    schema["else"] = {"required": ["labels"]}


class Source(Strict):
    """Scenes with their labels."""

    model_config = ConfigDict(json_schema_extra=_labels_or_table)

    scenes: str | list[str]
    """Files or glob patterns below data_root; each match is a scene, a folder that of the files in it."""
    after: str | None = None
    """The later date of each scene, for change: a file, a folder of files, or a pattern, as for labels. Its
    bands are called after.red, ..., those of the scene before.red, ..."""
    root: Path | None = None
    """Folder that scenes and labels are relative to, in the place of data_root."""
    labels: str
    """One label file, or a pattern: {stem} is the scene's file name without suffix, {folder} the folder
    it lies in, {name} its path from the first wildcard of the pattern on, without suffix, {*} what the
    first * of the pattern stands for. "none": there are no labels, all of the scenes is `background`."""
    stack: bool = False
    """Whether all matches together are the bands of one scene; of a series, the files of one day."""
    series: bool = False
    """Whether the matches are the dates of one place, or, where they are folders, the files in each of them.
    Needs the `calendar` of the recipe."""
    masks: str | None = None
    """Of a series: rasters that are 0 where a date is hidden (cloud), a pattern as for labels; one for each
    date, in the order of their names."""
    table: Table | None = None
    """Scenes are tables with series of points, and labels a column of them. Needs the `calendar`."""
    attribute: str | None = None
    """Of vector labels: the column that holds the class."""
    classes: dict[str, list[int | str]] = Field(default_factory=dict)
    """Where these labels mean other things than `from` of the classes says: what they hold, by class name.
    Classes that are not named do not occur."""
    background: int | None = None
    """Of vector labels: the class value outside all polygons and lines; by default nothing is known there."""
    missing: Literal["refuse", "background", "leave_out"] = "refuse"
    """Of scenes without a label file: refuse the recipe, take all of the scene for `background` (nothing is
    there), or leave the scene out (nobody has looked)."""
    width: Positive | str | None = None
    """Of lines: their width in metres, or the column that holds it."""
    radius: Positive | None = None
    """Of points: metres around a point that share its class; by default only the pixel it lies in."""
    role: Literal["auto", "train", "validation"] = "auto"
    """What the scenes are for; "auto" divides them as `split` says."""
    weight: Positive = 1.0
    """How often samples are drawn from a labelled pixel of these scenes, beside one of the other sources."""
    paste: Fraction = 0.0
    """Of two dates: chance of a sample to receive pieces of another part of its scene at the later date,
    which count as changed where they look unlike what was there (Self-Pair, arXiv:2212.10236)."""
    bands: list[str] | None = None
    """Names of all bands in the order of the files, where the files do not tell."""
    scale: float | str | None = None
    """Makes values reflectances: a factor or "factor,offset"; "none" for digital numbers."""
    sensor: str | None = None
    """Whose bands and units to assume, e.g. sentinel-2-l2a."""
    crs: str | None = None
    """Coordinate system that replaces the one of the files, e.g. EPSG:32633."""
    ungeoreferenced: bool = False
    """Use pixel coordinates whatever the files say."""
    resample: Positive | None = None
    """Read the scenes, and their labels, at this pixel size in metres."""
    rows: Range | None = None
    """Only labels in these rows of the scenes as they are read count: [first, the one after the last]."""
    columns: Range | None = None
    """Only labels in these columns count."""
    xyz: str | None = None
    """For tiles of web maps: how their names tell where they lie, e.g. "{z}/{x}/{y}" or "{z}_{x}_{y}";
    "{-y}" counts rows from the south."""

    @model_validator(mode="after")
    def _consistent(self) -> "Source":
        if self.missing == "background" and self.background is None:
            raise ValueError("`missing: background` needs `background`, the class value that it means")
        if not self.labelled and self.background is None:
            raise ValueError("`labels: none` needs `background`, the class value that all of the scenes has")
        for name in ("rows", "columns"):
            given = getattr(self, name)
            if given is not None and given[0] >= given[1]:
                raise ValueError(f"`{name}` {list(given)} is not [first, the one after the last]")
        return self

    @model_validator(mode="before")
    @classmethod
    def _labels_in_the_table(cls, content: Any) -> Any:
        holds_both = isinstance(content, Mapping) and content.get("table") is not None
        return {"labels": "", **content} if holds_both else content

    @model_validator(mode="after")
    def _of_many_dates(self) -> "Source":
        if self.table is not None and self.labels:
            raise ValueError("`labels` are a column of the `table`; leave the key out")
        if self.masks is not None and not self.series:
            raise ValueError("`masks` are those of the dates of a `series: true`")
        if self.after is not None and self.of_many_dates:
            raise ValueError("`after` is the second of two dates; leave it out with `series` and `table`")
        return self

    @property
    def of_many_dates(self) -> bool:
        """Whether these are series, of scenes or of points."""
        return self.series or self.table is not None

    @property
    def labelled(self) -> bool:
        """Whether any labels belong to the scenes."""
        return self.labels != "none"

    @property
    def patterns(self) -> list[str]:
        """The scene patterns as a list."""
        return [self.scenes] if isinstance(self.scenes, str) else list(self.scenes)

    def opening(self) -> dict[str, Any]:
        """Return the options of `geodl.open_scene`, as keywords."""
        return {name: getattr(self, name) for name in _OPENING}

    def reading(self) -> dict[str, Any]:
        """Return the options that decide on pixels and labels, as plain values."""
        options = {name: getattr(self, name) for name in _READING}
        return {**options, "table": None if self.table is None else self.table.model_dump()}


class Split(Strict):
    """How scenes of role "auto" are divided into training and validation."""

    by: Literal["blocks", "scene", "polygons"] = "blocks"
    """Hold out square blocks of each scene, whole scenes, or what lies inside the polygons of a file."""
    block: Count = 128
    """Side of a block in pixels."""
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """Share of the labelled blocks, or scenes, that is held out; with folds it is 1 / folds."""
    gap: Annotated[int, Field(ge=0)] | None = None
    """Pixels between training and validation; by default the halo of the model, so that no training
    pixel is predicted from anything inside a validation area."""
    polygons: str | None = None
    """Vector file below data_root whose polygons are the validation areas."""
    folds: Annotated[int, Field(ge=2)] | None = None
    """Number of parts for cross-validation: each labelled block, or scene, is held out in exactly one."""
    fold: Annotated[int, Field(ge=0)] | None = None
    """The part held out in this run, counted from 0."""

    @model_validator(mode="after")
    def _consistent(self) -> "Split":
        if (self.by == "polygons") != (self.polygons is not None):
            raise ValueError("`by: polygons` and `polygons: FILE` belong together")
        if self.folds is not None and self.by == "polygons":
            raise ValueError("folds are made of blocks or scenes, not of polygons; leave `folds` out")
        if self.fold is not None and self.fold >= (self.folds or 0):
            raise ValueError(
                "`fold` needs `folds`, the number of parts"
                if self.folds is None
                else f"fold {self.fold} does not exist: {self.folds} folds are counted from 0 "
                f"to {self.folds - 1}"
            )
        return self
