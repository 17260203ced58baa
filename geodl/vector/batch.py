"""What every vectorizer yields and every vector writer takes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class FeatureBatch:
    """Some features of a layer.

    A vectorizer yields at least one batch for each of its layers, an empty one for an empty layer, and all
    batches of a layer have the same columns with the same dtypes: the first one tells a writer the schema.
    """

    columns: dict[str, np.ndarray]
    """Attributes by name, each of shape (n,)."""

    geometry: np.ndarray
    """Shapely geometries in the coordinates of the layer, shape (n,)."""

    geometry_type: str = "Polygon"
    """OGC name of the type of all geometries of the layer."""

    layer: str = ""
    """Which of several layers they belong to; empty for the only one. The main layer comes first."""

    def __len__(self) -> int:
        return len(self.geometry)


Batches = Iterator[FeatureBatch]
