"""The bands of an explanation as bars."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geodl.explain.overview import AGAINST, DPI, FOR, WORDS
from geodl.explain.result import BandImportance, Explanation
from geodl.publish.files import writing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_BANDS = 24  # bars that can be read; of more bands the most important ones are shown
_GREY = (110, 110, 110)


def draw_bands(found: Explanation, path: Path) -> None:
    """Draw what each band adds to the score, and what happens without it: PNG.

    Raises
    ------
    ProductError
        The file cannot be written.
    """
    from matplotlib.figure import Figure  # without pyplot: no window system, no global state

    bands = most_important(found.bands)
    names = [band.name for band in bands]
    width, height = 12.5, 2.9 + 0.4 * len(bands)
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    grid = {"left": 1.6 / width, "right": 1 - 0.3 / width, "top": 1 - 1.75 / height, "bottom": 0.7 / height,
            "wspace": 0.12}  # fmt: skip
    panels = figure.subplots(1, 3, sharey=True, gridspec_kw=grid)
    title = f"Which bands speak for {found.question}?"
    figure.text(
        0.3 / width, 1 - 0.5 / height, title, fontsize=min(17, 1450 / len(title)), weight="bold", **WORDS
    )
    more = f"; {len(bands)} of {len(found.bands)} bands" if len(bands) < len(found.bands) else ""
    place = f"{found.scene}, {found.where}, model {found.model}{more}"
    figure.text(0.3 / width, 1 - 0.8 / height, place, fontsize=10.5, color="0.25", **WORDS)

    added = [band.attribution for band in bands]
    _bars(panels[0], added, [f"{value:+.2f}" for value in added], [_color(value) for value in added])
    _head(panels[0], "What its values add", "to the score: red for, blue against", "score")
    without = [-100 * band.drop for band in bands]
    colors = [_color(-value) for value in without]
    _bars(panels[1], without, [f"{value:+.0f}" for value in without], colors)
    now = f"of now {100 * found.probability:.0f} %, if it tells nothing"
    _head(panels[1], "Probability without it", now, "percentage points")
    changed = [100 * band.changed_view for band in bands]
    _bars(panels[2], changed, [f"{value:.0f} %" for value in changed], [_GREY] * len(bands))
    _head(panels[2], "Other class without it", "of all pixels in the picture", "% of pixels")
    panels[0].set_yticks(np.arange(len(names)), names, fontsize=11)
    panels[0].invert_yaxis()
    for label in panels[0].get_yticklabels():
        label.set_parse_math(False)
    with writing(path):
        figure.savefig(path, format="png")


def most_important(bands: tuple[BandImportance, ...]) -> list[BandImportance]:
    """Choose the bands that have bars, in the model's order."""
    ranked = sorted(range(len(bands)), key=lambda i: -(bands[i].share + abs(bands[i].drop)))
    return [bands[i] for i in sorted(ranked[:MOST_BANDS])]


def _color(value: float) -> tuple[int, int, int]:
    return FOR if value > 0 else AGAINST


def _head(panel: "Axes", title: str, below: str, unit: str) -> None:
    panel.set_title(f"{title}\n", fontsize=12, weight="bold", loc="left")
    panel.annotate(below, (0, 1), (0, 6), xycoords="axes fraction", textcoords="offset points", fontsize=10)
    panel.set_xlabel(unit, fontsize=10)


def _bars(panel: "Axes", values: list[float], texts: list[str], colors: list[tuple[int, int, int]]) -> None:
    """Draw bars to the right of zero or to the left, with their values at the ends."""
    places = np.arange(len(values))
    panel.barh(places, values, color=[tuple(part / 255 for part in color) for color in colors], height=0.7)
    panel.axvline(0, color="0.3", lw=1)
    low, high = min(0.0, *values), max(0.0, *values)
    room = 0.28 * (high - low or 1.0)
    panel.set_xlim(low - (room if low < 0 else 0), high + room)
    for place, value, text in zip(places, values, texts, strict=True):
        panel.annotate(
            text, (value, place), xytext=(5 if value >= 0 else -5, 0), textcoords="offset points",
            va="center", ha="left" if value >= 0 else "right", fontsize=10,
        )  # fmt: skip
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)
    panel.tick_params(axis="y", length=0)
