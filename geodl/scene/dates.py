"""When a scene was taken, as far as its tags and its file name leave no doubt. Pure: no file is read."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import PurePath

from geodl.errors import OptionError

# What providers write; TIFFTAG_DATETIME is when a file was written, not when the picture was taken.
_TAGS = (
    "ACQUISITION_DATE", "DATE_ACQUIRED", "SENSING_TIME", "DATATAKE_1_DATATAKE_SENSING_START",
    "PRODUCT_START_TIME", "ACQUISITIONDATETIME", "DATETIME_ACQUIRED",
)  # fmt: skip
_DAY = re.compile(r"(?<!\d)((?:19|20)\d\d)([-_.]?)(\d\d)\2(\d\d)(?!\d)")
_YEAR = re.compile(r"(?<!\d)(19[7-9]\d|20[0-4]\d)(?!\d)")
# Sentinel-2 and Landsat name the day of the picture first, that of its processing later.
_TAKEN_FIRST = re.compile(r"^(?:S2[ABCD]_MSIL[12][AC]_|L[COTEM]0[45789]_)")
_LANDSAT_DAY = re.compile(r"^L[COTEM][45789]\d{6}(\d{4})(\d{3})[A-Z]{3}\d\d")  # path, row, year, day of year
# Old granule names of Sentinel-2 hold the time of processing only.
_PROCESSED = re.compile(r"^S2[ABCD]_OPER_")
_WRITTEN = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?")


def date_of(path: str, tags: Mapping[str, str]) -> str | None:
    """Find the day (``2023-07-14``) or the year (``2023``) of a raster; None where that is not certain.

    >>> date_of("/x/T31UDQ_20171107T105229_B02.tif", {}), date_of("/x/s2_valley_2023.tif", {})
    ('2017-11-07', '2023')
    >>> date_of("/x/LT51200382000124BJC00_Nanjing.tif", {}), date_of("/x/plan_2019_or_2020.tif", {})
    ('2000-05-03', None)
    """
    known = {key.upper(): value for key, value in tags.items()}
    for key in _TAGS:
        if key in known and (days := _days(known[key])):
            return days[0]
    stem = PurePath(path).stem
    if _PROCESSED.match(stem):
        return None
    if (match := _LANDSAT_DAY.match(stem)) and 1 <= int(match[2]) <= 366:
        return (date(int(match[1]), 1, 1) + timedelta(days=int(match[2]) - 1)).isoformat()
    days = _days(stem)
    if days and (len(set(days)) == 1 or _TAKEN_FIRST.match(stem)):
        return days[0]
    years = set(_YEAR.findall(stem))
    return years.pop() if len(years) == 1 and not days else None


def period_begin(path: str) -> str | None:
    """Find the first day of the period that the name of a composite tells: two days, a month apart at most.

    >>> period_begin("STK_022024_2018-08-29_2018-09-13_NDVI.tif"), period_begin("2018-08-29_2020-09-13.tif")
    ('2018-08-29', None)
    """
    days = _days(PurePath(path).stem)
    if len(days) != 2:
        return None
    first, last = map(date.fromisoformat, days)
    return days[0] if timedelta(0) < last - first <= timedelta(days=31) else None


def common_date(dates: Sequence[str | None]) -> str | None:
    """Return the date that all files of a scene agree on, or None."""
    found = set(dates)
    return found.pop() if len(found) == 1 else None


def parse_date(text: str) -> str:
    """Check a date that a user wrote: ``2023``, ``2023-07`` or ``2023-07-14``.

    Raises
    ------
    OptionError
        If it is none.
    """
    match = _WRITTEN.fullmatch(text.strip())
    if match is None or not _exists(int(match[1]), int(match[2] or 1), int(match[3] or 1)):
        raise OptionError(f"date {text!r}", "is none", "write it like 2023-07-14, 2023-07 or 2023")
    return match[0]


def earlier(one: str, other: str) -> bool:
    """Tell whether `one` ends before `other` begins: July of a year is neither before nor after it.

    >>> earlier("2023-07-14", "2024"), earlier("2023-07-14", "2023"), earlier("2023", "2023-07-14")
    (True, False, False)
    """
    shared = min(len(one), len(other))
    return one[:shared] < other[:shared]


def _days(text: str) -> list[str]:
    found = [(int(year), int(month), int(day)) for year, _, month, day in _DAY.findall(text)]
    return [date(*day).isoformat() for day in found if _exists(*day)]


def _exists(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
