"""Large scenes of known layout, written strip by strip."""

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.windows import Window

BANDS = ("blue", "green", "red", "nir")
SCALE = 0.0001  # from digital numbers to reflectance
_ROWS = 512  # written at a time
_REPEATED = 4096  # side of the square that `write_repeated_scene` repeats

LAYOUTS = {
    "tiled": {"tiled": True, "blockxsize": 512, "blockysize": 512, "interleave": "pixel"},
    "striped": {"tiled": False, "interleave": "pixel"},
    "band": {"tiled": True, "blockxsize": 512, "blockysize": 512, "interleave": "band"},
}
"""Strips are of GDAL's default height, which is one row at these widths."""


def write_scene(path: Path, size: int, layout: str = "tiled", *, rows: int | None = None) -> Path:
    """Write a scene of four bands of reflectance as uint16: waves and noise, valid everywhere.

    It is as wide as `size`, and as high, or has so many `rows`.
    """
    height = rows or size
    rng = np.random.default_rng(0)
    with _created(path, (height, size), len(BANDS), "uint16", layout) as file:
        file.descriptions = BANDS
        file.scales, file.offsets = (SCALE,) * len(BANDS), (0.0,) * len(BANDS)
        for number in range(1, len(BANDS) + 1):
            file.set_band_unit(number, "reflectance")
        for row in range(0, height, _ROWS):
            smooth = 1500 + 700 * waves(row, min(_ROWS, height - row), size, len(BANDS))
            noise = 60 * rng.standard_normal(smooth.shape, dtype=np.float32)
            _write_rows(file, row, (smooth + noise).clip(1, 9000).astype(np.uint16))
    return path


def write_repeated_scene(path: Path, size: int, layout: str = "tiled") -> Path:
    """Write a square 8-bit RGB scene that repeats one square: smooth, so that huge files stay small."""
    square = (128 + 100 * waves(0, _REPEATED, _REPEATED, 3)).clip(1, 255).astype(np.uint8)
    with _created(path, (size, size), 3, "uint8", layout) as file:
        file.descriptions = ("red", "green", "blue")
        for row in range(0, size, _ROWS):
            top = row % _REPEATED
            rows = np.tile(square[:, top : top + _ROWS], (1, 1, -(-size // _REPEATED)))
            _write_rows(file, row, rows[:, : size - row, :size])
    return path


def _created(
    path: Path, shape: tuple[int, int], bands: int, dtype: str, layout: str
) -> rasterio.io.DatasetWriter:
    return rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=shape[0],
        width=shape[1],
        count=bands,
        dtype=dtype,
        nodata=0,
        crs="EPSG:32632",
        transform=Affine(10, 0, 6e5, 0, -10, 5.2e6),
        compress="deflate",
        zlevel=1,
        predictor=2,
        num_threads="ALL_CPUS",
        bigtiff="IF_SAFER",
        **LAYOUTS[layout],
    )


def _write_rows(file: rasterio.io.DatasetWriter, row: int, pixels: np.ndarray) -> None:
    file.write(pixels, window=Window(0, row, pixels.shape[2], pixels.shape[1]))


def waves(row: int, height: int, width: int, bands: int) -> np.ndarray:
    """Smooth patterns within about -1.5..1.5, shape (bands, height, width), float32."""
    y = np.arange(row, row + height, dtype=np.float32)[:, None]
    x = np.arange(width, dtype=np.float32)[None]
    base = np.sin(x / 190) * np.cos(y / 230) + 0.4 * np.sin((x + y) / 37)
    slow = np.sin(x / 701 + y / 977)
    return np.stack([base + 0.1 * band * slow for band in range(bands)])
