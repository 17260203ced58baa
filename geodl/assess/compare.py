"""A map against a reference: one confusion matrix, filled window by window."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from geodl.assess.confusion import Accuracy, accuracy, confusion_matrix
from geodl.assess.labels import IGNORE, Mapped, open_labels
from geodl.assess.names import class_names
from geodl.errors import SceneError
from geodl.scene.safety import driver_of, gdal_watched, local_file, open_raster
from geodl.tiles import Window

if TYPE_CHECKING:
    from rich.table import Table

_SIDE = 2048
"""Side of the windows in pixels: 4 MB of map and 32 MB of warped reference at a time."""


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """How well a map agrees with a reference.

    Parameters
    ----------
    map, reference : str
        The files compared.
    values : tuple of int
        Raster value of each class, in the order of the matrix.
    matrix : numpy.ndarray
        Pixels by reference class (rows) and map class (columns); int64.
    accuracy : Accuracy
        What follows from the matrix; names the classes.
    """

    map: str
    reference: str
    values: tuple[int, ...]
    matrix: np.ndarray
    accuracy: Accuracy

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "map": self.map,
            "reference": self.reference,
            **self.accuracy.to_dict(),
            "values": list(self.values),
            "matrix": self.matrix.tolist(),
        }

    def to_text(self, width: int = 110) -> str:
        """Return the accuracy by class and the confusion matrix as tables of plain characters."""
        from rich.console import Console

        console = Console(width=width, file=io.StringIO(), record=True, color_system=None)
        console.print(_accuracy_table(self.accuracy), _matrix_table(self), sep="\n")
        return console.export_text().rstrip()

    def save_png(self, path: str | Path) -> None:
        """Draw the matrix, each row as shares of its reference class, into a PNG file."""
        _draw_matrix(Path(path), self)


def assess(
    map_path: str | Path,
    reference: str | Path,
    *,
    attribute: str | None = None,
    background: int | None = None,
    mapping: Mapped | None = None,
    names: Mapping[int, str] | None = None,
) -> Assessment:
    """Compare a class map with reference labels.

    Parameters
    ----------
    map_path : str or Path
        Class raster; 255 and its nodata value are left out.
    reference : str or Path
        Raster or vector file in any CRS and pixel size; it is read on the grid of the map, a raster
        by nearest neighbour, polygons where they cover a pixel's centre.
    attribute : str, optional
        Column of a vector file that holds the class.
    background : int, optional
        Class of pixels outside all polygons; by default they are left out.
    mapping : mapping, optional
        From what the reference holds (values, colours ``"#rrggbb"``, words) to values of the map;
        whatever it does not name is left out. By default the values are the same.
    names : mapping, optional
        Class names by value; by default those of the attribute table beside the map.

    Raises
    ------
    SceneError
        A file cannot be read, or the two have no labelled pixel in common.
    """
    path = local_file(map_path)
    named = class_names(path) if names is None else dict(names)
    matrix = np.zeros((IGNORE, IGNORE), dtype=np.int64)
    with gdal_watched(), open_raster(path, driver_of(path)) as source:
        if np.dtype(source.dtypes[0]).kind not in "iu":
            raise SceneError(f"map {path}", f"holds {source.dtypes[0]} values", "give a map of classes")
        grid = _grid(source)
        with open_labels(
            reference, grid, mapping=mapping, attribute=attribute, background=background
        ) as labels:
            for window in _windows(source.height, source.width):
                matrix += confusion_matrix(labels.read(window), _read_classes(source, window), IGNORE)
    if not matrix.any():
        raise SceneError(
            f"map {path}",
            f"no pixel has a class in both the map and {reference}",
            "check that they overlap and that --mapping names the values of the reference",
        )
    occurring = set(np.flatnonzero(matrix.any(axis=0) | matrix.any(axis=1)).tolist())
    values = sorted(occurring | {value for value in named if value < IGNORE})
    matrix = matrix[np.ix_(values, values)]
    return Assessment(
        map=str(map_path),
        reference=str(reference),
        values=tuple(values),
        matrix=matrix,
        accuracy=accuracy(matrix, [named.get(value, str(value)) for value in values]),
    )


def _grid(source: Any) -> GeoBox:
    if source.crs is None:
        return GeoBox(source.shape, Affine.identity(), None)
    return GeoBox(source.shape, source.transform, source.crs.to_wkt())


def _windows(height: int, width: int) -> Iterator[Window]:
    for row in range(0, height, _SIDE):
        for column in range(0, width, _SIDE):
            yield Window(row, column, min(_SIDE, height - row), min(_SIDE, width - column))


def _read_classes(source: Any, window: Window) -> np.ndarray:
    """Classes of the map as uint8; 255 where nodata or out of range."""
    rows, columns = window.slices
    values = source.read(1, window=((rows.start, rows.stop), (columns.start, columns.stop)))
    known = (values >= 0) & (values < IGNORE)
    if source.nodata is not None:
        known &= values != source.nodata
    return np.where(known, values, IGNORE).astype(np.uint8)


def _percent(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.1f}"


def _accuracy_table(found: Accuracy) -> "Table":
    from rich.table import Table

    shown = Table(
        title="Accuracy in %",
        caption=(
            f"{found.pixels:,} pixels: overall {_percent(found.overall)}, mean IoU "
            f"{_percent(found.mean_iou)}, mean F1 {_percent(found.mean_f1)}, kappa {found.kappa:.3f}"
        ),
    )
    shown.add_column("class")
    for heading in ("reference pixels", "precision", "recall", "F1", "IoU"):
        shown.add_column(heading, justify="right")
    for c in found.classes:
        numbers = (_percent(number) for number in (c.precision, c.recall, c.f1, c.iou))
        shown.add_row(_plain(c.name), f"{c.pixels:,}", *numbers)
    return shown


def _matrix_table(found: Assessment) -> "Table":
    from rich.table import Table

    shown = Table(title="Pixels: reference in rows, map in columns")
    names = [_plain(c.name) for c in found.accuracy.classes]
    shown.add_column("")
    for name in names:
        shown.add_column(name, justify="right")
    for name, row in zip(names, found.matrix.tolist(), strict=True):
        shown.add_row(name, *(f"{count:,}" for count in row))
    return shown


def _plain(name: str) -> str:
    """Class names come from files: square brackets are no markup, control characters are dropped."""
    return "".join(c for c in name if c.isprintable()).replace("[", r"\[")


def _draw_matrix(path: Path, found: Assessment) -> None:
    from matplotlib.figure import Figure  # without pyplot: no window system, no global state

    count = len(found.values)
    totals = found.matrix.sum(axis=1, keepdims=True)
    shares = np.divide(found.matrix, totals, out=np.zeros(found.matrix.shape), where=totals > 0)
    # Dollar signs would start mathematics.
    names = [c.name.replace("$", r"\$") for c in found.accuracy.classes]
    side = 2.5 + 0.6 * count
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(count), names, rotation=45, ha="right")
    axes.set_yticks(range(count), names)
    axes.set(xlabel="map", ylabel="reference")
    axes.set_title(
        f"overall {_percent(found.accuracy.overall)} %, mean IoU {_percent(found.accuracy.mean_iou)} %",
        fontsize=10,
    )
    for row, column in np.ndindex(count, count):
        color = "white" if shares[row, column] > 0.5 else "black"
        text = f"{100 * shares[row, column]:.0f}"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
    figure.colorbar(image, label="share of the row", shrink=0.8)
    figure.savefig(path, dpi=110)
