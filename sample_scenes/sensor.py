"""From reflectance on a fine grid to the numbers in a file: optics, air, noise, and the edge of the swath."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from shapely import affinity

from sample_scenes.noise import fractal_noise, pixel_centres

HAZE = {"blue": 0.060, "green": 0.036, "red": 0.022, "nir": 0.009, "swir1": 0.003, "swir2": 0.001}
"""Light scattered by a thick haze, in reflectance: it falls with wavelength, as scattering does."""


@dataclass(frozen=True, kw_only=True)
class Air:
    """State of the atmosphere."""

    clear: float
    """Haze at the clear end of the scene, 0 (none) to 1 (thick)."""
    hazy: float
    """Haze at the other end."""
    direction: float
    """Direction in which haze grows, degrees from x towards y."""


def average(field: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Return the mean over squares of `factor` pixels; the last two axes shrink."""
    *lead, rows, columns = field.shape
    blocks = field.reshape(*lead, rows // factor, factor, columns // factor, factor)
    return np.asarray(blocks.mean(axis=(-3, -1)), dtype=np.float32)


def majority(classes: NDArray[np.uint8], factor: int, values: range) -> NDArray[np.uint8]:
    """Return the class that covers most of each square; the lowest value wins a tie."""
    shares = np.stack([average((classes == value).astype(np.float32), factor) for value in values])
    return np.asarray(shares.argmax(axis=0) + values.start, dtype=np.uint8)


def through_air(
    image: NDArray[np.float32], bands: tuple[str, ...], pixel: float, air: Air, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return the image (band, rows, columns) with path light added and contrast lost to haze."""
    shape = image.shape[1:]
    x, y = pixel_centres(shape, pixel)
    angle = np.radians(air.direction)
    ramp = x * np.cos(angle) + y * np.sin(angle)
    ramp = (ramp - ramp.min()) / (ramp.max() - ramp.min())
    cloudy = fractal_noise(shape, pixel, rng, largest=0.5 * max(shape) * pixel, beta=3.6)
    haze = np.clip(air.clear + (air.hazy - air.clear) * ramp + 0.07 * cloudy, 0, 1)
    light = np.array([HAZE[band] for band in bands], dtype=np.float32)[:, None, None]
    return np.asarray(image * (1 - 2.2 * light * haze) + light * haze, dtype=np.float32)


def blur(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Return the image after the point spread of the optics (Gaussian, `sigma` in pixels)."""
    return np.stack([gaussian_filter(band, sigma, mode="nearest") for band in image])


def noisy(
    image: NDArray[np.float32], rng: np.random.Generator, *, floor: float, relative: float
) -> NDArray[np.float32]:
    """Return the image with detector noise: a floor (reflectance) and a part that grows with the signal."""
    strength = np.float32(floor) + np.float32(relative) * image
    return np.asarray(image + strength * rng.standard_normal(image.shape, dtype=np.float32))


def swath(shape: tuple[int, int], degrees: float, keep: float = 0.91) -> shapely.Polygon:
    """Return what a sensor sees that flew at an angle to the grid: a rotated rectangle, in pixels.

    Parameters
    ----------
    shape : tuple = (rows, columns)
    degrees : float
        Rotation of the swath.
    keep : float
        Size of the swath relative to the rectangle that would cover every pixel.
    """
    rows, columns = shape
    cosine, sine = abs(np.cos(np.radians(degrees))), abs(np.sin(np.radians(degrees)))
    wide = keep * (columns * cosine + rows * sine) / 2
    tall = keep * (rows * cosine + columns * sine) / 2
    seen = affinity.rotate(shapely.box(-wide, -tall, wide, tall), degrees, origin=(0, 0))
    return affinity.translate(seen, columns / 2, rows / 2).intersection(shapely.box(0, 0, columns, rows))
