"""What is held out of a scene: pixels inside validation areas, and pixels too near to one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import geopandas
import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize
from scipy.ndimage import maximum_filter

from geodl.assess.labels import VectorLabels
from geodl.tiles import Window
from geodl.training.split import near_blocks


class Marks(Protocol):
    """Validation areas of one scene; all results are bool of shape ``(height, width)``."""

    def inside(self, window: Window) -> np.ndarray:
        """Mark the pixels of a window of whole rows that are held out."""
        ...

    def near(self, window: Window, gap: int) -> np.ndarray:
        """Mark those and the pixels up to `gap` pixels from any that is held out."""
        ...


@dataclass(frozen=True, kw_only=True)
class BlockMarks:
    """Square blocks of a scene.

    Parameters
    ----------
    chosen : numpy.ndarray of bool
        The blocks held out, shape ``(block rows, block columns)``.
    block : int
        Side of a block in pixels.
    """

    chosen: np.ndarray
    block: int

    def inside(self, window: Window) -> np.ndarray:
        """Mark the pixels in chosen blocks."""
        return near_blocks(self.chosen, self.block, 0, window.slices[0], window.width)

    def near(self, window: Window, gap: int) -> np.ndarray:
        """Mark the pixels in chosen blocks and up to `gap` pixels from one."""
        return near_blocks(self.chosen, self.block, gap, window.slices[0], window.width)

    def outlines(self, grid: GeoBox, gap: int) -> geopandas.GeoSeries:
        """Polygons of the chosen blocks, `gap` pixels wider on every side, in the CRS of the scene's grid."""
        a, b, c, d, e, f = grid.affine[:6]
        rows, columns = np.nonzero(self.chosen)
        top, left = rows * self.block - gap, columns * self.block - gap
        bottom = np.minimum((rows + 1) * self.block, grid.shape[0]) + gap
        right = np.minimum((columns + 1) * self.block, grid.shape[1]) + gap
        boxes = shapely.box(left, top, right, bottom)
        shapes = shapely.transform(boxes, lambda xy: xy @ np.array([[a, d], [b, e]]) + (c, f))
        return geopandas.GeoSeries(shapes, crs=None if grid.crs is None else grid.crs.to_wkt())


@dataclass(frozen=True, kw_only=True)
class SharedGround:
    """Blocks of a scene whose ground also shows in other scenes, on other grids.

    What those hold out is not learnt from here either.

    Parameters
    ----------
    own : BlockMarks
        What this scene holds out.
    elsewhere : geopandas.GeoSeries
        What the others hold out, with the gap, in the CRS of this scene.
    grid : GeoBox
        The grid of this scene.
    """

    own: BlockMarks
    elsewhere: geopandas.GeoSeries
    grid: GeoBox

    def inside(self, window: Window) -> np.ndarray:
        """Mark what this scene holds out."""
        return self.own.inside(window)

    def near(self, window: Window, gap: int) -> np.ndarray:
        """Mark what is near to what any scene holds out."""
        near = self.own.near(window, gap)
        part = self.grid[window.slices]
        shapes = self.elsewhere.iloc[self.elsewhere.sindex.query(part.extent.geom)]
        if len(shapes):
            other = rasterize(shapes, near.shape, transform=part.affine, all_touched=True, dtype="uint8")
            near = near | (other == 1)
        return near


class PolygonMarks:
    """What lies inside the polygons of a file.

    Parameters
    ----------
    path : Path
        A vector file in any CRS.
    grid : GeoBox
        The grid of the scene.
    """

    def __init__(self, path: Path, grid: GeoBox) -> None:
        self._areas = VectorLabels(path, grid, background=0)
        self._whole = Window(0, 0, *grid.shape)

    def inside(self, window: Window) -> np.ndarray:
        """Mark the pixels whose centre a polygon covers."""
        return self._areas.read(window) == 1

    def near(self, window: Window, gap: int) -> np.ndarray:
        """Mark the pixels in polygons and up to `gap` pixels from one, along rows or columns."""
        around = Window(window.row - gap, window.col - gap, window.height + 2 * gap, window.width + 2 * gap)
        wide = around.intersect(self._whole)
        near = maximum_filter(self.inside(wide), size=2 * gap + 1, mode="constant", cval=False)
        return near[window.relative_to(wide).slices]


def with_neighbours(
    number: int, marks: Sequence[BlockMarks], grids: Sequence[GeoBox], neighbours: Sequence[int], gap: int
) -> Marks:
    """Return the marks of a scene, joined with those of scenes that show some of its ground.

    Parameters
    ----------
    number : int
        The scene.
    marks, grids : sequence of BlockMarks, sequence of GeoBox
        Of all scenes.
    neighbours : sequence of int
        The scenes that overlap with it on other grids.
    gap : int
        Pixels between training and validation.
    """
    own, grid = marks[number], grids[number]
    shapes = [marks[other].outlines(grids[other], gap) for other in neighbours]
    shapes = [each.to_crs(grid.crs.to_wkt()) for each in shapes if len(each) and grid.crs is not None]
    if not shapes:
        return own
    joined = geopandas.GeoSeries(np.concatenate([each.to_numpy() for each in shapes]), crs=shapes[0].crs)
    return SharedGround(own=own, elsewhere=joined, grid=grid)
