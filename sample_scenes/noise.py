"""Seeded random fields: the raw material of every landscape."""

import zlib

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Field = NDArray[np.float32]


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the random generator of one named purpose.

    Every part of a landscape draws from its own stream, so that a change in one part (say, fewer
    trees) leaves all others (say, the river) as they were.

    Parameters
    ----------
    seed : int
        Seed of the landscape, >= 0.
    name : str
        Purpose, e.g. ``"terrain"``.
    """
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def fractal_noise(
    shape: tuple[int, int], pixel: float, rng: np.random.Generator, *, largest: float, beta: float = 2.2
) -> Field:
    """Return a Gaussian field with a power-law spectrum (spectral synthesis, Voss 1985).

    Parameters
    ----------
    shape : tuple = (rows, columns)
    pixel : float
        Pixel size in metres.
    rng : numpy.random.Generator
    largest : float
        Size of the largest features in metres; the spectrum is flat above it.
    beta : float
        Fall of the power spectrum with frequency: 0 is white, 2 to 2.5 looks like terrain, above 4 is smooth.

    Returns
    -------
    array of float32, shape (rows, columns)
        Zero mean, unit standard deviation.
    """
    # The Fourier field is periodic; a padded grid keeps the far border from repeating the near one.
    rows, columns = (fft.next_fast_len(size + size // 8, real=True) for size in shape)
    spectrum = fft.rfft2(rng.standard_normal((rows, columns), dtype=np.float32))
    frequency = np.hypot(
        fft.fftfreq(rows, pixel).astype(np.float32)[:, None],
        fft.rfftfreq(columns, pixel).astype(np.float32)[None, :],
    )
    spectrum *= (frequency**2 + np.float32(largest**-2)) ** np.float32(-beta / 4)
    field = fft.irfft2(spectrum, (rows, columns))[: shape[0], : shape[1]]
    field -= field.mean()
    return np.asarray(field / field.std(), dtype=np.float32)


def smooth_line(count: int, rng: np.random.Generator, *, smoothness: float) -> NDArray[np.float64]:
    """Return ``count`` values of a smooth random curve, zero mean, unit standard deviation.

    Parameters
    ----------
    count : int
    rng : numpy.random.Generator
    smoothness : float
        Correlation length in samples.
    """
    frequency = fft.rfftfreq(2 * count)
    spectrum = fft.rfft(rng.standard_normal(2 * count)) * np.exp(-((frequency * smoothness) ** 2))
    curve = fft.irfft(spectrum, 2 * count)[:count]
    curve = curve - curve.mean()
    return np.asarray(curve / curve.std())


def pixel_centres(shape: tuple[int, int], pixel: float) -> tuple[Field, Field]:
    """Return x (columns, rightwards) and y (rows, downwards) of pixel centres in metres, broadcastable."""
    x = (np.arange(shape[1], dtype=np.float32) + np.float32(0.5)) * np.float32(pixel)
    y = (np.arange(shape[0], dtype=np.float32) + np.float32(0.5)) * np.float32(pixel)
    return x[None, :], y[:, None]


def blob(
    shape: tuple[int, int], pixel: float, centre: tuple[float, float], radius: float, edge: Field
) -> NDArray[np.bool_]:
    """Return a mask: a disc whose outline is pushed in and out by a noise field.

    Parameters
    ----------
    shape : tuple = (rows, columns)
    pixel : float
        Pixel size in metres.
    centre : tuple = (x, y)
        In metres from the upper left corner.
    radius : float
        In metres.
    edge : array of float32, shape (rows, columns)
        Noise with unit standard deviation.
    """
    x, y = pixel_centres(shape, pixel)
    return np.hypot(x - centre[0], y - centre[1]) < radius * (1 + 0.22 * edge)
