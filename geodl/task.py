"""What geodl can be asked for: one row of `TASKS` per task."""

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
    )
}


PRODUCTS = ("map", "confidence", "vectors")
"""What a run may leave behind, by the names that users type."""
