"""The attribute table of polygons: which columns there are, and how sums become attributes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from geodl.vector.batch import FeatureBatch
from geodl.vector.regions import Sums


@dataclass(frozen=True, kw_only=True)
class AttributeTable:
    """Columns of a layer of polygons."""

    names: Mapping[int, str]
    """Names of class values; a class without one is named by its value."""
    source: str
    """Name of the raster; without one there is no such column."""
    unit: str
    """``"m"``, or ``"px"`` where pixels have no size."""
    confidence: bool
    geometry_type: str

    def batch(
        self, number: np.ndarray, sums: Sums, perimeter: np.ndarray, geometry: np.ndarray
    ) -> FeatureBatch:
        """Make the features of some regions; all arrays have shape (n,)."""
        names = [self.names.get(value, str(value)) for value in sums.value.tolist()]
        columns: dict[str, np.ndarray] = {
            "id": number,
            "class": sums.value,
            "name": np.array(names, object),
            "area_m2" if self.unit == "m" else "area_px": sums.area,
            f"perimeter_{self.unit}": perimeter,
        }
        if self.confidence:
            with np.errstate(invalid="ignore"):
                columns["confidence"] = sums.certain / sums.measured
            columns["confidence_min"] = np.where(np.isfinite(sums.least), sums.least, np.nan)
        if self.source:
            columns["source"] = np.full(len(number), self.source, object)
        return FeatureBatch(columns=columns, geometry=geometry, geometry_type=self.geometry_type)
