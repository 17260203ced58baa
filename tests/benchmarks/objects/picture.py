"""A scene with its truth in memory, and the files that are written of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import geopandas
import numpy as np
import rasterio
import shapely
from affine import Affine
from rasterio.features import rasterize, shapes

OUTSIDE = 255
"""Value of the truth raster where nobody knows what is there."""


class Files(NamedTuple):
    """A scene on disk."""

    scene: Path
    """GeoTIFF, uint8, red, green, blue, with a mask."""
    truth: Path
    """Polygons or lines."""
    surface: Path
    """GeoTIFF, uint8: 1 building or road, 0 not, `OUTSIDE`."""
    area: Path
    """Polygons: where the truth is known."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A georeferenced picture and what is really there.

    Parameters
    ----------
    pixels : uint8 array, shape (3, rows, columns)
        Red, green, blue.
    known : bool array, shape (rows, columns)
        Where there is a picture, and a truth.
    surface : bool array, shape (rows, columns)
        Buildings, or road surface.
    truth : GeoDataFrame
        Footprints or centrelines, in any CRS.
    transform : Affine
        Of the pixels.
    crs : str
        Of the pixels.
    """

    pixels: np.ndarray
    known: np.ndarray
    surface: np.ndarray
    truth: geopandas.GeoDataFrame
    transform: Affine
    crs: str

    def write(self, folder: Path) -> Files:
        """Write all files to a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        files = files_of(folder)
        _, rows, columns = self.pixels.shape
        profile = {
            "driver": "GTiff", "height": rows, "width": columns, "dtype": "uint8", "tiled": True,
            "compress": "deflate", "crs": self.crs, "transform": self.transform,
        }  # fmt: skip
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(files.scene, "w", count=3, photometric="RGB", **profile) as file,
        ):
            file.write(np.where(self.known, self.pixels, 0))
            file.write_mask(self.known)
        with rasterio.open(files.surface, "w", count=1, nodata=OUTSIDE, **profile) as file:
            file.write(np.where(self.known, self.surface, OUTSIDE).astype(np.uint8), 1)
        self.truth.geometry.to_frame("geometry").to_file(files.truth, layer="truth")
        area = outlines(self.known, self.transform, self.crs)
        area.to_file(files.area, layer="area")
        return files


def files_of(folder: Path) -> Files:
    """Say how the files of a folder are called."""
    return Files(*(folder / name for name in ("scene.tif", "truth.gpkg", "surface.tif", "area.gpkg")))


def outlines(mask: np.ndarray, transform: Affine, crs: str) -> geopandas.GeoDataFrame:
    """Make polygons of what hangs together by the sides of its pixels."""
    found = shapes(mask.astype(np.uint8), mask, connectivity=4, transform=transform)
    return geopandas.GeoDataFrame(geometry=[shapely.geometry.shape(shape) for shape, _ in found], crs=crs)


def drawn(geometry: geopandas.GeoSeries, shape: tuple[int, int], transform: Affine, crs: str) -> np.ndarray:
    """Tell which pixels' centres polygons cover: bool, of this shape."""
    return rasterize(geometry.to_crs(crs), shape, transform=transform, dtype="uint8") == 1
