"""What each pixel is to a building: its inside, its inner outline, or nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from geodl.vector.source import ClassRaster

BACKGROUND, INSIDE, EDGE = 0, 1, 2

BUILDING, BUILDING_EDGE = "building", "building edge"
"""Names of the classes; the edge is the part of each building along its outline."""


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Which class values are buildings."""

    value: int | None
    """The class of their insides; None for all values but 0."""
    edge: int | None
    """The class of their edges, if there is one."""
    nodata: int

    def of(self, classes: np.ndarray) -> np.ndarray:
        """Return `BACKGROUND`, `INSIDE` or `EDGE` for class values of any shape: uint8.

        >>> Roles(value=1, edge=2, nodata=255).of(np.array([0, 1, 2, 3, 255]))
        array([0, 1, 2, 0, 0], dtype=uint8)
        """
        inside = classes != 0 if self.value is None else classes == self.value
        result = np.where(inside, np.uint8(INSIDE), np.uint8(BACKGROUND))
        if self.edge is not None:
            result[classes == self.edge] = EDGE
        result[classes == self.nodata] = BACKGROUND
        return result


def find_roles(raster: ClassRaster, names: Mapping[int, str], chosen: int | None = None) -> Roles:
    """Decide which class values are buildings.

    Parameters
    ----------
    raster : ClassRaster
        It is read only where neither `chosen` nor `names` tell the class: then the class is 1 where a
        pixel has this value, and otherwise every value but 0.
    names : mapping of int to str
        Names of the values; a class named `BUILDING_EDGE` belongs to the class named `BUILDING`.
    chosen : int, optional
        The class that the user wants.
    """
    by_name = {name.casefold(): value for value, name in names.items()}
    building = by_name.get(BUILDING)
    if chosen is not None and chosen != building:
        return Roles(value=chosen, edge=None, nodata=raster.nodata)
    if building is not None:
        return Roles(value=building, edge=by_name.get(BUILDING_EDGE), nodata=raster.nodata)
    return Roles(value=1 if _holds_one(raster) else None, edge=None, nodata=raster.nodata)


def _holds_one(raster: ClassRaster, rows: int = 1024) -> bool:
    height = raster.shape[0]
    return any((raster.read(row, min(row + rows, height)) == 1).any() for row in range(0, height, rows))
