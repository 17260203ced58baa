"""What vector labels hold: which column is the class, how wide lines are, how much ground each covers."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from geodl.assess.labels import IGNORE, open_labels
from geodl.assess.labels.codes import plain_value
from geodl.assess.labels.vector import read_features
from geodl.errors import SceneError
from geodl.training.draft.scenes import SeenScenes, sampled_strips

if TYPE_CHECKING:
    import geopandas

MOST = 64
"""A column of more different values than this is no class."""

_STRONG_WORDS = ("class", "label", "landuse", "land_use", "landcover", "lulc", "category", "kind", "type",
                 "highway", "surface", "crop", "species", "use", "cover")  # fmt: skip
_CLASS_WORDS = (*_STRONG_WORDS, "name", "code", "id")
_WIDTH_WORDS = ("width", "breite", "largeur", "ancho")
_COLOUR_WORDS = ("color", "colour")
_LINE_WIDTH = 6.0


@dataclass(kw_only=True)
class FoundFeatures:
    """Pixels by class, colours, and the options of a recipe's source that the features need."""

    counts: dict[int | str, int]
    colours: dict[int | str, str]
    options: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    background: int | None = None


def look_at_features(seen: SeenScenes) -> FoundFeatures:
    """Choose the column of the class and count the pixels of each on the grids of the scenes.

    Raises
    ------
    SceneError
        A file cannot be read or holds no features.
    """
    files = list(dict.fromkeys(pair.labels for pair in seen.pairs))
    frames = [read_features(path) for path in files]
    kinds = {kind for frame in frames for kind in frame.geom_type.unique()}
    if not kinds:
        raise SceneError(f"labels {files[0]}", "it holds no features", "draw some")
    attribute, values = _class_column(frames)
    found = FoundFeatures(counts={}, colours={}, options={"attribute": attribute})
    if attribute is not None:
        found.colours = _colours(frames, attribute)
        found.notes.append(f"the class is read from the column {attribute!r}; others: {_others(frames)}")
    _sizes(found, frames, kinds)
    _count(found, seen, values, single=len(values) < 2 and kinds != {"Point"})
    return found


def _class_column(frames: list["geopandas.GeoDataFrame"]) -> tuple[str | None, list[int | str]]:
    """Return the column that most likely holds the class, and its values; None where none does."""
    best: tuple[tuple[int, int, int], str, list[int | str]] | None = None
    shared = set.intersection(*({str(c) for c in frame.columns} for frame in frames)) - {"geometry"}
    for name in sorted(shared):
        values = _distinct(frames, name)
        total = sum(len(frame) for frame in frames)
        word = next((n for n, word in enumerate(_CLASS_WORDS) if word in name.lower()), len(_CLASS_WORDS))
        # What differs from feature to feature is a number or a remark, unless its name says otherwise.
        numbers = len(values) == total and word >= len(_STRONG_WORDS)
        if not values or len(values) > MOST or numbers:
            continue
        if word == len(_CLASS_WORDS) and any(isinstance(value, float) for value in values):
            continue
        texts = 0 if all(isinstance(value, str) for value in values) else 1
        rank = (int(len(values) < 2), texts + (2 if word == len(_CLASS_WORDS) else 0), word)
        if best is None or rank < best[0]:
            best = (rank, name, values)
    if best is None or (len(best[2]) < 2 and best[0][1] >= 2):
        return None, [1]
    return best[1], best[2]


def _distinct(frames: list["geopandas.GeoDataFrame"], name: str) -> list[Any]:
    """Different values of a column as recipes write them, in order; empty where they are no plain ones."""
    found = {plain_value(v) for frame in frames for v in frame[name].dropna().tolist() if _is_plain(v)}
    return sorted(found, key=lambda value: (isinstance(value, str), value))


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _colours(frames: list["geopandas.GeoDataFrame"], attribute: str) -> dict[int | str, str]:
    """Colour ``#rrggbb`` of each class, where a column of that name gives each class just one."""
    column = next((str(c) for c in frames[0].columns if str(c).lower() in _COLOUR_WORDS), None)
    if column is None or any(column not in frame.columns for frame in frames):
        return {}
    colours: dict[int | str, set[str]] = {}
    for frame in frames:
        for value, color in zip(frame[attribute], frame[column], strict=True):
            colours.setdefault(plain_value(value), set()).add(str(color).lower())
    sound = {key: next(iter(found)) for key, found in colours.items() if len(found) == 1}
    return {key: color for key, color in sound.items() if _is_colour(color)}


def _is_colour(text: str) -> bool:
    return len(text) == 7 and text[0] == "#" and all(c in "0123456789abcdef" for c in text[1:])


def _others(frames: Iterable["geopandas.GeoDataFrame"]) -> str:
    columns = dict.fromkeys(str(c) for frame in frames for c in frame.columns if c != "geometry")
    return ", ".join(columns)


def _sizes(found: FoundFeatures, frames: list["geopandas.GeoDataFrame"], kinds: set[str]) -> None:
    """Say how wide lines are and how far points reach."""
    if any("Line" in kind for kind in kinds):
        column = next((str(c) for c in frames[0].columns if str(c).lower() in _WIDTH_WORDS), None)
        if column is not None and all(_all_positive(frame, column) for frame in frames):
            found.options["width"] = column
        else:
            found.options["width"] = _LINE_WIDTH
            found.notes.append(f"the lines do not say how wide they are: {_LINE_WIDTH:g} m is a guess")
    if "Point" in kinds:
        found.notes.append("a point gives its class to the pixel it lies in; `radius: 10` to all within 10 m")


def _all_positive(frame: "geopandas.GeoDataFrame", column: str) -> bool:
    import pandas

    if column not in frame.columns:
        return False
    lines = frame[column][frame.geom_type.str.contains("Line")]
    return bool((pandas.to_numeric(lines, errors="coerce") > 0).all())


def _count(found: FoundFeatures, seen: SeenScenes, values: list[int | str], *, single: bool) -> None:
    """Count pixels by value; with a single class, also those outside, which are then the second one."""
    total = np.zeros(IGNORE + 1, dtype=np.int64)
    mapping = {value: code for code, value in enumerate(values)}
    for pair, grid in zip(seen.pairs, seen.grids, strict=True):
        with open_labels(
            pair.labels,
            grid,
            mapping=mapping,
            attribute=found.options.get("attribute"),
            width=found.options.get("width"),
        ) as reader:
            for window in sampled_strips(grid):
                total += np.bincount(reader.read(window).ravel(), minlength=IGNORE + 1)
    found.counts = {value: int(total[code]) for value, code in mapping.items() if total[code] or single}
    if single:
        found.background = int(total[IGNORE])
    absent = [str(value) for value, code in mapping.items() if not total[code]]
    if absent and not single:
        found.notes.append(f"no pixel of the scenes has the class {', '.join(absent[:8])}")
