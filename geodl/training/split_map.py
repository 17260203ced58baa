"""A picture of the split: what is learnt from, what is checked on, and the gap between."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geodl.assess.labels import IGNORE
from geodl.training.plots import Plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANELS = 48
_MARGINS = 1.05
"""Inches above and below the panels, for a heading and the legend."""
_PIXELS = 400
"""Longest side of a panel in cells; of larger scenes every n-th pixel is shown."""

# Okabe and Ito 2008, "Color Universal Design": told apart with any colour vision, and in grey.
PARTS = {
    "training": "#0072b2",
    "validation": "#e69f00",
    "gap, used for neither": "#999999",
    "unlabelled": "#f2f2f2",
}


def split_codes(plot: Plot, *, longest: int | None = None) -> np.ndarray:
    """Position in `PARTS` of each pixel; uint8, shape ``(y, x)``, with `longest` thinned to that side."""
    step = 1 if longest is None else max(1, math.ceil(max(plot.height, plot.width) / longest))
    thin = (slice(step // 2, None, step),) * 2 if min(plot.height, plot.width) > step else (slice(None),) * 2
    codes = np.where(np.asarray(plot.labels("all")[thin]) == IGNORE, 3, 2).astype(np.uint8)
    for code, (role, counts) in enumerate((("train", plot.train), ("validation", plot.validation))):
        if sum(counts):
            codes[np.asarray(plot.labels(role)[thin]) != IGNORE] = code
    return codes


def draw_split(plots: list[Plot], path: Path) -> None:
    """Draw the split of every scene, each a panel, with a legend, into a PNG file.

    Parameters
    ----------
    plots : list of Plot
        The decoded scenes; of more than 48, so many at even distances are shown.
    path : Path
        The file to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    chosen = [plots[n] for n in np.unique(np.linspace(0, len(plots) - 1, _PANELS).round().astype(int))]
    columns = min(8, math.ceil(math.sqrt(len(chosen))))
    rows = math.ceil(len(chosen) / columns)
    side = 4.2 if columns == 1 else max(1.5, 9 / columns)
    width, height = max(6.0, side * columns), side * rows + _MARGINS
    figure = Figure(figsize=(width, height), dpi=110)
    FigureCanvasAgg(figure)
    # Set by hand: matplotlib's own layout takes seconds for so many panels.
    figure.subplots_adjust(
        left=0.02, right=0.98, top=1 - 0.35 / height, bottom=0.7 / height, wspace=0.08, hspace=0.22
    )
    colours = ListedColormap(list(PARTS.values()))
    for axes, plot in zip(figure.subplots(rows, columns, squeeze=False).flat, chosen, strict=False):
        axes.imshow(split_codes(plot, longest=_PIXELS), cmap=colours, vmin=-0.5, vmax=3.5, aspect="equal",
                    interpolation="nearest")  # fmt: skip
        # Not a formula, whatever the file is called.
        axes.set_title(_short(plot.name), fontsize=8 if columns > 3 else 10, parse_math=False)
    for axes in figure.axes:
        axes.set_axis_off()
    _legend(figure, plots)
    if len(chosen) < len(plots):
        figure.suptitle(f"{len(chosen)} of {len(plots)} scenes", fontsize=10)
    figure.savefig(path, format="png")


def _legend(figure: "Figure", plots: list[Plot]) -> None:
    from matplotlib.patches import Patch

    train, held_out = sum(sum(p.train) for p in plots), sum(sum(p.validation) for p in plots)
    total = max(1, train + held_out)
    notes = {
        "training": f" ({train:,} pixels, {train / total:.0%})",
        "validation": f" ({held_out:,} pixels, {held_out / total:.0%})",
    }
    handles = [
        Patch(facecolor=colour, edgecolor="#666666", linewidth=0.5, label=name + notes.get(name, ""))
        for name, colour in PARTS.items()
    ]
    figure.legend(handles=handles, loc="lower center", ncols=2, fontsize=9, frameon=False)


def _short(name: str, limit: int = 24) -> str:
    return name if len(name) <= limit else f"{name[: limit - 1]}…"
