"""What a worker is given, and what it gives back."""

from collections.abc import Mapping
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
    layers : tuple of str
        What pieces carry, of `geodl.task.LAYERS`.
    turned : bool
        Whether the probabilities are the mean over turned and mirrored views; over tiles only.
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
    layers: tuple[str, ...] = ("class", "confidence")
    turned: bool = False
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

    @property
    def novelty(self) -> bool:
        """Whether the network is to measure how far pixels lie from the training data."""
        return "novelty" in self.layers

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
    layers : dict
        By name, of shape (height, width), ``probability`` (classes, height, width). Where the scene is
        not valid ``class`` is 255 and the others are NaN.
    """

    chunk: Block
    layers: Mapping[str, np.ndarray]

    def put(self, window: Window, layers: Mapping[str, np.ndarray]) -> None:
        """Set the pixels of a window inside."""
        inside = window.relative_to(self.chunk.window).slices
        for name, array in self.layers.items():
            array[(..., *inside)] = layers[name]

    def hide(self, valid: np.ndarray) -> None:
        """Mark as no data where `valid`, bool of shape (height, width), is not true."""
        if valid.all():
            return
        for name, array in self.layers.items():
            array[..., ~valid] = _fill(name)


def empty_piece(job: Job, chunk: Block) -> Piece:
    """Return a piece without data."""
    shape = (chunk.window.height, chunk.window.width)
    classes = len(job.model.spec.classes)
    layers = {
        name: np.full(
            (classes, *shape) if name == "probability" else shape,
            _fill(name),
            dtype=np.uint8 if name == "class" else np.float32,
        )
        for name in job.layers
    }
    return Piece(chunk=chunk, layers=layers)


def _fill(name: str) -> float:
    return NODATA_CLASS if name == "class" else np.nan
