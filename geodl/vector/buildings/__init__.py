"""Building footprints with straight walls."""

from geodl.vector.buildings.layer import buildings

__all__ = ["buildings"]
