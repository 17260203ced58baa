"""Integers only: which input rows an output row of an operation reads, and what follows from it."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import count


@dataclass(frozen=True, kw_only=True)
class Reach:
    """The rows, or the columns, that an operation reads, in absolute coordinates of input and output.

    An operation either keeps or thins rows (`down`: convolution, pooling) or multiplies them (`up`:
    transposed convolution, upsampling); at least one of the two is 1.

    Parameters
    ----------
    down : int
        Input rows from one output row to the next.
    up : int
        Output rows per input row.
    extent : int
        Rows of the window: input rows where rows are kept or thinned, output rows where multiplied.
    before : int
        Rows of the window above the first row (the padding of torch's layers).

    Examples
    --------
    A convolution of 3 x 3 with stride 2 and padding 1; a transposed one of 4 x 4, stride 2, padding 1:

    >>> convolution = Reach(down=2, extent=3, before=1)
    >>> convolution.first(10), convolution.last(10)
    (19, 21)
    >>> transposed = Reach(up=2, extent=4, before=1)
    >>> transposed.first(10), transposed.last(10)
    (4, 5)
    """

    down: int = 1
    up: int = 1
    extent: int = 1
    before: int = 0

    @property
    def step(self) -> Fraction:
        """Output rows per input row, borders aside."""
        return Fraction(self.up, self.down)

    def first(self, row: int) -> int:
        """First input row that output row `row` reads."""
        if self.up == 1:
            return row * self.down - self.before
        return -((self.extent - 1 - self.before - row) // self.up)

    def last(self, row: int) -> int:
        """Last input row that output row `row` reads."""
        if self.up == 1:
            return self.first(row) + self.extent - 1
        return (row + self.before) // self.up

    def delay(self, newest: int, rows: int) -> int:
        """Output rows that must wait, when a push brings `rows` and input row `newest` is the last one.

        Both count from the row of their own resolution that belongs to the first input row of the push.
        """
        return next(delay for delay in count() if self.last(rows - 1 - delay) <= newest)

    def first_whole(self, row: int) -> int:
        """First output row, not negative, that reads nothing above input row `row`."""
        return next(output for output in count() if self.first(output) >= row)
