"""The scene behind a map, full of detail: found in a folder by its content, not by a path in the product."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geodl.errors import GeodlError
from geodl.look.pictures import shown_bands
from geodl.scene.part import Part, understand
from geodl.store import identify
from geodl.viewing.catalogue import ShownProduct
from geodl.viewing.tiles import opened, read_tile

_SAMPLE = 512  # pixels of a side of the reduced scene that the stretch is taken from


@dataclass(frozen=True, kw_only=True)
class Imagery:
    """Three bands of files on the grid of the map, and their stretch."""

    bands: tuple[tuple[Path, int], ...]
    """(file, GDAL's number of the band) shown as red, green and blue."""
    low: tuple[float, ...]
    high: tuple[float, ...]

    def tile(self, level: int, column: int, row: int) -> np.ndarray | None:
        """Return a tile as uint8 (256, 256, 4); None where there is none.

        Raises
        ------
        SceneError
            A file cannot be read.
        """
        parts = [read_tile(path, level, column, row, indexes=(band,)) for path, band in self.bands]
        whole = [part for part in parts if part is not None]
        if len(whole) < len(parts):
            return None
        valid = np.logical_and.reduce([mask for _, mask in whole])
        colours = [
            (values[0] - low) / max(high - low, 1e-6)
            for (values, _), low, high in zip(whole, self.low, self.high, strict=True)
        ]
        picture = np.rint(255 * np.stack(colours, axis=-1).clip(0, 1)).astype(np.uint8)
        return np.dstack([picture, np.where(valid, 255, 0).astype(np.uint8)])


def find_imagery(product: ShownProduct, folder: Path, labels: Iterable[str]) -> dict[str, Imagery]:
    """Find the scene of a product in a folder: files whose name, size and sample are those of its inputs.

    Parameters
    ----------
    product : ShownProduct
    folder : pathlib.Path
        As the user names it; its subfolders are not searched.
    labels : iterable of str
        ``scene``, or ``before`` and ``after``.

    Returns
    -------
    dict
        By label. Scenes that were resampled for the map, and files that cannot be read, are left out.
    """
    labels, told = list(labels), product.manifest.get("scene")
    inputs = [path for row in _rows(product.manifest.get("inputs")) if (path := _same(row, folder))]
    if not inputs or not isinstance(told, dict):
        return {}
    dates = {row.get("label"): row.get("source") for row in _rows(told.get("dates"))}
    found = {}
    for label in labels:
        names = dates.get(label) if dates else [path.name for path in inputs]
        try:
            parts = understand(
                [str(path) for path in inputs if path.name in (names or ())],
                bands=None, scale=None, mask="auto", sensor=None, crs=None, ungeoreferenced=True,
                allow_sparse=False, lenient=True,
            )  # fmt: skip
            if all([part.grid.height, part.grid.width] == told.get("shape") for part in parts):
                found[label] = _stretched(parts)
        except GeodlError:
            continue  # a scene that has changed since; the picture in the page is still there
    return found


def _rows(value: Any) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _same(row: dict[str, Any], folder: Path) -> Path | None:
    """Return the file that a row of a manifest tells of."""
    name = row.get("name")
    if not isinstance(name, str) or Path(name).name != name:
        return None
    path = folder / name
    return path if path.is_file() and identify(path) == row else None


def _stretched(parts: list[Part]) -> Imagery:
    named = [
        (name, Path(part.header.path), index)
        for part in parts
        for name, index in zip(part.names, part.indexes, strict=True)
    ]
    bands = tuple(named[k][1:] for k in shown_bands([name for name, _, _ in named]))
    limits = [_limits(path, index) for path, index in bands]
    return Imagery(bands=bands, low=tuple(low for low, _ in limits), high=tuple(high for _, high in limits))


def _limits(path: Path, band: int) -> tuple[float, float]:
    """2nd and 98th percentile of a band, of its reduced picture."""
    with opened(path) as dataset:
        scale = max(1, max(dataset.shape) / _SAMPLE)
        shape = tuple(max(1, int(side / scale)) for side in dataset.shape)
        values = dataset.read(band, out_shape=shape, masked=True).compressed()
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values, (2, 98))
    return float(low), float(high)
