"""Scenes: rasters as lazy `xarray.DataArray` (band, y, x) with names, units, masks and georeferencing."""

from geodl.scene.adopt import as_scene, select_bands
from geodl.scene.info import describe
from geodl.scene.masks import physical, valid_mask
from geodl.scene.open import open_scene
from geodl.scene.pair import open_pair
from geodl.scene.series import open_series

__all__ = [
    "as_scene",
    "describe",
    "open_pair",
    "open_scene",
    "open_series",
    "physical",
    "select_bands",
    "valid_mask",
]
