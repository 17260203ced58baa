"""How far one date lies off another, and the later date put into its place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from geodl.alignment.blocks import MOST, BlockShifts, measure_blocks
from geodl.alignment.consensus import agree
from geodl.alignment.dates import dates_of, refuse_other_grid
from geodl.alignment.field import Field, agreement_field, constant_field, smooth_field
from geodl.alignment.warp import Move
from geodl.alignment.window import Pixels, free_value, raster_of, remade
from geodl.errors import OptionError
from geodl.scene.adopt import as_scene
from geodl.scene.grid import Grid, pixel_size_metres
from geodl.tiles import Window

MODES = ("shift", "field")
REACH = 8  # pixels
BEND = 2.0  # pixels


@dataclass(frozen=True, kw_only=True)
class Registration:
    """Where the content of the earlier date lies at the later one, in pixels of their grid."""

    mode: str
    field: Field
    """Layers dy (rows, down) and dx (columns, to the right): what lies at (row, column) before lies at
    (row + dy, column + dx) after."""
    blocks: BlockShifts
    """What was measured."""
    used: np.ndarray
    """bool (block rows, block columns): blocks that the field is made of."""
    shift: tuple[float, float]
    """dy, dx that most blocks agree on."""
    spread: float
    """Robust standard deviation of the blocks around it, in pixels."""
    grid: Grid
    place: xr.DataArray
    """A raster of the grid, which lends its coordinates."""
    names: tuple[str, str]
    """Of both scenes."""

    def apply(self, after: xr.DataArray) -> xr.DataArray:
        """Put the later date into its place, lazily.

        Returns
        -------
        xarray.DataArray
            As `after`: same bands, dtype, units and grid; no data where its content would come from beyond
            the scene. The value of a pixel depends on the pixels around its place alone.

        Raises
        ------
        SceneError
            `after` lies on another grid.
        """
        after = as_scene(after)
        refuse_other_grid(self.grid, after, self.names[0])
        fill = free_value(after)
        kept = fill if fill is not None and after.dtype.kind in "iu" else None
        return remade(after, Move(field=self.field, fill=kept))

    @property
    def quality(self) -> xr.DataArray:
        """Lazy raster (y, x), 0 to 1: how well the blocks around agree with the field; 0 where none does."""
        quality = agreement_field(self.blocks, self.used)
        return raster_of((), Spread(field=quality), "float32", float("nan"), place=self.place).rename(
            "registration_quality"
        )

    @property
    def table(self) -> xr.Dataset:
        """The field and the measurements at the blocks.

        Variables (y, x): `dy`, `dx` of the field in pixels, `dy_metres`, `dx_metres` where the grid has a CRS
        (down and to the right, along the pixel axes), `block_dy`, `block_dx` as measured, `coherence`
        (0 to 1), `used`; coordinates are those of the middles of the blocks.
        """
        rows, columns = self.blocks.rows, self.blocks.columns
        shape = (len(rows), len(columns))
        dy, dx = np.broadcast_to(self.field.array, (2, *shape)) if self.mode == "shift" else self.field.array
        fields = {"dy": dy, "dx": dx, "block_dy": self.blocks.dy, "block_dx": self.blocks.dx}
        size = pixel_size_metres(self.grid)
        if size is not None:
            fields |= {"dy_metres": dy * size[1], "dx_metres": dx * size[0]}
        fields |= {"coherence": self.blocks.coherence, "used": self.used}
        transform = self.grid.transform
        y = [(transform @ (0.0, float(row)))[1] for row in rows]
        x = [(transform @ (float(column), 0.0))[0] for column in columns]
        return xr.Dataset({name: (("y", "x"), a) for name, a in fields.items()}, coords={"y": y, "x": x})

    def report(self) -> dict[str, Any]:
        """Say as JSON what was found.

        `shift` and `largest` in pixels (`shift_metres` where the grid has a CRS), as (dy, dx): down and to
        the right; `spread` is the robust standard deviation of the blocks.
        """
        size, farthest = pixel_size_metres(self.grid), np.abs(self.field.array).max(axis=(1, 2))
        return {
            "mode": self.mode,
            "shift": [round(part, 3) for part in self.shift],
            "shift_metres": None
            if size is None
            else [round(self.shift[0] * size[1], 3), round(self.shift[1] * size[0], 3)],
            "largest": [round(float(part), 3) for part in farthest],
            "spread": round(self.spread, 3),
            "blocks": int(self.blocks.dy.size),
            "reliable": int(self.blocks.reliable.sum()),
            "used": int(self.used.sum()),
            "coherence": round(float(np.median(self.blocks.coherence[self.used])), 3),
        }


def register(
    before: xr.DataArray,
    after: xr.DataArray,
    mode: str = "shift",
    *,
    bands: list[str] | None = None,
    reach: int = REACH,
    bend: float = BEND,
    most: int = MOST,
) -> Registration:
    """Measure how far the later date lies off the earlier one.

    The shift of each of many small blocks is measured by orientation correlation, see
    `geodl.alignment.correlation`; what most of them agree on is taken, so blocks with change, cloud or
    water fall out. Blocks are read one by one: memory does not grow with the scene.

    Parameters
    ----------
    before, after : xarray.DataArray
        Lazy scenes (band, y, x) on one grid, such as the dates of `geodl.open_pair`.
    mode : str
        ``"shift"``: one for the whole scene. ``"field"``: one that changes smoothly from place to place, as
        over mountains or between mosaics.
    bands : list of str, optional
        Which to compare; by default all that both have.
    reach : int
        Largest shift that is looked for, in pixels: 2 to 16.
    bend : float
        Pixels that a field may differ from the common shift.
    most : int
        Blocks along a side that are measured at the most; fewer take less time and see less.

    Returns
    -------
    Registration

    Raises
    ------
    SceneError
        The grids differ, or there is no shift that blocks agree on.
    OptionError
        An option has a value that cannot be used.
    """
    if mode not in MODES:
        raise OptionError(f"--coregister {mode}", "unknown", f"use {' or '.join(MODES)}")
    if not 2 <= reach <= 16:
        raise OptionError(f"reach {reach}", "is not 2 to 16 pixels", f"give {REACH}, for example")
    dates = dates_of(before, after, bands)
    blocks = measure_blocks(dates, reach, most)
    agreement = agree(blocks, reach, bend if mode == "field" else None)
    if mode == "field":
        field, used = smooth_field(blocks, agreement, bend)
    else:
        field, used = constant_field(agreement.dy, agreement.dx), agreement.used
    return Registration(
        mode=mode,
        field=field,
        blocks=blocks,
        used=used,
        shift=(agreement.dy, agreement.dx),
        spread=agreement.spread,
        grid=dates.grid,
        place=dates.before.isel(band=0, drop=True),
        names=(str(dates.before.name), str(dates.after.name)),
    )


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Spreads the one layer of a field over pixels."""

    field: Field

    @property
    def halo(self) -> int:
        """None."""
        return 0

    def select(self, positions: list[int]) -> "Spread":  # noqa: ARG002 - there is one band
        """Return the same."""
        return self

    def __call__(self, sources: Sequence[Pixels], window: Window) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG002
        """Evaluate the field over a window."""
        shape = (window.height, window.width)
        return np.broadcast_to(self.field.at(*window.slices), (1, *shape)), np.ones(shape, bool)
