"""Array-likes over several dates, of which Dask takes windows."""

from dataclasses import dataclass
from itertools import groupby

import numpy as np

from geodl.scene.pair.date import DateReader
from geodl.scene.reader import windows_of

Key = tuple[slice | int, ...]


@dataclass(frozen=True, kw_only=True)
class StackReader:
    """Array-like (band, y, x) over all bands of all dates."""

    dates: tuple[DateReader, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(bands of all dates, rows, columns)."""
        return sum(date.bands for date in self.dates), self.dates[0].height, self.dates[0].width

    @property
    def ndim(self) -> int:
        """Three."""
        return 3

    @property
    def dtype(self) -> np.dtype:
        """That of all dates."""
        return self.dates[0].dtype

    @property
    def together(self) -> tuple[int, ...]:
        """Numbers of bands that are read together."""
        return tuple(date.bands for date in self.dates)

    def select(self, positions: list[int]) -> "StackReader":
        """Return a reader of the bands at `positions`, in that order."""
        every = [(date, band) for date in self.dates for band in range(date.bands)]
        chosen = [every[position] for position in positions]
        runs = groupby(chosen, key=lambda one: id(one[0]))
        return StackReader(
            dates=tuple(run[0][0].select([band for _, band in run]) for run in (list(g) for _, g in runs))
        )

    def __getitem__(self, key: Key) -> np.ndarray:
        (bands, rows, columns), kept = windows_of(key, self.shape)
        parts, start = [], 0
        for date in self.dates:
            first, last = max(bands.start, start) - start, min(bands.stop, start + date.bands) - start
            if first < last:
                parts.append(date.read(rows, columns)[first:last])
            start += date.bands
        shape = (0, rows.stop - rows.start, columns.stop - columns.start)
        return np.concatenate(parts or [np.empty(shape, self.dtype)])[kept]


@dataclass(frozen=True, kw_only=True)
class SeriesReader:
    """Array-like (time, band, y, x) over dates with the same bands."""

    dates: tuple[DateReader, ...]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(dates, bands, rows, columns)."""
        return len(self.dates), self.dates[0].bands, self.dates[0].height, self.dates[0].width

    @property
    def ndim(self) -> int:
        """Four."""
        return 4

    @property
    def dtype(self) -> np.dtype:
        """That of all dates."""
        return self.dates[0].dtype

    def __getitem__(self, key: Key) -> np.ndarray:
        (times, bands, rows, columns), kept = windows_of(key, self.shape)
        if times.start == times.stop:
            return np.empty((0, *self.shape[1:]), self.dtype)[:, bands, rows, columns][kept]
        return np.stack([date.read(rows, columns)[bands] for date in self.dates[times]])[kept]


@dataclass(frozen=True, kw_only=True)
class ValidReader:
    """Array-like (time, y, x) of bool: where each date holds data."""

    dates: tuple[DateReader, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(dates, rows, columns)."""
        return len(self.dates), self.dates[0].height, self.dates[0].width

    @property
    def ndim(self) -> int:
        """Three."""
        return 3

    @property
    def dtype(self) -> np.dtype:
        """Bool."""
        return np.dtype(bool)

    def __getitem__(self, key: Key) -> np.ndarray:
        (times, rows, columns), kept = windows_of(key, self.shape)
        shape = (0, rows.stop - rows.start, columns.stop - columns.start)
        parts = [date.valid(rows, columns)[None] for date in self.dates[times]]
        return np.concatenate(parts or [np.empty(shape, bool)])[kept]
