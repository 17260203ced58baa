"""Plots: the scenes of a recipe with their labels, decoded once into memory-mapped files.

Training reads small windows in random order, thousands of times; decoding a compressed raster for
each would take longer than the network. What is kept is what the file holds (8 or 16 bits where the
file has 8 or 16), with the scale and offset that turn it into the units of the model.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from geodl.assess.labels import IGNORE, open_labels
from geodl.errors import MismatchError, RecipeError
from geodl.match import check_fit
from geodl.scene import open_scene, valid_mask
from geodl.scene.adopt import per_band, select_bands
from geodl.tiles import Window, reflect
from geodl.training.description import make_spec
from geodl.training.recipe import Recipe, Source
from geodl.training.split import block_counts, choose_blocks, near_blocks

_STRIP = 512


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The files of one scene, the file with its labels, and the entry of the recipe they come from."""

    scene: tuple[Path, ...]
    labels: Path
    source: Source


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A decoded scene: memory-mapped arrays in a folder, opened at each use (safe across processes).

    Parameters
    ----------
    name : str
        Name of the scene, for messages.
    folder : Path
        Where the arrays lie.
    height, width : int
        Size in pixels.
    scale, offset : tuple of float
        Per band: ``value * scale + offset`` is in the units of the model.
    train, validation : tuple of int
        Number of labelled pixels of each class for either use.
    """

    name: str
    folder: Path
    height: int
    width: int
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    train: tuple[int, ...]
    validation: tuple[int, ...]

    @property
    def image(self) -> np.ndarray:
        """Raw values, shape ``(bands, y, x)``."""
        return _open(self.folder / "image.npy")

    @property
    def valid(self) -> np.ndarray:
        """False where the scene has no data; bool, shape ``(y, x)``."""
        return _open(self.folder / "valid.npy")

    def labels(self, role: str) -> np.ndarray:
        """Class positions for ``train`` or ``validation``; uint8, shape ``(y, x)``, 255 = ignore."""
        return _open(self.folder / f"{role}.npy")

    def window(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Read values in the units of the model, the scene continued by reflection at its borders.

        Returns
        -------
        image : numpy.ndarray
            float32, shape ``(bands, height, width)``.
        valid : numpy.ndarray
            bool, shape ``(height, width)``.
        """
        scale = np.array(self.scale, dtype=np.float32)[:, None, None]
        offset = np.array(self.offset, dtype=np.float32)[:, None, None]
        values = cut(self.image, window).astype(np.float32)
        return values * scale + offset, cut(self.valid, window)


def _open(path: Path) -> np.ndarray:
    return np.load(path, mmap_mode="r", allow_pickle=False)


def cut(array: np.ndarray, window: Window) -> np.ndarray:
    """Copy a window out of the last two dimensions, continued by reflection at the borders."""
    height, width = array.shape[-2:]
    if window.intersect(Window(0, 0, height, width)) == window:
        return np.array(array[(..., *window.slices)])
    rows = reflect(window.row, window.row_stop, height)
    columns = reflect(window.col, window.col_stop, width)
    # Read the enclosing rectangle first: fancy indexing on a memory map touches it element by element.
    part = np.array(array[..., rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])
    return part[..., (rows - rows.min())[:, None], columns - columns.min()]


def find_pairs(recipe: Recipe) -> list[Pair]:
    """List the scenes and label files of a recipe, in the order of the recipe and of their names.

    Raises
    ------
    RecipeError
        Where a pattern matches nothing or a label file is missing.
    """
    pairs = []
    for number, source in enumerate(recipe.sources):
        found = [path for pattern in source.patterns for path in _match(recipe.data_root, pattern, number)]
        for scene in [tuple(found)] if source.stack else [(path,) for path in found]:
            named = source.labels.replace("{stem}", scene[0].stem).replace("{folder}", str(scene[0].parent))
            labels = recipe.data_root / named
            if not labels.is_file():
                raise RecipeError(
                    f"sources.{number}.labels", f"{labels} does not exist", f"it belongs to {scene[0]}"
                )
            pairs.append(Pair(scene=scene, labels=labels, source=source))
    return pairs


def _match(root: Path, pattern: str, number: int) -> list[Path]:
    if Path(pattern).is_absolute():
        root, pattern = Path("/"), pattern.lstrip("/")
    found = sorted(root.glob(pattern))
    if not found:
        raise RecipeError(
            f"sources.{number}.scenes",
            f"nothing matches {pattern!r} in {root}",
            "set data_root or the pattern",
        )
    return found


def folders(recipe: Recipe, role: str) -> list[str]:
    """Folders with scenes for a role, ``train`` or ``validation``, relative to the data root."""
    pairs = [pair for pair in find_pairs(recipe) if pair.source.role in (role, "auto")]
    return sorted({os.path.relpath(pair.scene[0].parent, recipe.data_root) for pair in pairs})


def decode(recipe: Recipe, folder: Path, *, gap: int) -> list[Plot]:
    """Decode every scene of a recipe into `folder`.

    Parameters
    ----------
    recipe : Recipe
        What to read.
    folder : Path
        Receives one folder per scene; the caller removes it.
    gap : int
        Pixels between training and validation blocks where the recipe does not say.

    Raises
    ------
    RecipeError, SceneError, MismatchError
        Where files are missing, cannot be read or do not fit the recipe.
    """
    pairs = find_pairs(recipe)
    plots = [_decode_pair(pair, recipe, folder / f"{number:05d}", gap) for number, pair in enumerate(pairs)]
    for role, counts in (
        ("training", [plot.train for plot in plots]),
        ("validation", [plot.validation for plot in plots]),
    ):
        if not np.sum(counts):
            raise RecipeError(
                f"recipe {recipe.name}",
                f"no labelled pixel is left for {role}",
                "check `from` of the classes",
            )
    return plots


