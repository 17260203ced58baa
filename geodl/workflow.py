"""The workflow: what to make of many scenes, as a YAML file that is checked before any scene is opened.

A workflow is data only. It can name files and numbers, never code.
"""

from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)

from geodl.changes.options import ChangeOptions
from geodl.errors import RecipeError
from geodl.job import RunOptions
from geodl.models.bundle import bundled_models
from geodl.pairs import pairing_of
from geodl.scene.bands import parse_sensor
from geodl.scene.units import parse_scale

MAX_BYTES = 1024**2

Scale = float | tuple[float, float] | str | None

_PAIRING = {"grid", "resampling", "coregister", "normalise", "after_bands", "after_scale", "after_sensor"}
_STRICT = ConfigDict(extra="forbid", frozen=True)


def _section(name: str, options: type) -> type[BaseModel]:
    """Make a section of a dataclass of options: a new option can stand in workflows at once."""
    told = {
        option.name: (
            get_type_hints(options)[option.name],
            ... if option.default is MISSING else option.default,
        )
        for option in fields(options)
    }
    return create_model(name, __config__=_STRICT, **told)  # type: ignore[call-overload, no-any-return]


_RUN, _CHANGE = _section("Run", RunOptions), _section("Change", ChangeOptions)


class Scenes(BaseModel):
    """How scenes are read.

    Parameters
    ----------
    bands, scale, mask, sensor, crs, ungeoreferenced, resample, allow_sparse
        As for `geodl.open_scene`.
    stack : bool
        All files that one pattern matches are the bands of one scene.
    assets : list of str, optional
        Assets of a STAC item that are its bands, in this order.
    pairs : (str, str), optional
        Names of the files of the earlier and of the later date: ``"{place}_2023.tif"`` and
        ``"{place}_2024.tif"``; see `geodl.pairs.find_pairs`.
    grid, resampling
        As for `geodl.open_pair`.
    coregister, normalise
        As for `geodl.alignment.align_pair`.
    after_bands, after_scale, after_sensor
        Of the later date, where they differ.
    """

    model_config = _STRICT

    bands: list[str] | str | None = None
    scale: Scale = None
    mask: str = "any"
    sensor: str | None = None
    crs: str | None = None
    ungeoreferenced: bool = False
    resample: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    allow_sparse: bool = False
    stack: bool = False
    assets: Annotated[list[str], Field(min_length=1)] | None = None
    pairs: tuple[str, str] | None = None
    grid: Literal["before", "after", "finer"] = "before"
    resampling: Literal["bilinear", "nearest"] = "bilinear"
    coregister: Literal["off", "shift", "field"] = "off"
    normalise: Literal["off", "histogram", "pif", "irmad"] = "off"
    after_bands: list[str] | str | None = None
    after_scale: Scale = None
    after_sensor: str | None = None

    @field_validator("scale", "after_scale")
    @classmethod
    def _is_scale(cls, scale: Scale) -> Scale:
        parse_scale(scale)
        return scale

    @field_validator("sensor", "after_sensor")
    @classmethod
    def _is_known(cls, sensor: str | None) -> str | None:
        parse_sensor(sensor)
        return sensor

    @model_validator(mode="after")
    def _means_something(self) -> "Scenes":
        fields = Scenes.model_fields
        idle = [name for name in sorted(_PAIRING) if getattr(self, name) != fields[name].default]
        if self.pairs is None and idle:
            raise ValueError(f"{', '.join(idle)}: for pairs of dates only; add pairs, or leave it out")
        if self.pairs is not None and (self.stack or self.assets):
            raise ValueError("with pairs, all files of a date are its bands: leave out stack and assets")
        return self

    @property
    def reading(self) -> dict[str, Any]:
        """Return the options of `geodl.open_scene`."""
        return self.model_dump(exclude={"stack", "assets", "pairs", *_PAIRING})

    @property
    def pairing(self) -> dict[str, Any]:
        """Return the options of `geodl.open_pair` that `geodl.open_scene` does not have."""
        return pairing_of(self.model_dump(include=_PAIRING))


