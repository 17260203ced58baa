"""Many maps against many references: each by itself, and all of them together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geodl.assess.compare import Comparison, count
from geodl.assess.counts import Counts
from geodl.assess.labels import VECTOR_SUFFIXES
from geodl.assess.result import Assessment, percent, plain, printed
from geodl.errors import GeodlError, SceneError
from geodl.scene.safety import GDAL_ERRORS, driver_of, gdal_watched, local_file, open_raster

_MAPS = {".tif", ".tiff", ".png"}
_REFERENCES = _MAPS | VECTOR_SUFFIXES


@dataclass(frozen=True, kw_only=True)
class ManyAssessments:
    """Maps of a folder against references of a folder.

    Parameters
    ----------
    total : Assessment
        Over the pixels of all maps that could be compared.
    maps : dict of str to Assessment
        Each map by itself, by its name.
    failed : dict of str to str
        Why a map could not be compared.
    """

    total: Assessment
    maps: dict[str, Assessment]
    failed: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "total": self.total.to_dict(),
            "maps": {name: found.to_dict() for name, found in self.maps.items()},
            "failed": self.failed,
        }

    def to_text(self, width: int = 110) -> str:
        """Return one line per map, then the tables of all together, as plain characters."""
        from rich.table import Table

        shown = Table(title="Maps, in %")
        shown.add_column("map")
        for heading in ("pixels", "overall", "mean IoU", "mean F1"):
            shown.add_column(heading, justify="right")
        for name, found in self.maps.items():
            a = found.accuracy
            shown.add_row(
                plain(name), f"{a.pixels:,}", percent(a.overall), percent(a.mean_iou), percent(a.mean_f1)
            )
        failed = [f"not compared: {message}" for message in self.failed.values()]
        return "\n".join([printed(shown, width=width), *failed, self.total.to_text(width)])

    def save_png(self, path: str | Path) -> None:
        """Draw the matrix of all maps together into a PNG file."""
        self.total.save_png(path)


def assess_folders(
    maps: str | Path,
    references: str | Path,
    how: Comparison,
    *,
    confidence: str | None = None,
) -> ManyAssessments:
    """Compare all maps of a folder with the references of the same name.

    Parameters
    ----------
    maps : str or Path
        Folder of class rasters, or of products, one folder each (``valley/landcover.tif``).
    references : str or Path
        Folder of rasters or vector files. That of ``valley.tif`` is called ``valley.*``, that of
        ``valley/landcover.tif`` is called ``valley.*`` or ``valley_landcover.*``.
    how : Comparison
        How to read the references, and what to compare.
    confidence : str, optional
        Name of the confidence raster that lies beside each map, as ``"confidence.tif"``.

    Raises
    ------
    SceneError
        No map has a reference, a map has two of them, none could be compared, or two maps name the
        same class value differently.
    """
    pairs = list(_pairs(Path(maps), Path(references)))
    total, named, found, failed = Counts(), dict[int, str](), dict[str, Assessment](), dict[str, str]()
    for name, file, reference in pairs:
        beside = None if confidence is None else file.with_name(confidence)
        try:
            counts, names = count(file, reference, how, confidence=beside)
        except GeodlError as error:
            failed[name] = str(error)
            continue
        named = _same_names(named, names, file)
        total.merge(counts)
        found[name] = counts.result(str(file), str(reference), names)
    if not found:
        raise SceneError(f"maps {maps}", "none could be compared", "; ".join(failed.values()))
    return ManyAssessments(total=total.result(str(maps), str(references), named), maps=found, failed=failed)


def _pairs(maps: Path, references: Path) -> Iterator[tuple[str, Path, Path]]:
    """Name, map and reference of each map that has one."""
    by_name: dict[str, list[Path]] = {}
    for file in sorted(references.iterdir()) if references.is_dir() else []:
        if file.suffix.lower() in _REFERENCES:
            by_name.setdefault(file.stem, []).append(file)
    candidates: list[tuple[str, tuple[str, ...], Path]] = [
        (file.stem, (file.stem,), file) for file in _rasters(maps)
    ]
    for folder in sorted(path for path in maps.iterdir() if path.is_dir()):
        candidates += [
            (f"{folder.name}/{file.stem}", (folder.name, f"{folder.name}_{file.stem}"), file)
            for file in _rasters(folder)
        ]
    some = False
    for name, wanted, file in candidates:
        fitting = [reference for key in dict.fromkeys(wanted) for reference in by_name.get(key, [])]
        if not fitting or not _holds_classes(file):
            continue
        if len(fitting) > 1:
            both = " and ".join(reference.name for reference in fitting[:2])
            raise SceneError(f"map {file}", f"{both} could be its reference", "keep one in the folder")
        some = True
        yield name, file, fitting[0]
    if not some:
        raise SceneError(
            f"maps {maps}",
            f"none has a reference in {references}",
            "call the reference of valley.tif valley.*, that of valley/landcover.tif valley_landcover.*",
        )


def _rasters(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _MAPS and path.is_file())


def _holds_classes(path: Path) -> bool:
    """Whether a raster may be a class map: products hold scaled rasters, as confidences, too."""
    try:
        file = local_file(path)
        with gdal_watched(), open_raster(file, driver_of(file)) as source:
            whole = np.dtype(source.dtypes[0]).kind in "iu"
            return whole and source.count == 1 and source.scales[0] == 1
    except (GeodlError, *GDAL_ERRORS):
        return True  # comparing it will say what is wrong with it


def _same_names(named: dict[int, str], new: Mapping[int, str], file: Path) -> dict[int, str]:
    for value, name in new.items():
        if named.setdefault(value, name) != name:
            raise SceneError(
                f"map {file}",
                f"calls class {value} {name!r}, another map {named[value]!r}",
                "compare maps of one legend at a time",
            )
    return named