def _decode_pair(pair: Pair, recipe: Recipe, folder: Path, gap: int) -> Plot:
    folder.mkdir(parents=True)
    scene = _fitting(pair, recipe)
    height, width = scene.sizes["y"], scene.sizes["x"]
    image = _create(folder / "image.npy", scene.shape, scene.dtype)
    valid = _create(folder / "valid.npy", (height, width), np.dtype(bool))
    labels = _create(folder / "labels.npy", (height, width), np.dtype(np.uint8))
    mask = valid_mask(scene)
    background = None if pair.source.background is None else recipe.position(pair.source.background)
    with open_labels(
        pair.labels,
        _grid(scene),
        mapping=recipe.mapping,
        attribute=pair.source.attribute,
        background=background,
    ) as reader:
        for window in strips(height, width):
            rows = window.slices[0]
            # Together, so that each block of the file is decoded once.
            image[:, rows], valid[rows] = dask.compute(scene.isel(y=rows).data, mask.isel(y=rows).data)
            labels[rows] = np.where(valid[rows], reader.read(window), IGNORE)
    _share(folder, pair.source.role, labels, recipe, gap)
    classes = len(recipe.classes)
    # A model of digital numbers takes them as they are, whatever scale the file names.
    scaled = recipe.units == "reflectance"
    return Plot(
        name=str(scene.name),
        folder=folder,
        height=height,
        width=width,
        scale=tuple(float(value) if scaled else 1.0 for value in per_band(scene, "scale")),
        offset=tuple(float(value) if scaled else 0.0 for value in per_band(scene, "offset")),
        train=_count(folder / "train.npy", classes),
        validation=_count(folder / "validation.npy", classes),
    )


def _fitting(pair: Pair, recipe: Recipe) -> xr.DataArray:
    """Open a scene with the bands of the recipe; refused where the model would refuse it later."""
    source = pair.source
    paths: Any = list(pair.scene) if len(pair.scene) > 1 else pair.scene[0]
    scene = open_scene(
        paths,
        bands=source.bands,
        scale=source.scale,
        sensor=source.sensor,
        crs=source.crs,
        ungeoreferenced=source.ungeoreferenced,
    )
    try:
        check_fit(scene, make_spec(recipe))
    except MismatchError as error:
        raise MismatchError(
            f"scene {pair.scene[0]}",
            error.cause,
            "set bands, scale or sensor of the source",
        ) from error
    return select_bands(scene, recipe.bands)


def _grid(scene: xr.DataArray) -> GeoBox:
    box = scene.odc.geobox
    if box is None or box.crs is None:
        return GeoBox((scene.sizes["y"], scene.sizes["x"]), Affine.identity(), None)
    return box


def _share(folder: Path, role: str, labels: np.ndarray, recipe: Recipe, gap: int) -> None:
    """Write the labels of either use; for role auto by spatial blocks."""
    height, width = labels.shape
    (folder / "labels.npy").rename(folder / f"{'validation' if role == 'validation' else 'train'}.npy")
    if role != "auto":
        return
    block = recipe.split.block
    gap = gap if recipe.split.gap is None else recipe.split.gap
    counts = block_counts(labels, block, len(recipe.classes))
    chosen = choose_blocks(counts, recipe.split.validation, recipe.seed)
    if not chosen.any():
        raise RecipeError(
            f"recipe {recipe.name}",
            f"a scene of {height} x {width} pixels cannot be divided into blocks of {block}",
            "set split.block smaller, or roles 'train' and 'validation'",
        )
    held_out = _create(folder / "validation.npy", labels.shape, labels.dtype)
    for window in strips(height, width):
        rows = window.slices[0]
        inside = near_blocks(chosen, block, 0, rows, width)
        near = near_blocks(chosen, block, gap, rows, width)
        held_out[rows] = np.where(inside, labels[rows], IGNORE)
        labels[rows] = np.where(near, IGNORE, labels[rows])


def training_strips(plots: Iterable[Plot]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield pixels (bands, y, x), mask and labels (y, x) of plots with training labels, strip by strip."""
    for plot in plots:
        if sum(plot.train):
            labels = plot.labels("train")
            for window in strips(plot.height, plot.width):
                yield *plot.window(window), np.asarray(labels[window.slices])


def strips(height: int, width: int) -> Iterator[Window]:
    """Yield windows of whole rows that partition a scene."""
    for row in range(0, height, _STRIP):
        yield Window(row, 0, min(_STRIP, height - row), width)


def _create(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.lib.format.open_memmap(path, mode="w+", shape=shape, dtype=dtype)


def _count(path: Path, classes: int) -> tuple[int, ...]:
    if not path.exists():
        return (0,) * classes
    labels = _open(path)
    total = np.zeros(IGNORE + 1, dtype=np.int64)
    for window in strips(*labels.shape):
        total += np.bincount(labels[window.slices].ravel(), minlength=IGNORE + 1)
    return tuple(int(n) for n in total[:classes])
