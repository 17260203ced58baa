"""What was found, missed and invented, without the imagery, which must not be passed on.

python -m tests.benchmarks.change.pictures runs/change/maps --data onera --places rennes mumbai \\
    --methods cva siamese_unet --steps 60 --patch 64 --out change_onera.png

Steps, batch, patch and seed are those that the networks were trained with.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tests.benchmarks.accuracy.cases import Effort
from tests.benchmarks.change.cases import Case, add_effort
from tests.benchmarks.change.scores import HALF

_NAMES = ("unchanged", "called changed, wrongly", "missed", "found", "truth unknown")
_COLOURS = np.array([(236, 234, 228), (230, 126, 34), (41, 98, 180), (27, 94, 32), (255, 255, 255)], np.uint8)
_WIDTH = 900  # pixels of a sheet


def errors_of(percent: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Colour a map: grey unchanged, green found, blue missed, orange wrong, white unknown.

    Parameters
    ----------
    percent : numpy.ndarray
        Probability of change, shape (y, x).
    truth : numpy.ndarray
        0 unchanged, 1 changed, others unknown; shape (y, x).

    Returns
    -------
    numpy.ndarray
        uint8, shape (y, x, 3).
    """
    codes = np.where(truth < 2, 2 * (truth == 1) + (percent >= HALF), 4)
    return _COLOURS[codes]


def write_errors(path: Path, percent: np.ndarray, truth: np.ndarray) -> None:
    """Write the errors of one map as PNG, a pixel for a pixel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(errors_of(percent, truth)).save(path, optimize=True)


def draw_sheet(folder: Path, cases: Sequence[Case], places: Sequence[str], path: Path) -> None:
    """Draw maps that `write_errors` wrote side by side: a row for each place, a column for each method.

    Parameters
    ----------
    folder : Path
        Holds what `tests.benchmarks.change.run.run` wrote of the cases.
    cases : sequence of Case
        Whatever group they hold out.
    places : sequence of str
    path : Path
        Of the picture, PNG.
    """
    import matplotlib.pyplot as plt
    from matplotlib.patches import Patch

    maps = [[Image.open(folder / f"{case.label}-{place}.png") for case in cases] for place in places]
    shares = [row[0].height / row[0].width for row in maps]
    inches = _WIDTH / 100
    height = inches / len(cases) * sum(shares) + 0.3 * len(places) + 0.4
    figure, axes = plt.subplots(
        len(places),
        len(cases),
        figsize=(inches, height),
        squeeze=False,
        height_ratios=shares,
        layout="constrained",
    )
    for place, row, images in zip(places, axes, maps, strict=True):
        for case, axis, image in zip(cases, row, images, strict=True):
            axis.imshow(np.asarray(image.convert("RGB")), interpolation="antialiased")
            axis.set_title(f"{place}: {case.method}", fontsize=9)
            axis.set_axis_off()
    patches = [Patch(color=c / 255, label=n) for n, c in zip(_NAMES[:4], _COLOURS, strict=False)]
    figure.legend(handles=patches, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    figure.savefig(path, dpi=100)
    plt.close(figure)
    # A few colours and what lies between them: a palette keeps the file small. The octree keeps rare ones.
    image = Image.open(path).convert("RGB")
    image.quantize(128, method=Image.Quantize.FASTOCTREE).save(path, optimize=True)


def main() -> None:
    """Draw the sheet that the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.change.pictures")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--methods", nargs="+", required=True)
    parser.add_argument("--places", nargs="+", required=True)
    add_effort(parser)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    effort = Effort(steps=given.steps, batch=given.batch, patch=given.patch)
    cases = [
        Case(data=given.data, method=method, group="", effort=effort, seed=given.seed)
        for method in given.methods
    ]
    draw_sheet(given.folder, cases, given.places, given.out)


if __name__ == "__main__":
    main()
