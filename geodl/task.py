"""What geodl can be asked for: one row of `TASKS` per task."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Task:
    """How a task turns class scores into products.

    Parameters
    ----------
    name : str
        The word users type: ``--task landcover``.
    dates : int
        Number of scenes a prediction reads.
    raster : str
        File stem of the class raster, ``landcover`` for ``landcover.tif`` and ``landcover.gpkg``.
    vectorizer : str
        Row of `geodl.vector.VECTORIZERS` that makes its vector layer.
    title : str
        Heading for legends, layers and reports.
    """

    name: str
    dates: int
    raster: str
    vectorizer: str
    title: str


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(name="landcover", dates=1, raster="landcover", vectorizer="polygons", title="Land cover"),
        Task(name="buildings", dates=1, raster="buildings", vectorizer="buildings", title="Buildings"),
        Task(name="roads", dates=1, raster="roads", vectorizer="roads", title="Roads"),
        Task(name="change", dates=2, raster="change", vectorizer="changes", title="Change"),
    )
}


UNCHANGED, CHANGED = 0, 1
"""Values of a change map that does not tell kinds of change."""
NO_BEFORE, NO_AFTER = 253, 254
"""Values of a change map where only the first date, or only the second, holds no data; 255: neither does."""

LAYERS = ("class", "confidence", "entropy", "spread", "novelty", "probability")
"""What can be known of a pixel, in this order: its class, the probability of that class, the Shannon
entropy of all probabilities as a share of its maximum (0 certain, 1 all classes alike), the standard
deviation of the class's probability over turned views of the scene, the share of the training pixels that
are more like the rest of the training data than this pixel is (1 unlike all of them), and the probability
of every class."""

PRODUCTS: dict[str, tuple[str, ...]] = {
    "map": ("class",),
    "confidence": ("confidence",),
    "entropy": ("entropy",),
    "novelty": ("novelty",),
    "vectors": ("class", "confidence"),
    "project": ("class",),
    "page": ("class", "confidence"),
}
"""What a run may leave behind, by the names that users type, and the layers each is made of."""

USUAL = ("map", "confidence", "vectors", "project", "page")
"""The products that a run leaves unless told otherwise."""


def layers_of(
    products: Iterable[str], *, probabilities: bool = False, turned: bool = False
) -> tuple[str, ...]:
    """Return the layers that products are made of; the class is always among them.

    `probabilities` and `turned` (whether turned views are averaged) add a layer of their own.

    >>> layers_of(["entropy"])
    ('class', 'entropy')
    """
    needed = {"class", *(layer for product in products for layer in PRODUCTS[product])}
    needed |= {name for name, wanted in (("probability", probabilities), ("spread", turned)) if wanted}
    return tuple(layer for layer in LAYERS if layer in needed)
