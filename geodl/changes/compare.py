"""Two class maps of one place compared: what became what, as a matrix, a raster and polygons.

Post-classification comparison: A. Singh, "Digital change detection techniques using remotely-sensed data",
International Journal of Remote Sensing 10, 1989, doi:10.1080/01431168908903939. Errors of both maps add up:
two maps of 90 % accuracy whose errors are independent agree rightly on 81 % of the pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from pyproj import CRS

from geodl.alignment.dates import Dates, dates_of
from geodl.changes.finish import write_rest
from geodl.changes.matrix import write_matrix
from geodl.changes.picture import draw_pair
from geodl.changes.product import (
    NAME,
    STILL,
    provenance_of,
    strips,
    times_of,
    without_small,
    write_change,
)
from geodl.changes.scores import gap_codes
from geodl.changes.transitions import Crossing, Transitions, transitions_of
from geodl.errors import OptionError, SceneError
from geodl.models.method import MethodSpec
from geodl.models.spec import NODATA_CLASS, ClassSpec
from geodl.publish import Product, RasterGrid, read_manifest, stage
from geodl.publish.triptych import title_of
from geodl.scene import open_pair
from geodl.task import TASKS
from geodl.tiles import Window
from geodl.vector import ClassRaster
from geodl.vector.area import PixelAreas, measurable
from geodl.vector.files import open_raster
from geodl.vector.source import class_raster


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A published comparison of two maps."""

    folder: Path
    transitions: Transitions
    on_earth: bool
    """Areas are square metres; else they are pixels."""
    polygons: int


def compare_maps(
    before: str | Path,
    after: str | Path,
    out: Path,
    *,
    grid: str = "before",
    dates: tuple[str | None, str | None] | None = None,
    crs: str | None = None,
    min_area: float = 0.0,
) -> Compared:
    """Compare two class maps and publish what became what as ``out/<name of the pair>``.

    Classes are brought together by name, grids by the nearest pixel; the common area is compared. The maps
    are read three times, strip by strip.

    Parameters
    ----------
    before, after : path
        GeoTIFFs of classes, the earlier one first, or folders of land cover products. Names and colours are
        read from the attribute table.
    out : pathlib.Path
        Folder of products.
    grid : str
        Whose pixels the result has: ``"before"``, ``"after"`` or ``"finer"``.
    dates : (str, str), optional
        When the maps show the place; by default as tags and names tell.
    crs : str, optional
        CRS of maps that do not name one.
    min_area : float
        Square metres below which patches of the raster and polygons go to what is around them; the matrix
        counts every pixel all the same.

    Raises
    ------
    SceneError
        A map cannot be read or holds no classes, only one of them names its classes, or they do not overlap.
    OptionError
        An option cannot be used.
    ProductError
        The product cannot be written; the folder is absent or still holds the previous product.
    """
    if not 0 <= min_area < float("inf"):
        raise OptionError(f"--min-area {min_area:g}", "it is not a number from 0 on", "give 0 or more")
    files = [map_file(Path(path)) for path in (before, after)]
    tables = _tables(files)
    pair = _opened(files, tables, grid=grid, dates=dates, crs=crs)
    both = dates_of(pair.isel(time=0), pair.isel(time=1))
    place = RasterGrid.of(both.before)
    crs_of = None if place.crs is None else CRS.from_user_input(place.crs)
    on_earth = crs_of is not None and measurable(crs_of)
    areas = PixelAreas(crs_of, place.transform, (place.height, place.width)) if on_earth and crs_of else None
    crossing = Crossing()
    for start, stop in strips(place.height):
        earlier, later = _read(both, start, stop)
        sizes = None if areas is None else areas.rows(start, stop).ravel()
        crossing.add(earlier.ravel(), later.ravel(), sizes)
    found = transitions_of(crossing, *tables)
    classes = (STILL, *(ClassSpec(value=c.code, name=c.name[:128], color=c.color) for c in found.changes))
    spec = MethodSpec(name="compare", title="Comparison of two class maps", task="change", classes=classes)
    method = {"name": spec.name, "title": spec.title, "task": spec.task}
    provenance = provenance_of(pair, method, {"grid": grid, "min_area": min_area, "crs": crs})
    raster = _raster(both, found, crs_of, place)
    with stage(out, str(pair.name), inputs=pair.attrs["source"]) as product:
        polygons = write_change(
            product,
            without_small(raster, min_area) if min_area else raster,
            both,
            classes=classes,
            provenance=provenance,
            times=times_of(pair),
        )
        write_matrix(product, found, on_earth=on_earth)
        largest_first = sorted(found.changes, key=lambda c: -c.area)
        legend = [classes[found.changes.index(change) + 1] for change in largest_first]
        _draw(product, pair, both, tables, legend)
        write_rest(product, pair, spec, provenance)
        folder = product.commit(provenance)
    return Compared(folder=folder, transitions=found, on_earth=on_earth, polygons=polygons)


