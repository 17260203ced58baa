"""What was found, as arrays on the scene's grid."""

from dataclasses import dataclass

import numpy as np
import odc.geo.xr
import xarray as xr

from geodl.models.spec import NODATA_CLASS, ModelSpec, flag_attributes
from geodl.tiles import Window


@dataclass(frozen=True, kw_only=True)
class Rasters:
    """Makes arrays over a view of a scene.

    Parameters
    ----------
    scene : xarray.DataArray
        Dims (band, y, x).
    view : Window
        Inside the scene.
    valid : numpy.ndarray
        bool, (view.height, view.width); what is not valid becomes NaN, or 255 in maps.
    class_name : str
        The class that is explained.
    """

    scene: xr.DataArray
    view: Window
    valid: np.ndarray
    class_name: str

    def attributions(self, values: np.ndarray, bands: list[str]) -> xr.DataArray:
        """Integrated gradients, float32 (band, y, x)."""
        array = self._located(self._hidden(values), ("band", "y", "x")).assign_coords(band=bands)
        return array.rename("attribution").assign_attrs(
            long_name=f"integrated gradients of the score of {self.class_name}", nodata=float("nan")
        )

    def grad_cam(self, values: np.ndarray) -> xr.DataArray:
        """Grad-CAM, float32 (y, x)."""
        return (
            self._located(self._hidden(values), ("y", "x"))
            .rename("grad_cam")
            .assign_attrs(long_name=f"Grad-CAM of the score of {self.class_name}", nodata=float("nan"))
        )

    def classes(self, probability: np.ndarray, spec: ModelSpec) -> xr.DataArray:
        """Make the map: uint8 (y, x) class values, from probabilities (classes, y, x)."""
        values = np.array(spec.class_values, dtype=np.uint8)[probability.argmax(axis=0)]
        values[~self.valid] = NODATA_CLASS
        return (
            self._located(values, ("y", "x"))
            .rename("class")
            .assign_attrs(nodata=NODATA_CLASS, **flag_attributes(spec.classes))
        )

    def _hidden(self, values: np.ndarray) -> np.ndarray:
        return np.where(self.valid, values, np.float32("nan")).astype(np.float32)

    def _located(self, values: np.ndarray, dims: tuple[str, ...]) -> xr.DataArray:
        rows, columns = self.view.slices
        geobox = self.scene.odc.geobox
        if geobox is None or geobox.crs is None:
            part = self.scene.isel(y=rows, x=columns)
            coords = {name: part.coords[name] for name in ("y", "x") if name in part.coords}
            return xr.DataArray(values, dims=dims, coords=coords)
        wrapped = odc.geo.xr.wrap_xr(values, geobox[rows, columns], axis=len(dims) - 2)
        return wrapped.rename(dict(zip(wrapped.dims, dims, strict=True)))
