"""What a worker is given, and what it gives back."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import xarray as xr

from geodl.match import Scaling, scaling_of
from geodl.models.bundle import Model
from geodl.models.spec import NODATA_CLASS
from geodl.tiles import CHUNK, Block, Lattice, Window


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything a worker needs to compute any block of one scene.

    Parameters
    ----------
    scene : xarray.DataArray
        Lazy, dims (band, y, x), bands in the order of the model.
    model : Model
        What to run; the network itself is loaded once per worker process.
    device : str
        ``"cpu"`` or ``"cuda"``, resolved.
    precision : str
        ``"fp32"`` or ``"bf16"``, resolved.
    batch : int
        Tiles per forward pass on a GPU; changes speed and memory only.
    cell : tuple of int
        Rows and columns of a cell of the lattice, at most.
    strip : int or None
        Rows that the network is fed at a time where it runs as a stream of rows; None where it runs over
        tiles.
    probabilities : bool
        Whether pieces carry the probability of every class.
    phase : tuple of int
        Shift of the lattice, see `Lattice`.
    chunk : int
        Pixels; smaller cells are stored in groups of about this side.
    """

    scene: xr.DataArray
    model: Model
    device: str
    precision: str
    batch: int
    cell: tuple[int, int]
    strip: int | None = None
    probabilities: bool = False
    phase: tuple[int, int] = (0, 0)
    chunk: int = CHUNK

    @cached_property
    def lattice(self) -> Lattice:
        """The cells over the scene."""
        spec, size = self.model.spec, (self.scene.sizes["y"], self.scene.sizes["x"])
        if spec.stitch == "blend":  # the network looks at the whole tile, whose size matters
            lattice = Lattice(*size, self.cell, spec.halo)
        else:
            lattice = Lattice.even(*size, core=self.cell, halo=spec.halo, stride=spec.stride)
            if self.strip is not None:  # its rows cost the same anyway: those of the cells suit the files
                lattice = replace(lattice, core=(self.cell[0], lattice.core[1]))
        rows, cols = self.phase
        shifted = replace(lattice, phase=(rows % lattice.core[0], cols % lattice.core[1]))
        return shifted if self.strip is not None else shifted.grouped(self.chunk)

    @cached_property
    def scaling(self) -> Scaling:
        """From the scene's digital numbers to the input of the network."""
        return scaling_of(self.scene, self.model.spec)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """The map over one chunk of the lattice.

    Parameters
    ----------
    chunk : Block
        Which cells.
    classes : numpy.ndarray
        uint8 class values, shape (height, width); 255 where the scene is not valid.
    confidence : numpy.ndarray
        float32 probability of that class; NaN where the scene is not valid.
    probability : numpy.ndarray or None
        float32, shape (classes, height, width), if the job asks for it.
    """

    chunk: Block
    classes: np.ndarray
    confidence: np.ndarray
    probability: np.ndarray | None

    def put(
        self, window: Window, classes: np.ndarray, confidence: np.ndarray, probability: np.ndarray | None
    ) -> None:
        """Set the pixels of a window inside; `probability` counts only where the job asks for it."""
        inside = window.relative_to(self.chunk.window).slices
        self.classes[inside], self.confidence[inside] = classes, confidence
        if self.probability is not None and probability is not None:
            self.probability[(slice(None), *inside)] = probability

    def hide(self, valid: np.ndarray) -> None:
        """Mark as no data where `valid`, bool of shape (height, width), is not true."""
        if valid.all():
            return
        self.classes[~valid] = NODATA_CLASS
        self.confidence[~valid] = np.nan
        if self.probability is not None:
            self.probability[:, ~valid] = np.nan


def empty_piece(job: Job, chunk: Block) -> Piece:
    """Return a piece without data."""
    shape = (chunk.window.height, chunk.window.width)
    classes = len(job.model.spec.classes)
    return Piece(
        chunk=chunk,
        classes=np.full(shape, NODATA_CLASS, dtype=np.uint8),
        confidence=np.full(shape, np.nan, dtype=np.float32),
        probability=np.full((classes, *shape), np.nan, dtype=np.float32) if job.probabilities else None,
    )