def map_file(path: Path) -> Path:
    """Return the class map of a product folder; of a file the file.

    Raises
    ------
    SceneError
        The folder is no product with a class map of one date.
    """
    if not path.is_dir():
        return path
    rasters = [f"{task.raster}.tif" for task in TASKS.values() if task.dates == 1]
    listed = {row["path"] for row in (read_manifest(path) or {}).get("files", ())}
    found = [name for name in rasters if name in listed]
    if not found:
        raise SceneError(str(path), "is no product with a class map", "name a GeoTIFF of classes")
    return path / found[0]


def _tables(files: Sequence[Path]) -> tuple[tuple[ClassSpec, ...], tuple[ClassSpec, ...]]:
    """Return the classes of both maps; without names they go by their values."""
    for file in files:
        with open_raster(file) as dataset:
            if dataset.count > 1:
                raise SceneError(
                    f"map {file}", f"has {dataset.count} bands", "give a map of classes, which has one"
                )
    rasters = [class_raster(file) for file in files]
    named = [any(c.name != str(c.value) for c in raster.classes) for raster in rasters]
    if named[0] != named[1]:
        raise SceneError(
            f"map {files[named[0]]}",
            f"does not name its classes and {files[named[1]].name} does: they cannot be told to be the same",
            "give it an attribute table (QGIS: Create Raster Attribute Table), or leave it out of both",
        )
    return rasters[0].classes, rasters[1].classes


def _opened(
    files: Sequence[Path],
    tables: Sequence[Sequence[ClassSpec]],
    *,
    grid: str,
    dates: tuple[str | None, str | None] | None,
    crs: str | None,
) -> xr.DataArray:
    pair = open_pair(
        files[0], files[1], grid=grid, dates=dates, crs=crs, resampling="nearest", bands="class", scale="none"
    )
    told = [
        {**date, "classes": {str(c.value): c.name for c in table}}
        for date, table in zip(pair.attrs["dates"], tables, strict=True)
    ]
    # Maps of several runs are called alike: landcover.tif in the folder of the scene.
    stems = [_named(file) for file in files]
    name = pair.name if stems == [file.stem for file in files] else "_".join(stems)
    return pair.assign_attrs(dates=tuple(told)).rename(name)


def _named(file: Path) -> str:
    product = read_manifest(file.parent) is not None
    return file.absolute().parent.name if product else file.stem


def _read(dates: Dates, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    before, after = dates.read(Window(start, 0, stop - start, dates.grid.width))
    return before[0], after[0]


def _raster(dates: Dates, found: Transitions, crs: CRS | None, place: RasterGrid) -> ClassRaster:
    def read(start: int, stop: int) -> np.ndarray:
        before, after = _read(dates, start, stop)
        gaps = gap_codes(before[None], after[None])
        return np.where(gaps, gaps, found.codes(before, after))

    return ClassRaster(
        shape=(place.height, place.width), crs=crs, transform=place.transform, nodata=NODATA_CLASS, read=read
    )


def _draw(
    product: Product,
    pair: xr.DataArray,
    dates: Dates,
    tables: Sequence[Sequence[ClassSpec]],
    legend: Sequence[ClassSpec],
) -> None:
    changes = class_raster(product.path(f"{NAME}.tif"))

    def strip(start: int, stop: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        before, after = _read(dates, start, stop)
        return (_painted(before, tables[0]), _painted(after, tables[1])), changes.read(start, stop)

    before, after = (title_of(date) for date in pair.attrs["dates"])
    titles = (before, after, TASKS["change"].title)
    draw_pair(
        strip,
        changes.shape,
        product.path(f"{NAME}.png"),
        titles=titles,
        legend=legend,
        finished=True,
    )


def _painted(values: np.ndarray, table: Sequence[ClassSpec]) -> np.ndarray:
    """Return the colours of a map, 0 to 1, shape (rows, columns, 3); NaN without data."""
    image = np.where(np.isfinite(values), 0.5, np.nan).astype(np.float32)[..., None].repeat(3, axis=-1)
    for c in table:
        image[values == c.value] = np.array(c.rgb) / 255
    return image
