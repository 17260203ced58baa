"""`Calendar`: the days at which a model wants to know a series of scenes, whenever those were taken.

Satellites come when they come, and clouds hide what they see; a network wants as many values for every
pixel, at days that mean the same each year. So a series is brought to the steps of a calendar, and to the
rest of geodl it is one scene from there on, with the bands ``01.ndvi``, ``01.gap``, ``02.ndvi``, ...: the
values at each step, and beside them how many days away the nearest observation is.
"""

import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from geodl.errors import SceneError

GAP = "gap"
"""Name of the band that holds the days from a step to the nearest observation."""

_START = re.compile(r"(?:(\d{4})-)?(\d\d)-(\d\d)")


class Calendar(BaseModel):
    """Days at even distances: the first step, and one after every so many days.

    The text below a field is its description in the JSON schema.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    start: str
    """Day of the first step: month and day ("09-01") for a season of any year, or one day ("2018-09-01")."""
    every: Annotated[int, Field(ge=1, le=366)]
    """Days from step to step."""
    steps: Annotated[int, Field(ge=2, le=366)]
    """Number of steps."""

    @field_validator("start")
    @classmethod
    def _is_a_day(cls, start: str) -> str:
        found = _START.fullmatch(start)
        try:
            assert found is not None
            date(int(found[1] or 2001), int(found[2]), int(found[3]))  # not of leap years only
        except (AssertionError, ValueError):
            raise ValueError(f'{start!r} is no day; write "09-01", or "2018-09-01" for one year') from None
        return start

    def days(self, first: date) -> list[date]:
        """Return the days of the steps, the first of which is given.

        >>> [str(day) for day in Calendar(start="12-20", every=16, steps=2).days(date(2018, 12, 20))]
        ['2018-12-20', '2019-01-05']
        """
        return [first + timedelta(days=self.every * step) for step in range(self.steps)]

    def first_day(self, observed: Sequence[date]) -> date:
        """Return the day of the first step: of the year in which the steps are near most observations.

        Of several such years it is the first.

        >>> Calendar(start="09-01", every=30, steps=12).first_day([date(2018, 9, 20), date(2019, 3, 1)])
        datetime.date(2018, 9, 1)
        """
        found = _START.fullmatch(self.start)
        assert found is not None
        month, day = int(found[2]), int(found[3])
        if found[1] is not None:
            return date(int(found[1]), month, day)
        span = self.every * self.steps // 365 + 1
        years = range(min(observed).year - span, max(observed).year + 2)
        firsts = [date(year, month, day) for year in years]
        return max(firsts, key=lambda first: len(self.inside(observed, first)))  # of equal ones the first

    def inside(self, observed: Sequence[date], first: date) -> list[date]:
        """Return the observations within the steps, or less than one step before or after them."""
        days = self.days(first)
        beyond = timedelta(days=self.every)
        return [day for day in observed if days[0] - beyond < day < days[-1] + beyond]

    def check_covered(self, observed: Sequence[date], first: date, *, what: str) -> None:
        """Refuse a series too short for the calendar.

        Raises
        ------
        SceneError
            Fewer than two observations, or fewer than a quarter of the steps, lie within it.
        """
        inside, least = len(self.inside(observed, first)), max(2, -(-self.steps // 4))
        if inside >= least:
            return
        days = self.days(first)
        raise SceneError(
            what,
            f"{inside} of its {len(observed)} dates lie in the calendar of the model, {days[0]} to "
            f"{days[-1]} in {self.steps} steps of {self.every} days; it takes {least}",
            "add scenes of that season, or take a model of another calendar",
        )

    def bands(self, names: Sequence[str]) -> list[str]:
        """Name the bands of all steps, given those of one date.

        >>> Calendar(start="09-01", every=30, steps=2).bands(["ndvi"])
        ['01.ndvi', '01.gap', '02.ndvi', '02.gap']
        """
        width = max(2, len(str(self.steps)))
        return [f"{step:0{width}}.{name}" for step in range(1, self.steps + 1) for name in (*names, GAP)]

    def bands_of_one_date(self, names: Sequence[str]) -> list[str] | None:
        """Return the bands of one date if `names` are those of all steps, else None.

        >>> Calendar(start="09-01", every=30, steps=2).bands_of_one_date(["01.ndvi", "01.gap"]) is None
        True
        """
        each = len(names) // self.steps
        one = [name.partition(".")[2] for name in names[:each]]
        return one[:-1] if len(one) > 1 and self.bands(one[:-1]) == list(names) else None
