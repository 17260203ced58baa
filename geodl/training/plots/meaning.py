"""What the label file of a scene means: classes of the recipe, on the grid of the scene."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from odc.geo.geobox import GeoBox

from geodl.assess.labels import IGNORE, EdgedLabels, FeatureLabels, Labels, open_labels
from geodl.tiles import Window
from geodl.training.plots.pairs import Pair
from geodl.training.recipe import Recipe


@contextmanager
def labels_of(pair: Pair, recipe: Recipe, grid: GeoBox) -> Iterator[Labels]:
    """Open the labels of a scene as positions in the classes of the recipe.

    Parameters
    ----------
    pair : Pair
        The scene, its label file and the source that it comes from.
    recipe : Recipe
        Its classes, and the rims that it makes a class of.
    grid : odc.geo.geobox.GeoBox
        Of the scene.

    Raises
    ------
    SceneError
        If the label file cannot be read or does not fit the grid.
    """
    source = pair.source
    background = None if source.background is None else recipe.position(source.background)
    if pair.unlabelled:
        assert background is not None  # the recipe was checked for it
        yield _Counted(_OneClass(background), pair, grid)
        return
    with open_labels(
        pair.labels,
        grid,
        mapping=recipe.mapping_of(source),
        attribute=source.attribute,
        background=background,
        width=source.width,
        radius=source.radius,
    ) as labels:
        yield _Counted(_edged(labels, recipe, grid), pair, grid)


def _edged(labels: FeatureLabels, recipe: Recipe, grid: GeoBox) -> Labels:
    edges = recipe.edges
    if edges is None:
        return labels
    names = [c.name for c in recipe.classes]
    return EdgedLabels(
        labels, grid.shape, of=names.index(edges.of), into=names.index(edges.into), pixels=edges.pixels
    )


class _OneClass:
    """The same class everywhere."""

    def __init__(self, code: int) -> None:
        self._code = code

    def read(self, window: Window) -> np.ndarray:
        return np.full((window.height, window.width), self._code, dtype=np.uint8)


class _Counted:
    """Labels of the rows and columns that the recipe lets count; nothing is known of the others."""

    def __init__(self, labels: Labels, pair: Pair, grid: GeoBox) -> None:
        self._labels = labels
        rows, columns = pair.source.rows or (0, grid.shape[0]), pair.source.columns or (0, grid.shape[1])
        self._part = Window(rows[0], columns[0], rows[1] - rows[0], columns[1] - columns[0])

    def read(self, window: Window) -> np.ndarray:
        codes = np.full((window.height, window.width), IGNORE, dtype=np.uint8)
        part = window.intersect(self._part)
        if part.height > 0 and part.width > 0:
            codes[part.relative_to(window).slices] = self._labels.read(part)
        return codes
