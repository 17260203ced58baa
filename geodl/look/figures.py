"""Figures as the pages write them."""

import math


def fraction(value: float | None) -> str:
    """Three digits, a dash for what is undefined.

    >>> fraction(0.61249), fraction(math.nan)
    ('0.612', '–')
    """
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"


def percent(share: float | None) -> str:
    """Whole percents; what would be rounded away or up to all is told apart from 0 and 100.

    >>> percent(0.0), percent(0.001), percent(0.62), percent(0.999), percent(None)
    ('0 %', '<1 %', '62 %', '>99 %', '–')
    """
    if share is None or math.isnan(share):
        return "–"
    if 0 < share < 0.005:
        return "<1 %"
    return ">99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"
