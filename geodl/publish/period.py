"""When: days, months and years as the intervals that STAC asks for."""

from calendar import monthrange
from collections.abc import Sequence
from typing import Any

# STAC knows no unknown time; an interval that holds every picture says the same.
UNKNOWN = ("1900-01-01T00:00:00Z", "9999-12-31T23:59:59Z")


def period_of(dates: Sequence[str]) -> dict[str, Any]:
    """Return the times of a STAC Item: from the begin of the first date to the end of the last.

    Parameters
    ----------
    dates : sequence of str
        ``2023-07-14``, ``2023-07`` or ``2023``, in UTC.

    Examples
    --------
    >>> period_of(["2024-02", "2023"])["start_datetime"], period_of(["2024-02"])["end_datetime"]
    ('2023-01-01T00:00:00Z', '2024-02-29T23:59:59Z')
    """
    begin, end = UNKNOWN
    if dates:
        begin, end = min(map(_begin, dates)), max(map(_end, dates))
    return {"datetime": None, "start_datetime": begin, "end_datetime": end}


def _begin(date: str) -> str:
    return f"{date}{'-01' * (2 - date.count('-'))}T00:00:00Z"


def _end(date: str) -> str:
    year, month, *day = (*date.split("-"), "12")[: max(2, date.count("-") + 1)]
    last = day[0] if day else f"{monthrange(int(year), int(month))[1]:02}"
    return f"{year}-{month}-{last}T23:59:59Z"
