"""From what to what: how much of each class of an earlier map is which class in a later one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from geodl.errors import SceneError
from geodl.models.spec import ClassSpec
from geodl.task import NO_BEFORE, UNCHANGED
from geodl.vector.changes import ARROW

_MOST_VALUES = 256  # of one map: more are no classes
_GREY = "#808080"
_SHARE = 0.75  # of the later class in the colour of a transition


class Crossing:
    """Pixels and areas by the values that two maps have there, gathered piece by piece."""

    def __init__(self) -> None:
        self._sums: dict[tuple[int, int], tuple[int, float]] = {}

    def add(self, before: np.ndarray, after: np.ndarray, areas: np.ndarray | None) -> None:
        """Count values (pixels,), NaN without data, with the area of each pixel; without areas as 1 each.

        Raises
        ------
        SceneError
            There are too many values, or some are not whole: this is no map of classes.
        """
        known = np.isfinite(before) & np.isfinite(after)
        pairs = np.stack([before[known], after[known]]).astype(np.float64)
        if not np.array_equal(pairs, np.rint(pairs)):
            raise _no_map("holds values that are not whole numbers")
        found, number = np.unique(pairs.astype(np.int64), axis=1, return_inverse=True)
        number = number.ravel()
        counts = np.bincount(number, minlength=found.shape[1])
        sizes = counts if areas is None else np.bincount(number, areas[known], found.shape[1])
        for one, other, count, size in zip(*found.tolist(), counts.tolist(), sizes.tolist(), strict=True):
            pixels, area = self._sums.get((one, other), (0, 0.0))
            self._sums[one, other] = (pixels + count, area + size)
        if max((len({pair[date] for pair in self._sums}) for date in (0, 1)), default=0) > _MOST_VALUES:
            raise _no_map(f"holds more than {_MOST_VALUES} values")

    def items(self) -> Iterator[tuple[int, int, int, float]]:
        """Yield (value before, value after, pixels, area), by value."""
        for (one, other), (pixels, area) in sorted(self._sums.items()):
            yield one, other, pixels, area


def _no_map(why: str) -> SceneError:
    return SceneError("one of the two maps", why, "give two rasters of classes, such as land cover")


@dataclass(frozen=True, kw_only=True)
class Transition:
    """A change from one class to another."""

    code: int
    """Its value in the raster."""
    before: str
    after: str
    pixels: int
    area: float
    """Square metres, or pixels where the maps have no place on the earth."""
    color: str

    @property
    def name(self) -> str:
        """Return ``cropland -> built-up``."""
        return f"{self.before} {ARROW} {self.after}"


@dataclass(frozen=True, kw_only=True)
class Transitions:
    """All that two maps say about each other."""

    classes: tuple[ClassSpec, ...]
    """Classes of both maps by name, those of the earlier one first; their values mean nothing."""
    pixels: np.ndarray
    """int64 (classes before, classes after)."""
    areas: np.ndarray
    """float64 (classes before, classes after): square metres, or pixels."""
    places: tuple[dict[int, int], dict[int, int]]
    """For each map the class, as index into `classes`, of each of its values."""

    @cached_property
    def changes(self) -> tuple[Transition, ...]:
        """Return the changes that occur, by code.

        Every ordered pair of different classes has a code of its own, 1, 2, ..., row by row of the matrix, as
        long as there are few enough classes (16); of more classes only pairs that occur are counted.

        Raises
        ------
        SceneError
            More kinds of change occur than a raster has codes.
        """
        count = len(self.classes)
        pairs = [(one, other) for one in range(count) for other in range(count) if one != other]
        if len(pairs) >= NO_BEFORE:
            pairs = [pair for pair in pairs if self.pixels[pair]]
        if len(pairs) >= NO_BEFORE:
            raise SceneError(
                "the two maps",
                f"differ in {len(pairs)} ways, a map of change has room for {NO_BEFORE - 1}",
                "merge classes first",
            )
        return tuple(
            self._change(code, one, other)
            for code, (one, other) in enumerate(pairs, start=UNCHANGED + 1)
            if self.pixels[one, other]
        )

    def _change(self, code: int, one: int, other: int) -> Transition:
        before, after = self.classes[one], self.classes[other]
        mixed = [
            round((1 - _SHARE) * low + _SHARE * high) for low, high in zip(before.rgb, after.rgb, strict=True)
        ]
        return Transition(
            code=code,
            before=before.name,
            after=after.name,
            pixels=int(self.pixels[one, other]),
            area=float(self.areas[one, other]),
            color="#" + "".join(f"{part:02x}" for part in mixed),
        )

    def codes(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Return the codes of pixels with these values, uint8; 0 where nothing changed or a value is NaN."""
        table = np.zeros((len(self.classes) + 1,) * 2, np.uint8)
        names = {c.name: place for place, c in enumerate(self.classes)}
        for change in self.changes:
            table[names[change.before], names[change.after]] = change.code
        indices = [
            _looked_up(values, places) for values, places in zip((before, after), self.places, strict=True)
        ]
        return table[indices[0], indices[1]]


def _looked_up(values: np.ndarray, places: dict[int, int]) -> np.ndarray:
    """Return the class of each value; the last row and column of the table, -1, stand for none."""
    known = np.array(sorted(places), np.float64)
    index = np.array([places[int(value)] for value in known], np.intp)
    at = np.searchsorted(known, values).clip(max=len(known) - 1)
    return np.where(known[at] == values, index[at], -1)


def transitions_of(
    crossing: Crossing, before: Sequence[ClassSpec], after: Sequence[ClassSpec]
) -> Transitions:
    """Bring the classes of two maps together by their names, whatever their values.

    Parameters
    ----------
    crossing : Crossing
        Of the whole maps.
    before, after : sequence of ClassSpec
        Names and colours of their values; a value without one is named by its number. Names that differ
        only in case or spaces around them are one class.

    Raises
    ------
    SceneError
        The maps have no pixel in common that holds data.
    """
    rows = list(crossing.items())
    if not rows:
        raise SceneError("the two maps", "hold data in no common place", "give two maps of one place")
    classes: list[ClassSpec] = []
    index: dict[str, int] = {}
    places: tuple[dict[int, int], dict[int, int]] = ({}, {})
    for date, table in enumerate((before, after)):
        named = {c.value: c for c in table}
        found: set[int] = {row[0] if date == 0 else row[1] for row in rows}
        for value in sorted(found | set(named)):
            name = named[value].name.strip() if value in named else str(value)
            key = name.casefold()
            if key not in index:
                index[key] = len(classes)
                color = named[value].color if value in named else _GREY
                classes.append(ClassSpec(value=0, name=name, color=color))
            places[date][value] = index[key]
    pixels, areas = np.zeros((len(classes),) * 2, np.int64), np.zeros((len(classes),) * 2)
    for one, other, count, area in rows:
        at = places[0][one], places[1][other]
        pixels[at] += count
        areas[at] += area
    return Transitions(classes=tuple(classes), pixels=pixels, areas=areas, places=places)
