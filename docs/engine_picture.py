"""Draw how a block travels: python docs/engine_picture.py docs/img/engine.svg (or .png, to look at it)."""

import argparse
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Rectangle

PAPER, INK, FAINT = "#fbfaf7", "#22303c", "#8a949c"  # the picture brings its own paper: dark pages stay dark
READ, COMPUTE, DEVICE, KEEP, PUBLISH = "#1f8a8a", "#4a58b5", "#c8641b", "#3d8a45", "#7a6a58"
STATIONS = [2, 28, 54, 80, 106]  # left borders
WIDTH, HEIGHT = 22, 30
TURNS = {  # what is done over time: (name, colour, [(block, from, to)])
    "reading": (READ, [("A", 0, 40), ("B", 40, 44), ("B", 48, 82), ("C", 82, 86), ("C", 90, 103)]),
    "computing": (COMPUTE, [("A", 4, 48), ("B", 48, 90), ("C", 90, 103)]),
    "storing": (KEEP, [(b, end - 3, end) for b, end in zip("AAAABBBB", range(18, 106, 11), strict=True)]),
}


def say(axes: Axes, x: float, y: float, text: str, **style: object) -> None:
    """Write, from the left and the top."""
    axes.text(x, y, text, **{"ha": "left", "va": "top", "fontsize": 8.5, "color": INK, **style})


def station(axes: Axes, number: int, color: str, thread: str, title: str, text: str) -> None:
    """One thing that happens to a block, and the thread that it happens in."""
    left, bottom = STATIONS[number], 34.5
    frame = FancyBboxPatch(
        (left, bottom), WIDTH, HEIGHT, boxstyle="round,pad=0,rounding_size=1", fc="white", ec=color, lw=1.6
    )
    axes.add_patch(frame)
    say(axes, left + WIDTH / 2, bottom + HEIGHT + 3.6, thread, color=color, ha="center", fontsize=8.5)
    say(axes, left + 1, bottom + HEIGHT - 1, title, weight="bold", fontsize=10)
    say(axes, left + 1, bottom + 9.8, text)


def arrow(axes: Axes, number: int, text: str) -> None:
    """From a station to the next, with what may wait between them."""
    start = STATIONS[number] + WIDTH
    style = {"arrowstyle": "-|>", "color": INK, "lw": 1.4, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (start + 4, 50), (start, 50), arrowprops=style)
    say(axes, start + 2, 48.6, text, ha="center", fontsize=7, color=INK)


def box(axes: Axes, x: float, y: float, width: float, height: float, **style: object) -> None:
    """Draw a rectangle."""
    axes.add_patch(Rectangle((x, y), width, height, **{"fc": "none", "ec": INK, "lw": 0.8, **style}))


def pictograms(axes: Axes) -> None:
    """Slabs of a scene; a strip and a tile; layers of a network; chunks; files."""
    x = STATIONS[0] + 4
    for row in range(4):
        box(axes, x, 46 + 3.2 * row, 14, 3.2, fc="#cfe8e8" if row == 2 else "none", ec=READ)
    x = STATIONS[1] + 1.5
    box(axes, x, 46, 9, 13, ec=FAINT)
    box(axes, x, 52.5, 9, 2, fc="#cfe8e8", ec=READ)
    box(axes, x + 10.5, 48, 9, 9, fc="#e6f1f1", ec=READ, ls="--")
    box(axes, x + 12.5, 50, 5, 5, fc="#cfe8e8", ec=READ)
    x = STATIONS[2] + 3
    for layer, tall in enumerate((12, 8, 5, 8, 12)):
        box(axes, x + 3.5 * layer, 52.3 - tall / 2, 2, tall, fc="#f6dfcd", ec=DEVICE)
    x = STATIONS[3] + 4
    for chunk in range(8):
        row, column = divmod(chunk, 2)
        done = chunk < 5
        box(axes, x + 7 * column, 55.6 - 3.2 * row, 7, 3.2, fc="#d5ead7" if done else "none", ec=KEEP)
        if done:
            say(axes, x + 7 * column + 2.8, 58.6 - 3.2 * row, "✓", color=KEEP, fontsize=8)
    x = STATIONS[4] + 3
    for row, name in enumerate(("landcover.tif", "confidence.tif", "landcover.gpkg", "manifest.json")):
        say(axes, x, 59 - 3.2 * row, name, family="monospace", fontsize=8, color=PUBLISH)


def turns(axes: Axes) -> None:
    """Three blocks in one process: who works when."""
    say(axes, 2, 28.5, "Two blocks in flight in one process take turns", weight="bold", fontsize=10)
    for row, (name, (color, spans)) in enumerate(TURNS.items()):
        y = 19 - 5.6 * row
        say(axes, 2, y + 3.2, name, color=color, fontsize=9)
        for block, start, stop in spans:
            shade = {"A": 1.0, "B": 0.5, "C": 0.3}[block]
            box(axes, 14 + start * 1.06, y, (stop - start) * 1.06 - 0.3, 4, fc=color, ec="none", alpha=shade)
            if stop - start > 5:
                color_of_text = "white" if block == "A" else INK
                say(axes, 15 + start * 1.06, y + 3.1, f"block {block}", color=color_of_text)
    style = {"arrowstyle": "-|>", "color": FAINT, "lw": 1, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (126, 5), (14, 5), arrowprops=style)
    say(
        axes,
        14,
        4.2,
        "time; a gap: some strips of the next block are read, and wait; each bar of storing is a chunk",
        color=INK,
        fontsize=8,
    )


def draw(path: Path) -> None:
    """Draw the picture into a file whose ending says of what kind it is."""
    mpl.rcParams.update({"svg.fonttype": "path", "svg.hashsalt": "geodl", "font.family": "DejaVu Sans"})
    figure = plt.figure(figsize=(13, 6.85), facecolor=PAPER)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, 130), ylim=(1, 69.5))
    axes.axis("off")
    station(
        axes,
        0,
        READ,
        "reading thread of the block",
        "slabs of rows",
        "decoded once,\nmask and all,\nkept while rows\nof them are needed",
    )
    station(
        axes,
        1,
        READ,
        "the same thread",
        "strips or tiles",
        "a strip: some rows of\na panel; a tile: a cell\nand its halo; both\nreflected at borders",
    )
    station(
        axes,
        2,
        DEVICE,
        "device thread of the process",
        "network",
        "scale, forward,\nclass and confidence;\nthe block's computing\nthread feeds it",
    )
    station(
        axes,
        3,
        KEEP,
        "thread of the Dask worker",
        "chunk in the store",
        "to whole percent,\ncompressed, with a\nchecksum, then a\nmark in the ledger",
    )
    station(
        axes,
        4,
        PUBLISH,
        "publishing thread of the run",
        "product",
        "when all chunks of\nthe scene are done;\nwritten beside, then\nrenamed into place",
    )
    for number, text in enumerate(("", "4 strips\nor 2\ngroups\nwait", "1 chunk\nwaits", "")):
        arrow(axes, number, text)
    pictograms(axes)
    turns(axes)
    metadata = {"Date": None} if path.suffix == ".svg" else {}
    figure.savefig(path, facecolor=PAPER, metadata=metadata, dpi=100)


def main() -> None:
    """Draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    draw(parser.parse_args().out)


if __name__ == "__main__":
    main()
