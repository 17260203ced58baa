"""From a map to a file of points: how many, which, and written down."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from geodl.assess.classmap import ClassMap, open_map
from geodl.assess.design import allocate, required_points
from geodl.assess.result import plain, printed
from geodl.errors import OptionError
from geodl.survey.draw import DESIGNS, Drawn, draw_random, draw_stratified, draw_systematic
from geodl.survey.file import write_sample
from geodl.survey.strata import Strata, measure_strata

EXPECTED = 0.8
"""User's accuracy of a class of which nothing is known."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to draw points from a map.

    Parameters
    ----------
    design : {"stratified", "random", "systematic"}
        Class by class; anywhere; on a regular grid.
    points : int, optional
        How many; by default what `standard_error` needs.
    standard_error : float
        Wanted of the overall accuracy.
    allocation, minimum : str, int
        Of a stratified sample: see `geodl.assess.design.allocate`.
    expected : mapping of str to float, or float
        User's accuracy that each class is expected to have, by name or value.
    seed : int
        Same map, plan and seed: same points.

    Raises
    ------
    OptionError
        A number is out of range, or the design is unknown.
    """

    design: str = "stratified"
    points: int | None = None
    standard_error: float = 0.02
    allocation: str = "mixed"
    minimum: int | None = None
    expected: Mapping[str, float] | float = EXPECTED
    seed: int = 0

    def __post_init__(self) -> None:
        if self.design not in DESIGNS:
            raise OptionError(f"--design {self.design}", "is unknown", f"use {', '.join(DESIGNS)}")
        if self.points is not None and self.points < 1:
            raise OptionError(f"--n {self.points}", "it counts points", "give 1 or more")
        if not 0 < self.standard_error < 1:
            raise OptionError(
                f"--standard-error {self.standard_error}", "is no share", "give for instance 0.02"
            )
        shares = self.expected.values() if isinstance(self.expected, Mapping) else [self.expected]
        if not all(0 <= share <= 1 for share in shares):
            raise OptionError("--expected-accuracy", "is no share of 0 to 1", "give for instance 0.8")

    def expected_of(self, strata: Strata) -> list[float]:
        """Return the expected accuracy of each class.

        Raises
        ------
        OptionError
            It names a class that the map does not have.
        """
        if not isinstance(self.expected, Mapping):
            return [self.expected] * len(strata.values)
        keys = [{name, str(value)} for name, value in zip(strata.names, strata.values, strict=True)]
        unknown = set(self.expected) - set().union(*keys)
        if unknown:
            raise OptionError(
                "--expected-accuracy",
                f"the map has no class {', '.join(sorted(unknown))}",
                f"it has {', '.join(strata.names)}",
            )
        return [next((self.expected[key] for key in both if key in self.expected), EXPECTED) for both in keys]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What was planned and drawn.

    Parameters
    ----------
    strata : Strata
        The classes of the map.
    expected : tuple of float
        Expected user's accuracy of each class.
    wanted : int
        Points asked for, or needed for the standard error.
    points : tuple of int, optional
        Points of each class, once they were drawn.
    """

    strata: Strata
    expected: tuple[float, ...]
    wanted: int
    points: tuple[int, ...] | None = None

    def to_text(self) -> str:
        """Return the classes of the map, and what sample sizes give, as tables of plain characters."""
        from rich.table import Table

        classes = Table(title="Classes of the map")
        classes.add_column("class")
        headings = ["pixels", "area in ha", "% of the area", "expected accuracy"]
        for heading in headings + ([] if self.points is None else ["points"]):
            classes.add_column(heading, justify="right")
        for k, name in enumerate(self.strata.names):
            cells = [
                f"{self.strata.pixels[k]:,}",
                f"{self.strata.areas[k] / 1e4:,.1f}",
                f"{100 * self.strata.shares[k]:.2f}",
                f"{self.expected[k]:g}",
            ]
            classes.add_row(plain(name), *cells, *([] if self.points is None else [str(self.points[k])]))
        needs = [
            f"{required_points(self.strata.shares, self.expected, error):,} for ± {196 * error:.1f} %"
            for error in (0.01, 0.015, 0.02, 0.03)
        ]
        advice = f"points for half a 95 % interval of the overall accuracy: {', '.join(needs)}"
        return printed(classes, width=110) + "\n" + advice


def sample_map(
    map_path: str | Path, out: str | Path | None, plan: Plan, *, allow_sparse: bool = False
) -> Sample:
    """Draw points from a map and write them for interpreters; without `out` only plan.

    The map is read in strips: memory does not depend on its size.

    Parameters
    ----------
    map_path : str or Path
        Class raster with a CRS.
    out : str or Path, optional
        New GeoPackage.
    plan : Plan
        How to draw.
    allow_sparse : bool
        Accept a map with missing blocks.

    Raises
    ------
    SceneError
        The map cannot be read, has no CRS or no class.
    OptionError
        The plan does not fit the map.
    ProductError
        `out` is there already or cannot be written.
    """
    with open_map(map_path, allow_sparse=allow_sparse) as mapped:
        strata = measure_strata(mapped)
        expected = plan.expected_of(strata)
        wanted = plan.points or required_points(strata.shares, expected, plan.standard_error)
        if out is None:
            return Sample(strata=strata, expected=tuple(expected), wanted=wanted)
        drawn = _draw(mapped, strata, expected, wanted, plan)
        names = {value: mapped.name(value) for value in sorted({*strata.values, *mapped.names})}
        write_sample(
            out,
            drawn,
            grid=mapped.grid,
            strata=strata,
            names=names,
            stratified=plan.design == "stratified",
            provenance={
                "map": Path(map_path).name,
                "design": plan.design,
                "allocation": plan.allocation if plan.design == "stratified" else None,
                "expected_accuracy": dict(zip(strata.names, expected, strict=True)),
                "seed": plan.seed,
                "area_ha": round(math.fsum(strata.areas) / 1e4, 4),
            },
        )
    counts = tuple(int((drawn.values == value).sum()) for value in strata.values)
    return Sample(strata=strata, expected=tuple(expected), wanted=wanted, points=counts)


def _draw(mapped: ClassMap, strata: Strata, expected: list[float], wanted: int, plan: Plan) -> Drawn:
    if plan.design == "stratified":
        counts = allocate(
            wanted,
            strata.shares,
            strata.pixels,
            method=plan.allocation,
            minimum=plan.minimum,
            expected=expected,
        )
        return draw_stratified(mapped, dict(zip(strata.values, counts, strict=True)), plan.seed)
    if wanted > sum(strata.pixels):
        raise OptionError(
            f"--n {wanted}", f"the map has {sum(strata.pixels)} pixels with a class", "ask for fewer points"
        )
    if plan.design == "random":
        return draw_random(mapped, wanted, plan.seed)
    return draw_systematic(mapped, strata, wanted, plan.seed)