class _File(BaseModel):
    model_config = _STRICT

    model: Annotated[str, Field(min_length=1)] | None = None
    change: _CHANGE | None = None  # type: ignore[valid-type]
    scenes: Scenes = Scenes()
    run: _RUN = _RUN()  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _makes_one_thing(self) -> "_File":
        if (self.model is None) == (self.change is None):
            raise ValueError("say either model, or change: how it is found without one")
        if self.change is not None and self.scenes.pairs is None:
            raise ValueError("change is found between dates: scenes needs pairs")
        if self.change is not None and self.run != _RUN():
            raise ValueError("run: is about models; leave it out with change")
        return self


_SECTIONS: dict[str, type[BaseModel]] = {"scenes": Scenes, "run": _RUN, "change": _CHANGE}


class Workflow(BaseModel):
    """A validated workflow; `load_workflow` makes one from a file.

    Parameters
    ----------
    model : str, optional
        Name of a bundled model, or the absolute path of a model folder.
    change : ChangeOptions, optional
        How change is found, where no model is named.
    scenes : Scenes
        How scenes are read.
    run : RunOptions
        How to run, and what to make.
    """

    model_config = _STRICT

    model: str | None
    change: ChangeOptions | None = None
    scenes: Scenes
    run: RunOptions


def load_workflow(path: str | Path) -> Workflow:
    """Read and check a workflow file.

    Raises
    ------
    RecipeError
        Naming the file, the line, the key, what is wrong with it and what would do.
    """
    path = Path(path)
    content, root = _read(path)
    try:
        file = _File.model_validate(content)
        run = RunOptions(**file.run.model_dump())  # type: ignore[attr-defined]
        change = None if file.change is None else ChangeOptions(**file.change.model_dump())  # type: ignore[attr-defined]
    except ValidationError as error:
        raise RecipeError(f"workflow {path}", _explain(error, root), "mend the workflow") from error
    except ValueError as error:
        section = "run" if file.change is None else "change"
        raise RecipeError(f"workflow {path}", f"{section}: {error}", "mend the workflow") from error
    model = None if file.model is None else _model(path, file.model)
    return Workflow(model=model, change=change, scenes=file.scenes, run=run)


def _model(path: Path, named: str) -> str:
    bundled = {spec.name for spec in bundled_models()}
    return named if named in bundled else str(path.absolute().parent / named)


def _read(path: Path) -> tuple[dict[str, Any], yaml.Node]:
    """Return the content of a YAML file, and its nodes, which know their lines."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RecipeError(f"workflow {path}", "it is larger than 1 MiB", "give a workflow file")
        text = path.read_text(encoding="utf-8")
        content, root = yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise RecipeError(f"workflow {path}", str(error), "give a readable YAML file") from error
    if not isinstance(content, dict) or root is None:
        raise RecipeError(f"workflow {path}", "it holds no keys", "see workflows/ for examples")
    return content, root


def _explain(error: ValidationError, root: yaml.Node) -> str:
    """Every problem as ``line N, key.path: message``, joined by semicolons."""
    problems = []
    for one in error.errors(include_url=False):
        where = ".".join(str(part) for part in one["loc"])
        message = one["msg"].removeprefix("Value error, ")
        if one["type"] == "extra_forbidden":
            known = _SECTIONS.get(str(one["loc"][0]), _File) if len(one["loc"]) > 1 else _File
            message = f"unknown key; known are {', '.join(known.model_fields)}"
        place = f"line {_line(root, one['loc'])}" + (f", {where}" if where else "")
        problem = f"{place}: {message}"
        if problem not in problems:
            problems.append(problem)
    return "; ".join(problems)


def _line(node: yaml.Node, location: Sequence[int | str]) -> int:
    """Line of the key that a location leads to, as far as it leads."""
    line = node.start_mark.line
    for part in location:
        if isinstance(node, yaml.MappingNode):
            pair = next(((key, value) for key, value in node.value if key.value == part), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
        else:
            break
    return line + 1
