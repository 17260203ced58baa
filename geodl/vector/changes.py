"""What is particular to polygons of change: nothing where nothing changed, and from what to what."""

from dataclasses import replace

import numpy as np

from geodl.task import NO_AFTER, NO_BEFORE, UNCHANGED
from geodl.vector.batch import Batches
from geodl.vector.source import ClassRaster

ARROW = "->"  # in class names: "cropland -> built-up"


def changed_only(raster: ClassRaster) -> ClassRaster:
    """Return the raster without the pixels that are unchanged, or lack one of the dates."""

    def read(start: int, stop: int) -> np.ndarray:
        rows = raster.read(start, stop)
        return np.where(np.isin(rows, (UNCHANGED, NO_BEFORE, NO_AFTER)), raster.nodata, rows)

    return replace(raster, read=read)


def from_to(batches: Batches) -> Batches:
    """Add the columns ``from`` and ``to`` after ``name``; empty where the class names no transition.

    Yields
    ------
    FeatureBatch
        With two columns of text more.
    """
    for batch in batches:
        columns: dict[str, np.ndarray] = {}
        for key, values in batch.columns.items():
            columns[key] = values
            if key == "name":
                pairs = [transition(str(name)) for name in values]
                columns["from"] = np.array([pair[0] for pair in pairs], dtype=object)
                columns["to"] = np.array([pair[1] for pair in pairs], dtype=object)
        yield replace(batch, columns=columns)


def transition(name: str) -> tuple[str, str]:
    """Split the name of a transition.

    >>> transition("cropland -> built-up"), transition("changed")
    (('cropland', 'built-up'), ('', ''))
    """
    before, arrow, after = name.partition(ARROW)
    return (before.strip(), after.strip()) if arrow else ("", "")
