"""A window of a scene as people see it."""

import numpy as np
import xarray as xr

from geodl.scene import valid_mask
from geodl.scene.stretch import stretched
from geodl.tiles import Window

NO_DATA = 30  # grey
_COLORS = ("red", "green", "blue")


def as_seen(scene: xr.DataArray, window: Window) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the window in natural colours, else in false ones, else in grey.

    Parameters
    ----------
    scene : xarray.DataArray
        Dims (band, y, x).
    window : Window
        Inside it.

    Returns
    -------
    image : numpy.ndarray
        uint8, (height, width, 3), stretched between the 2nd and the 98th percentile; dark without data.
    bands : tuple of str
        What is shown as red, green and blue; a single name where the image is grey.
    """
    names = [str(name) for name in scene.coords["band"].values]
    if set(_COLORS) <= set(names):
        chosen: tuple[str, ...] = _COLORS
    else:
        chosen = tuple(names[:3] if len(names) >= 3 else names[:1])
    numbers = [names.index(name) for name in chosen]
    part = scene.isel(y=window.slices[0], x=window.slices[1]).compute(scheduler="synchronous")
    valid = valid_mask(part).values
    image = np.moveaxis(part.values[numbers].astype(np.float32), 0, -1)
    shown = np.where(valid[..., None], 255 * stretched(image, valid), NO_DATA).astype(np.uint8)
    return np.broadcast_to(shown, (*valid.shape, 3)).copy(), chosen
