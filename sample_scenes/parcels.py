"""Field parcels: farms of parallel strips, each farm turned its own way."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sample_scenes.noise import Field, pixel_centres


@dataclass(frozen=True, kw_only=True)
class Parcels:
    """A division of the plane into fields. All arrays have shape (rows, columns)."""

    parcel: NDArray[np.int32]
    """Number of the field, 0 .. count - 1."""

    farm: NDArray[np.int32]
    """Number of the farm, a group of fields with one direction."""

    across: Field
    """Distance in metres across the rows of the field: what tramlines and drill rows are drawn from."""

    border: NDArray[np.bool_]
    """True on the line between two fields."""

    track: NDArray[np.bool_]
    """True on the line between two farms."""

    count: int


def divide(
    shape: tuple[int, int],
    pixel: float,
    rng: np.random.Generator,
    *,
    farm_size: float,
    width: tuple[float, float],
    length: tuple[float, float],
) -> Parcels:
    """Divide a landscape into farms and fields.

    Parameters
    ----------
    shape : tuple = (rows, columns)
    pixel : float
        Pixel size in metres.
    rng : numpy.random.Generator
    farm_size : float
        Typical distance between farms in metres.
    width, length : tuple = (least, most)
        Sizes of fields in metres.
    """
    x, y = np.broadcast_arrays(*pixel_centres(shape, pixel))
    seeds = _seeds(shape, pixel, rng, farm_size)
    _, farm = cKDTree(seeds).query(np.stack([x.ravel(), y.ravel()], axis=1))
    farm = farm.reshape(shape)
    angle = rng.uniform(0, np.pi, len(seeds)).astype(np.float32)
    widths = rng.uniform(*width, len(seeds)).astype(np.float32)
    lengths = rng.uniform(*length, len(seeds)).astype(np.float32)
    cosine, sine = np.cos(angle)[farm], np.sin(angle)[farm]
    across, along = x * cosine + y * sine, y * cosine - x * sine
    # A wave on the count of strips makes some fields broad and some narrow; its slope stays above 0.
    strip = across / widths[farm]
    strip = np.floor(strip + np.float32(0.25) * np.sin(strip * np.float32(2.1))).astype(np.int64)
    shift = _hash(farm, strip, np.zeros_like(strip)) % 1000 / 1000
    row = np.floor(along / lengths[farm] * (0.8 + 0.5 * shift) + shift * 7).astype(np.int64)
    _, inverse = np.unique(_hash(farm, strip, row), return_inverse=True)
    parcel = inverse.reshape(shape).astype(np.int32)
    return Parcels(
        parcel=parcel,
        farm=farm.astype(np.int32),
        across=across.astype(np.float32),
        border=_edges(parcel),
        track=_edges(farm),
        count=int(parcel.max()) + 1,
    )


def mean_by_parcel(field: Field, parcels: Parcels) -> NDArray[np.float64]:
    """Return the mean of a field over every parcel, shape (count,)."""
    flat = parcels.parcel.ravel()
    pixels = np.bincount(flat, minlength=parcels.count)
    return np.asarray(np.bincount(flat, field.ravel(), minlength=parcels.count) / pixels)


def _seeds(
    shape: tuple[int, int], pixel: float, rng: np.random.Generator, size: float
) -> NDArray[np.float64]:
    """Return jittered lattice points (x, y) that cover the landscape and a margin around it."""
    columns = np.arange(-1, int(shape[1] * pixel / size) + 2)
    rows = np.arange(-1, int(shape[0] * pixel / size) + 2)
    lattice = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2) + 0.5
    return np.asarray((lattice + rng.uniform(-0.45, 0.45, lattice.shape)) * size)


def _hash(farm: NDArray[np.int64], strip: NDArray[np.int64], row: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a number per (farm, strip, row); unlike triples hardly ever meet."""
    mixed = (farm + 1) * 1_000_003 + strip * 7_919 + row * 104_729
    return np.asarray((mixed * 2_654_435_761) % 2_147_483_647)


def _edges(number: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return where a number differs from its right or lower neighbour."""
    edge = np.zeros(number.shape, dtype=bool)
    edge[:-1] |= number[:-1] != number[1:]
    edge[:, :-1] |= number[:, :-1] != number[:, 1:]
    return edge


def ripples(field: Field, across: Field, spacing: float) -> Field:
    """Return tramlines: a thin dark line every `spacing` metres along `across`, as factors below 1."""
    phase = (across / np.float32(spacing)) % 1
    line = np.exp(-(((phase - 0.5) * np.float32(spacing) / np.float32(1.4)) ** 2))
    return np.asarray(1 - field * line, dtype=np.float32)
