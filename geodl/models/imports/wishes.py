"""What the user says about a source: options of `geodl models import`."""

import re
from dataclasses import dataclass, field
from typing import Any

from geodl.errors import OptionError
from geodl.models.spec import ClassSpec

# Colours that differ in hue and lightness, after the qualitative schemes of Paul Tol,
# https://sronpersonalpages.nl/~pault/ ("bright" and "muted").
_COLORS = (
    "#4477aa", "#228833", "#ccbb44", "#ee6677", "#66ccee", "#aa3377", "#bbbbbb", "#332288", "#117733",
    "#999933", "#882255", "#88ccee", "#44aa99", "#ddcc77", "#cc6677", "#aa4499",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """Answers to what a source does not say; None and empty where the source is to be believed.

    Parameters
    ----------
    name, title, licence : str
        For ``model.json``.
    task : str
        Row of `geodl.task.TASKS`.
    bands : tuple of str
        Names of the input channels, in order.
    classes : tuple of ClassSpec
        Of the output channels, in order.
    units, dtype : str or None
        What the bands hold: ``reflectance`` or ``digital_number``; ``uint8`` and so on.
    pixel_size : float or None
        Metres.
    mean, std : tuple of float
        Per band or one for all, in those units; the network sees ``(value - mean) / std``.
    tile, halo : int or None
        Pixels.
    architecture : str or None
        Row of `MODELS`, for tensors that do not say what they belong to.
    parameters : dict
        Its parameters.
    outputs : str or None
        Whether an ONNX file gives ``scores`` or ``probabilities``.
    """

    name: str | None = None
    title: str = ""
    licence: str = ""
    task: str = "landcover"
    bands: tuple[str, ...] = ()
    classes: tuple[ClassSpec, ...] = ()
    units: str | None = None
    dtype: str | None = None
    pixel_size: float | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    tile: int | None = None
    halo: int | None = None
    architecture: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    outputs: str | None = None


def read_classes(text: str) -> tuple[ClassSpec, ...]:
    """Read class names, each with a value before it and a colour after it if they matter.

    Without values the classes are numbered from 1; 0 is left free, for many programs take it for nothing.

    Raises
    ------
    OptionError
        An entry is no ``[VALUE=]NAME[#rrggbb]``.

    Examples
    --------
    >>> [(c.value, c.name, c.color) for c in read_classes("water,built-up#c1440e")]
    [(1, 'water', '#4477aa'), (2, 'built-up', '#c1440e')]
    >>> [c.value for c in read_classes("11=water,41=forest")]
    [11, 41]
    """
    entries = []
    for i, part in enumerate(text.split(",")):
        match = re.fullmatch(r"\s*(?:(\d+)\s*=)?\s*([^#=]+?)\s*(#[0-9a-fA-F]{6})?\s*", part)
        if match is None:
            raise OptionError(
                f"--classes {text}",
                f"{part!r} is not a class",
                "write for instance water,1=wood or roof#c1440e",
            )
        value, name, color = match.groups()
        entries.append((int(value) if value else i + 1, name, color))
    return make_classes(entries)


def make_classes(entries: list[tuple[int, str, str | None]]) -> tuple[ClassSpec, ...]:
    """Return classes by value, name and colour, with a colour for those that have none.

    Raises
    ------
    OptionError
        A value or name cannot be one of a class.
    """
    try:
        return tuple(
            ClassSpec(value=value, name=name, color=color or _COLORS[i % len(_COLORS)])
            for i, (value, name, color) in enumerate(entries)
        )
    except ValueError as error:
        raise OptionError("classes", str(error).splitlines()[0], "name them with --classes") from error
