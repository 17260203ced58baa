"""A map against points that people interpreted: accuracies, and the area of each class."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pyproj import CRS

from geodl.assess.classmap import ClassMap, open_map
from geodl.assess.confusion import IGNORE
from geodl.assess.estimate import SampleEstimate, estimate
from geodl.assess.labels import Mapped
from geodl.errors import SceneError
from geodl.survey.file import Answers, read_answers
from geodl.survey.result import AreaAssessment
from geodl.survey.strata import Strata, measure_strata
from geodl.tiles import Window


def assess_area(
    map_path: str | Path,
    points: str | Path,
    *,
    attribute: str = "reference",
    mapping: Mapped | None = None,
    names: Mapping[int, str] | None = None,
    allow_sparse: bool = False,
) -> AreaAssessment:
    """Estimate how accurate a map is and how much area each class covers, from points.

    Parameters
    ----------
    map_path : str or Path
        Class raster with a CRS; in degrees too, areas are those on the ellipsoid.
    points : str or Path
        What `geodl sample` wrote, with answers; or any file of points in any CRS that were chosen at
        random, on a regular grid, or at random within the classes of this map.
    attribute : str
        Column with the class seen: a value of the map, or the name of a class.
    mapping : mapping, optional
        From what that column holds to values of the map.
    names : mapping, optional
        Class names by value; by default those of the attribute table beside the map.
    allow_sparse : bool
        Accept a map with missing blocks.

    Raises
    ------
    SceneError
        A file cannot be read, an answer means no class, no point can be used, or points that were drawn
        from another map lie where this one has no class.
    """
    with open_map(map_path, names, allow_sparse=allow_sparse) as mapped:
        strata = measure_strata(mapped)
        assert mapped.grid.crs is not None
        answers = read_answers(points, CRS.from_wkt(mapped.grid.crs.to_wkt()), attribute)
        here = _classes_at(mapped, answers.x, answers.y)
        seen = _codes(answers.reference, mapped, mapping or {}, points)
        named = mapped.names
    sample = _Sample(answers, here, seen)
    notes: list[str] = []
    used, stratum, areas = sample.of_strata(strata, str(points), str(map_path), notes)
    if not used.any():
        raise SceneError(
            f"points {points}", "none is answered and lies on a class of the map", f"fill in {attribute!r}"
        )
    classes = sorted({*strata.values, *seen[used].tolist()})
    found = estimate(stratum[used], here[used], seen[used], areas, classes)
    name = {value: named.get(value, str(value)) for value in {*classes, *areas}}
    notes += _notes_on(found, areas, name)
    on_map = dict(zip(strata.values, strata.areas, strict=True))
    return AreaAssessment(
        map=str(map_path),
        points=str(points),
        names=tuple(name[value] for value in classes),
        mapped=tuple(on_map.get(value, 0.0) for value in classes),
        area=math.fsum(area for value, area in areas.items() if value not in found.missing),
        estimate=found,
        unanswered=int((seen < 0).sum()),
        notes=tuple(notes),
    )


def _classes_at(mapped: ClassMap, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Class of the pixel below each point: int64, shape ``(n,)``; 255 where there is none."""
    columns, rows = (np.floor(part) for part in ~mapped.grid.transform @ (x, y))
    inside = (rows >= 0) & (rows < mapped.grid.height) & (columns >= 0) & (columns < mapped.grid.width)
    found = np.full(len(x), IGNORE, dtype=np.int64)
    for place in sorted(np.flatnonzero(inside).tolist(), key=lambda k: (rows[k], columns[k])):
        found[place] = mapped.read(Window(int(rows[place]), int(columns[place]), 1, 1))[0, 0]
    return found


def _codes(answers: np.ndarray, mapped: ClassMap, mapping: Mapped, points: str | Path) -> np.ndarray:
    """Class value of each answer: int64, shape ``(n,)``; -1 where there is none."""
    by_name = {name.strip().casefold(): value for value, name in mapped.names.items()}

    def code(answer: int | str | None) -> int | None:
        if answer is None:
            return -1
        if answer in mapping:
            return mapping[answer]
        if isinstance(answer, str):
            return by_name.get(answer.casefold())
        return answer if 0 <= answer < IGNORE else None

    codes = [code(answer) for answer in answers]
    strange = {str(answer) for answer, value in zip(answers, codes, strict=True) if value is None}
    if strange:
        known = ", ".join(mapped.names.values()) or "0 to 254"
        raise SceneError(
            f"points {points}",
            f"the answers {', '.join(sorted(strange)[:5])} mean no class of the map, which has {known}",
            "say what they mean: --mapping 'answer=1,...'",
        )
    return np.array(codes, dtype=np.int64)


@dataclass(frozen=True)
class _Sample:
    """Points: how they were drawn, the map below them (255 none), and what was seen (-1 nothing)."""

    answers: Answers
    here: np.ndarray
    seen: np.ndarray

    def of_strata(
        self, strata: Strata, points: str, map_path: str, notes: list[str]
    ) -> tuple[np.ndarray, np.ndarray, dict[int, float]]:
        """Choose the points to use, the stratum of each point, and the area of each stratum.

        Points that were not drawn from strata are stratified afterwards, by the map.
        """
        answered, off = self.seen >= 0, self.here == IGNORE
        if not answered.all():
            notes.append(
                f"{int((~answered).sum())} of {len(answered)} points are not answered and left out; the "
                "figures hold if nothing but chance decided which"
            )
        if self.answers.stratum is None:
            if off.any():
                notes.append(f"{int(off.sum())} points lie where the map has no class and are left out")
            return answered & ~off, self.here, dict(zip(strata.values, strata.areas, strict=True))
        drawn = self.answers.stratum >= 0
        if not drawn.all():
            notes.append(f"{int((~drawn).sum())} points were not drawn but added, and are left out")
        if (drawn & off).any():
            raise SceneError(
                f"points {points}",
                f"{int((drawn & off).sum())} of them lie where {map_path} has no class: they are a sample of "
                "another map",
                "assess that map, or draw points of this one with geodl sample",
            )
        areas = self.answers.areas
        known = dict(zip(strata.values, strata.areas, strict=True))
        if set(areas) != set(known) or not all(math.isclose(areas[v], known[v], rel_tol=1e-6) for v in areas):
            notes.append("the points were drawn by the classes of another map, which are the strata here")
            return answered & drawn, self.answers.stratum, areas
        moved = drawn & (self.here != self.answers.stratum)
        if moved.any():
            notes.append(f"{int(moved.sum())} points were moved to another class since, and are left out")
        return answered & drawn & ~moved, self.answers.stratum, areas


def _notes_on(found: SampleEstimate, areas: Mapping[int, float], name: Mapping[int, str]) -> list[str]:
    total = math.fsum(areas.values())
    notes = [
        f"{name[value]} ({areas[value] / 1e4:,.1f} ha, {areas[value] / total:.1%} of the map) has no "
        "answered point: the figures are about the rest"
        for value in found.missing
    ]
    notes += [f"{name[value]} has a single answered point: nothing has an interval" for value in found.single]
    for value, counts in zip(found.classes, found.counts.tolist(), strict=True):
        points = sum(counts)
        if points > 1 and max(counts) == points:
            # With a larger share, a sample of one kind had a chance below 5 %.
            unseen = 1 - 0.05 ** (1 / points)
            notes.append(
                f"all {points} points on {name[value]} of the map agree, which tells no spread: up to "
                f"{unseen:.0%} of it may be something else, whatever the interval says"
            )
    return notes
