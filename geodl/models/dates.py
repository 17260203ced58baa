"""Several dates as one image: first all bands of the first date, then all of the second, and so on."""

from geodl.errors import ModelError


def bands_of_each(bands: int, *, dates: int) -> int:
    """Return the number of bands of each date.

    Parameters
    ----------
    bands : int
        Bands of all dates together.
    dates : int
        Number of dates.

    Raises
    ------
    ModelError
        They cannot be shared out evenly.

    Examples
    --------
    >>> bands_of_each(8, dates=2)
    4
    """
    if bands % dates or bands < dates:
        raise ModelError(
            "bands",
            f"{bands} bands are not the same bands on {dates} dates",
            "name the bands of one date after the other, as in before.red, before.nir, after.red, after.nir",
        )
    return bands // dates
