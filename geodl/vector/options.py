"""What a user may ask of a vector layer."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

from geodl.errors import OptionError

REGULARIZE = ("off", "gentle", "strict")


@dataclass(frozen=True, kw_only=True)
class VectorOptions:
    """How outlines become features; a vectorizer reads what means something to it.

    Parameters
    ----------
    connectivity : {4, 8}
        Whether pixels that share only a corner belong together.
    simplify : float, optional
        Tolerance in pixels, 0 for exact pixel outlines; by default what suits the task.
    min_area : float, optional
        Square metres below which a feature is left out, or merged into a neighbour where features cover
        the ground; by default what suits the task.
    regularize : {"off", "gentle", "strict"}, optional
        How far outlines of buildings are drawn towards right angles; by default "gentle".
    object_class : int or str, optional
        Value or name of the class that is the object: a layer of that class alone; by default what suits
        the task.

    Raises
    ------
    OptionError
        A value is not possible.
    """

    connectivity: int = 4
    simplify: float | None = None
    min_area: float | None = None
    regularize: Literal["off", "gentle", "strict"] | None = None
    object_class: int | str | None = None

    def __post_init__(self) -> None:
        if self.connectivity not in (4, 8):
            raise OptionError("connectivity", f"{self.connectivity!r} is not possible", "choose 4 or 8")
        for name in ("simplify", "min_area"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                option = f"{_option(name)} {value:g}"
                raise OptionError(option, "it is not a number from 0 on", "give 0 or more")
        if self.regularize is not None and self.regularize not in REGULARIZE:
            raise OptionError(
                f"--regularize {self.regularize}", "it is unknown", f"choose one of {', '.join(REGULARIZE)}"
            )

    def class_value(self, names: Mapping[int, str]) -> int | None:
        """Return the value of `object_class`, which is a value or one of `names`; None where it is not set.

        >>> VectorOptions(object_class="water").class_value({1: "forest", 2: "water"})
        2

        Raises
        ------
        OptionError
            No class has that name.
        """
        wanted = self.object_class
        if wanted is None or isinstance(wanted, int):
            return wanted
        for value, name in names.items():
            if name.casefold() == wanted.casefold():
                return value
        try:
            return int(wanted)
        except ValueError:
            known = ", ".join(f"{value} ({name})" for value, name in names.items())
            raise OptionError(
                f"--class {wanted}",
                "no class of the raster has this name",
                f"choose one of {known}" if known else "give its value: the raster carries no names",
            ) from None

    def refuse(self, meaningless: tuple[str, ...], task: str) -> None:
        """Refuse what was asked for although it means nothing for a task.

        Raises
        ------
        OptionError
            One of the fields named in `meaningless` is not at its default.
        """
        for field in fields(self):
            if field.name in meaningless and getattr(self, field.name) != field.default:
                raise OptionError(
                    _option(field.name), f"it means nothing for the task {task}", "leave it out"
                )


def _option(field: str) -> str:
    return "--class" if field == "object_class" else f"--{field.replace('_', '-')}"
