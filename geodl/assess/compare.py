"""A map against a reference: everything that is counted, in one pass window by window."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from geodl.assess.boundary import Tolerance
from geodl.assess.calibration import ConfidenceMap, open_confidence
from geodl.assess.classmap import ClassMap, open_map, windows
from geodl.assess.counts import Counts
from geodl.assess.labels import VECTOR_SUFFIXES, Mapped, open_labels
from geodl.assess.result import Assessment
from geodl.errors import OptionError, SceneError

_SIDE = 2048
"""Side of the windows in pixels: 4 MB of map and 32 MB of warped reference at a time."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How to read a reference, and what to compare.

    Parameters
    ----------
    attribute : str, optional
        Column of a vector file that holds the class.
    background : int, optional
        Class of pixels outside all polygons and lines; by default they are left out.
    mapping : mapping, optional
        From what the reference holds (values, colours ``"#rrggbb"``, words) to values of the map;
        whatever it does not name is left out. By default the values are the same.
    width : float or str, optional
        Width of lines in metres, or the column that holds it.
    boundary : str, optional
        Tolerance for the boundary IoU in pixels or metres, as ``"3px"`` or ``"25m"``.
    allow_sparse : bool
        Accept maps with missing blocks.
    """

    attribute: str | None = None
    background: int | None = None
    mapping: Mapped | None = None
    width: float | str | None = None
    boundary: str | None = None
    allow_sparse: bool = False


def assess(
    map_path: str | Path,
    reference: str | Path,
    *,
    names: Mapping[int, str] | None = None,
    confidence: str | Path | None = None,
    attribute: str | None = None,
    background: int | None = None,
    mapping: Mapped | None = None,
    width: float | str | None = None,
    boundary: str | None = None,
    allow_sparse: bool = False,
) -> Assessment:
    """Compare a class map with reference labels.

    Map and labels are read once, in windows of bounded size: memory does not depend on the map's.

    Parameters
    ----------
    map_path : str or Path
        Class raster; 255 and its nodata value are left out.
    reference : str or Path
        Raster or vector file in any CRS and pixel size; it is read on the grid of the map, a raster
        by nearest neighbour, polygons where they cover a pixel's centre.
    names : mapping, optional
        Class names by value; by default those of the attribute table beside the map.
    confidence : str or Path, optional
        Confidence of the map, or probabilities of its classes, on its grid: its calibration is told.
    attribute, background, mapping, width, boundary, allow_sparse
        See `Comparison`.

    Raises
    ------
    SceneError
        A file cannot be read, or the two have no labelled pixel in common.
    OptionError
        The tolerance is no distance, or it is not said what the shapes of a vector reference are.
    """
    how = Comparison(
        attribute=attribute,
        background=background,
        mapping=mapping,
        width=width,
        boundary=boundary,
        allow_sparse=allow_sparse,
    )
    counts, named = count(map_path, reference, how, names=names, confidence=confidence)
    return counts.result(str(map_path), str(reference), named)


def count(
    map_path: str | Path,
    reference: str | Path,
    how: Comparison,
    *,
    names: Mapping[int, str] | None = None,
    confidence: str | Path | None = None,
) -> tuple[Counts, Mapping[int, str]]:
    """Count what `assess` tells; returns the sums and the class names."""
    if Path(reference).suffix.lower() in VECTOR_SUFFIXES and how.attribute is None and how.background is None:
        raise OptionError(
            f"reference {reference}",
            "what class its shapes are is not said: all would be class 1, and nothing known outside",
            "name the column that tells it with --attribute, or the class of the rest with --background",
        )
    with open_map(map_path, names, allow_sparse=how.allow_sparse) as mapped:
        counts = Counts(None if how.boundary is None else Tolerance.parse(how.boundary, mapped.grid))
        with (
            open_labels(
                reference,
                mapped.geobox,
                mapping=how.mapping,
                attribute=how.attribute,
                background=how.background,
                width=how.width,
            ) as labels,
            _opened(confidence, mapped) as trust,
        ):
            for window in windows(mapped.grid.height, mapped.grid.width, _SIDE):
                counts.add(window, mapped, labels, trust)
        named = mapped.names
    if not counts.matrix.any():
        raise SceneError(
            f"map {map_path}",
            f"no pixel has a class in both the map and {reference}",
            "check that they overlap and that --mapping names the values of the reference",
        )
    return counts, named


@contextmanager
def _opened(path: str | Path | None, mapped: ClassMap) -> Iterator[ConfidenceMap | None]:
    if path is None:
        yield None
        return
    with open_confidence(path, mapped) as found:
        yield found
