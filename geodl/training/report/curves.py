"""The geometry of the curves: where lines, ticks and marks lie in a small SVG picture."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 360, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 10, 36
_NOTHING = 1e-30  # what is smaller is shown as 0; quotients of the smallest floats would be 0 or inexact


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A mark on an axis: its position in the picture and what stands beside it."""

    at: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """One curve: its name and its points ``"x,y x,y ..."`` in the picture."""

    name: str
    points: str
    first: float
    last: float
    highest: float
    lowest: float


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A picture of one or more curves over the epochs.

    `kept` is the horizontal position of the epoch whose weights are kept.
    """

    title: str
    lines: tuple[Line, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    kept: float
    kept_epoch: int
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM

    @property
    def description(self) -> str:
        """What a reader who does not see the picture should know."""
        lines = "; ".join(
            f"{line.name} from {line.first:.4g} to {line.last:.4g}, "
            f"lowest {line.lowest:.4g}, highest {line.highest:.4g}"
            for line in self.lines
        )
        return f"{lines}. Epoch {self.kept_epoch} is kept."


def draw(
    title: str,
    epochs: Sequence[int],
    series: Mapping[str, Sequence[float]],
    *,
    kept: int,
    top: float | None = None,
) -> Chart:
    """Lay out a chart whose vertical axis begins at 0.

    Parameters
    ----------
    title : str
        What is shown.
    epochs : sequence of int
        Increasing.
    series : mapping of str to sequence of float
        Curves by name, one value per epoch. Values that are not finite leave no point.
    kept : int
        The epoch to mark.
    top : float, optional
        End of the vertical axis; by default beyond the largest value.
    """
    finite = [value for values in series.values() for value in values if math.isfinite(value)]
    up = ticks(top if top is not None else max(finite, default=1.0))
    highest = up[-1]
    first, last = epochs[0], max(epochs[-1], epochs[0] + 1)

    def x(epoch: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (epoch - first) / (last - first)

    def y(value: float) -> float:
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * value / highest

    lines = []
    for name, values in series.items():
        known = [(e, v) for e, v in zip(epochs, values, strict=True) if math.isfinite(v)]
        if known:
            numbers = [value for _, value in known]
            points = " ".join(f"{x(epoch):.1f},{y(value):.1f}" for epoch, value in known)
            lines.append(Line(name=name, points=points, first=numbers[0], last=numbers[-1],
                              highest=max(numbers), lowest=min(numbers)))  # fmt: skip
    return Chart(
        title=title,
        lines=tuple(lines),
        across=tuple(Tick(at=x(epoch), text=str(epoch)) for epoch in _epoch_ticks(epochs[0], epochs[-1])),
        up=tuple(Tick(at=y(value), text=f"{value:.6g}") for value in up),
        kept=x(kept),
        kept_epoch=kept,
    )


def ticks(highest: float) -> list[float]:
    """Round numbers from 0 to `highest` or beyond, four to six of them.

    >>> ticks(1.0), ticks(0.0031)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 0.001, 0.002, 0.003, 0.004])
    """
    if highest < _NOTHING:
        return [0.0, 1.0]
    rough = highest / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    count = math.ceil(highest / step - 1e-9)
    return [float(f"{step * k:.6g}") for k in range(count + 1)]


def _epoch_ticks(first: int, last: int) -> list[int]:
    """Whole numbers, about five, among them the first.

    >>> _epoch_ticks(1, 30), _epoch_ticks(1, 3)
    ([1, 10, 20, 30], [1, 2, 3])
    """
    if last - first <= 5:
        return list(range(first, last + 1))
    step = int(ticks(float(last))[1])
    return [first, *(number for number in range(step, last + 1, step) if number - first > step / 3)]
