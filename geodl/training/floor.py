"""The floor: a random forest on single pixels, on the same split as the network.

What a network adds is what it sees around a pixel. A forest (Breiman 2001,
doi:10.1023/A:1010933404324) sees the pixel alone; a network that does not clearly beat it has
learned colours.

    python -m geodl.training.floor RECIPE
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from geodl.assess.confusion import Accuracy, accuracy, confusion_matrix
from geodl.assess.labels import IGNORE
from geodl.errors import GeodlError, OptionError
from geodl.models.table import tiling_of
from geodl.training.plots import Plot, decode, strips, training_strips
from geodl.training.recipe import Recipe, load_recipe


def floor(recipe: Recipe, *, per_class: int = 20_000, trees: int = 100) -> Accuracy:
    """Train and check a random forest on the bands of single pixels.

    Parameters
    ----------
    recipe : Recipe
        Its scenes, labels, split and seed are used.
    per_class : int
        Training pixels of each class, drawn at random.
    trees : int
        Number of trees, each with leaves of at least 5 pixels.

    Raises
    ------
    OptionError
        If scikit-learn is not installed.
    """
    forest = _forest(trees, recipe.seed)
    halo = tiling_of(recipe.architecture, recipe.parameters).halo
    with tempfile.TemporaryDirectory(prefix="geodl-floor-") as folder:
        plots = decode(recipe, Path(folder), gap=halo)
        forest.fit(*_training_pixels(plots, per_class, recipe.seed))
        matrix = sum(_check(forest, plot) for plot in plots if sum(plot.validation))
    return accuracy(np.asarray(matrix), [c.name for c in recipe.classes])


def _forest(trees: int, seed: int) -> Any:
    try:
        from sklearn.ensemble import RandomForestClassifier
    except ImportError as error:
        raise OptionError("floor", "scikit-learn is missing", "pip install 'geodl[test]'") from error
    return RandomForestClassifier(trees, min_samples_leaf=5, n_jobs=-1, random_state=seed)


def _training_pixels(plots: list[Plot], per_class: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random training pixels: values (pixels, bands) and class numbers (pixels,)."""
    random = np.random.default_rng(seed)
    counts = np.sum([plot.train for plot in plots], axis=0)
    values, codes = [], []
    for image, _, labels in training_strips(plots):
        for code in np.flatnonzero(counts):
            found = np.flatnonzero(labels == code)
            share = min(1.0, per_class / counts[code])
            kept = found[random.random(len(found)) < share]
            values.append(image.reshape(len(image), -1)[:, kept].T)
            codes.append(np.full(len(kept), code))
    return np.concatenate(values), np.concatenate(codes)


def _check(forest: Any, plot: Plot) -> np.ndarray:
    classes = len(plot.validation)
    matrix = np.zeros((classes, classes), dtype=np.int64)
    labels = plot.labels("validation")
    for window in strips(plot.height, plot.width):
        strip = np.asarray(labels[window.slices])
        known = strip != IGNORE
        if known.any():
            image, _ = plot.window(window)
            # Photographs hold few distinct colours: each is predicted once.
            colours, where = np.unique(image[:, known].T, axis=0, return_inverse=True)
            predicted = forest.predict(colours)[where.ravel()].astype(np.uint8)
            matrix += confusion_matrix(strip[known], predicted, classes)
    return matrix


if __name__ == "__main__":
    try:
        print(json.dumps(floor(load_recipe(sys.argv[1])).to_dict(), indent=2))
    except GeodlError as problem:
        sys.exit(str(problem))
