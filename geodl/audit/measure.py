"""A scene is mapped over two tilings, and the two maps are compared part by part.

The first map is the one that `geodl predict` makes. The second one always comes from tiles whose borders
lie half a cell away from those of the first, or, where the first is a stream of rows, half a cell away from
the scene's origin. Tiles rather than a shifted stream: a stream has borders between its panels only, often
none at all, and what is wrong with a halo would show nowhere.

Both tilings are those of the whole scene, whatever the window: the pixels compared are pixels of the map.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from geodl.audit.picture import Picture
from geodl.audit.result import TOLERANCE, Audit
from geodl.block import Job, process_block
from geodl.errors import OptionError, ProductError
from geodl.models.bundle import Model
from geodl.predict import make_job
from geodl.tiles import Block, Lattice, Window

LARGEST = 4096  # pixels; side of the window that is compared where none is given
BAND = 128 * 1024**2  # bytes of the probabilities of one map that are kept at a time, at most


def audit(
    scene: xr.DataArray,
    model: Model | str,
    *,
    window: tuple[int, int, int, int] | None = None,
    tile: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    out: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Audit:
    """Map a scene over two tilings that are shifted against each other, and compare.

    Parameters
    ----------
    scene : xarray.DataArray
        Dims (band, y, x), from `geodl.open_scene`.
    model : Model or str
        As for `geodl.predict`.
    window : tuple of int, optional
        What to compare: first row and column, height and width; by default the whole scene up to
        4096 x 4096 pixels in all, else its middle.
    tile, device, precision
        As for `geodl.predict`. With a `tile`, both maps are made of tiles of that size.
    out : pathlib.Path, optional
        PNG to write: where the maps differ, over the scene.
    progress : callable, optional
        Called with (per cent done, 100).

    Raises
    ------
    MismatchError
        If scene and model do not fit.
    OptionError
        If an option has a value that cannot be used.
    ProductError
        If the picture cannot be written.
    """
    first = make_job(
        scene, model, layers=("class", "probability"), tile=tile, device=device, precision=precision
    )
    second = _shifted(first)
    part = _window_of(first.lattice, None if window is None else Window(*window))
    picture = None if out is None else Picture(first.scene, part)
    if out is not None and not out.parent.is_dir():
        raise ProductError(str(out), "there is no such folder", "make it, or choose another --out")
    found = _Differences()
    for columns in _columns(first.lattice, part):
        for ours, theirs in _pairs(_bands(first, columns), _bands(second, columns)):
            flips, difference = found.add(ours, theirs)
            if picture is not None:
                picture.add(ours.window, flips, difference > TOLERANCE)
            if progress is not None:
                progress(100 * found.seen // (part.height * part.width), 100)
    result = _result(first, second, part, found)
    if picture is not None and out is not None:
        picture.save(out, _borders(first), _borders(second), result.to_text().splitlines()[2:])
    return result


def _shifted(first: Job) -> Job:
    """Return the same job over tiles that are shifted by half a cell."""
    spec = first.model.spec
    tiles = first if first.strip is None else replace(first, cell=(spec.core, spec.core), strip=None)
    rows, cols = (size // 2 // spec.stride * spec.stride for size in tiles.lattice.core)
    if first.strip is None and not (rows or cols):
        raise OptionError(
            f"tiles of {tiles.lattice.tile[0]} pixels",
            f"they cannot be shifted by half of the {tiles.lattice.core[0]} pixels that they keep",
            f"audit with --tile {2 * (spec.halo + spec.stride)} or more, and a scene that is larger",
        )
    return replace(tiles, phase=(rows, cols))


def _window_of(lattice: Lattice, window: Window | None) -> Window:
    scene = lattice.scene
    if window is not None:
        inside = window.intersect(scene)
        if not (inside.height and inside.width):
            asked = f"--window {window.row} {window.col} {window.height} {window.width}"
            cause = f"it holds no pixel of a scene of {scene.height} x {scene.width}"
            raise OptionError(asked, cause, "give ROW COL HEIGHT WIDTH inside it")
        return inside
    if scene.height * scene.width <= LARGEST**2:
        return scene
    height, width = min(scene.height, LARGEST), min(scene.width, LARGEST)
    return Window((scene.height - height) // 2, (scene.width - width) // 2, height, width)


@dataclass(frozen=True, kw_only=True)
class _Band:
    """Rows of a map: classes (height, width), and probability (classes, height, width)."""

    window: Window
    classes: np.ndarray
    probability: np.ndarray

    def cut(self, row: int, stop: int) -> "_Band":
        """Return the rows ``row..stop`` of the scene."""
        window = Window(row, self.window.col, stop - row, self.window.width)
        rows, _ = window.relative_to(self.window).slices
        return _Band(window=window, classes=self.classes[rows], probability=self.probability[:, rows])


def _cells_over(lattice: Lattice, window: Window) -> Block:
    """Return the block of the cells that a window touches."""
    starts, stops = (window.row, window.col), (window.row_stop, window.col_stop)
    top, left = ((n + by) // size for n, by, size in zip(starts, lattice.phase, lattice.core, strict=True))
    bottom, right = (
        (n - 1 + by) // size + 1 for n, by, size in zip(stops, lattice.phase, lattice.core, strict=True)
    )
    return lattice.block(top, bottom, left, right)


def _columns(lattice: Lattice, window: Window) -> list[Window]:
    """Cut a window into stretches of columns, of whole cells: what is kept does not grow with the scene."""
    cells = _cells_over(lattice, window)
    top, bottom, _, _ = cells.cells
    parts = lattice.split(cells, bottom - top, max(1, LARGEST // lattice.core[1]))
    return [part.window.intersect(window) for part in parts]


def _bands(job: Job, window: Window) -> Iterator[_Band]:
    """Map a window from top to bottom, in bands that end where cells do."""
    cells = _cells_over(job.lattice, window)
    row_bytes = 4 * len(job.model.spec.classes) * window.width
    rows = max(1, BAND // row_bytes // job.lattice.core[0])
    for block in job.lattice.split(cells, rows, cells.cells[3] - cells.cells[2]):
        yield _band(job, block, block.window.intersect(window))


def _band(job: Job, block: Block, window: Window) -> _Band:
    shape = (window.height, window.width)
    band = _Band(
        window=window,
        classes=np.empty(shape, dtype=np.uint8),
        probability=np.empty((len(job.model.spec.classes), *shape), dtype=np.float32),
    )
    for piece in process_block(job, block):
        common = piece.chunk.window.intersect(window)
        to, at = common.relative_to(window).slices, common.relative_to(piece.chunk.window).slices
        band.classes[to] = piece.layers["class"][at]
        band.probability[(slice(None), *to)] = piece.layers["probability"][(slice(None), *at)]
    return band


def _pairs(first: Iterator[_Band], second: Iterator[_Band]) -> Iterator[tuple[_Band, _Band]]:
    """Cut the bands of two maps of one window to the rows that they have in common."""
    ours, theirs = next(first, None), next(second, None)
    while ours is not None and theirs is not None:
        row = max(ours.window.row, theirs.window.row)
        stop = min(ours.window.row_stop, theirs.window.row_stop)
        yield ours.cut(row, stop), theirs.cut(row, stop)
        if theirs.window.row_stop == stop:
            theirs = next(second, None)
        if ours.window.row_stop == stop:
            ours = next(first, None)


@dataclass(kw_only=True)
class _Differences:
    """The sum of what was compared so far; `seen` counts all pixels, `pixels` those that are valid."""

    seen: int = 0
    pixels: int = 0
    total: float = 0.0
    largest: float = 0.0
    place: tuple[int, int] | None = None
    differing: int = 0
    flips: int = 0

    def add(self, ours: _Band, theirs: _Band) -> tuple[np.ndarray, np.ndarray]:
        """Compare, and return where classes differ and by how much probabilities do."""
        valid = np.isfinite(ours.probability[0])
        flips = ours.classes != theirs.classes
        difference = np.zeros(valid.shape, dtype=np.float32)
        for one, other in zip(ours.probability, theirs.probability, strict=True):
            np.maximum(difference, np.abs(one - other), out=difference)
        difference[~valid] = 0
        self.seen += valid.size
        self.pixels += int(valid.sum())
        self.total += float(difference.sum(dtype=np.float64))
        self.differing += int((difference > TOLERANCE).sum())
        self.flips += int(flips.sum())
        row, column = (int(i) for i in np.unravel_index(difference.argmax(), difference.shape))
        if difference[row, column] > self.largest:
            self.largest = float(difference[row, column])
            self.place = ours.window.row + row, ours.window.col + column
        return flips, difference


def _result(first: Job, second: Job, window: Window, found: _Differences) -> Audit:
    spec, geobox = first.model.spec, first.scene.odc.geobox
    coordinates = None
    if found.place is not None and geobox is not None:
        x, y = geobox.affine * (found.place[1] + 0.5, found.place[0] + 0.5)
        coordinates = float(x), float(y)
    return Audit(
        scene=str(first.scene.name),
        model=spec.name,
        device=first.device,
        precision=first.precision,
        stitch=spec.stitch,
        halo=spec.halo,
        streamed=first.strip is not None,
        tilings=(_in_words(first), _in_words(second)),
        window=window,
        pixels=found.pixels,
        largest=found.largest,
        mean=found.total / max(1, found.pixels),
        differing=found.differing,
        flips=found.flips,
        place=found.place,
        coordinates=coordinates,
        crs=_name_of(geobox.crs) if geobox is not None and geobox.crs is not None else None,
    )


def _name_of(crs: Any) -> str:
    return f"EPSG:{crs.epsg}" if crs.epsg else str(crs.proj.name)


def _in_words(job: Job) -> str:
    height, width = job.lattice.core
    if job.strip is not None:
        return f"a stream of rows in panels of {width} columns"
    seen = "blended over" if job.model.spec.stitch == "blend" else "seeing"
    tiles = f"tiles of {height} x {width} pixels, {seen} {job.lattice.halo} around them"
    return f"{tiles}, shifted by {job.phase[0]} x {job.phase[1]}" if any(job.phase) else tiles


def _borders(job: Job) -> tuple[list[int], list[int]]:
    """Rows and columns of the scene before which a cell begins; a stream has borders of columns only."""
    rows, cols = (
        list(range(size - by, length, size))
        for length, size, by in zip(
            (job.lattice.height, job.lattice.width), job.lattice.core, job.phase, strict=True
        )
    )
    return ([] if job.strip is not None else rows), cols
