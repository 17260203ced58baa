"""What each file of a product is, in words."""

from dataclasses import dataclass
from pathlib import Path

from geodl.publish.files import sha256
from geodl.task import Task

_RASTERS = {
    "confidence": "probability of the mapped class, in percent",
    "entropy": "how undecided the model is: 0 certain, 100 all classes alike",
    "novelty": "how unlike the training data a pixel is, in percent",
    "spread": "how the probability differs between turned views of the scene",
    "probability": "probability of every class, a band for each, in percent",
    "registration": "how well the two dates lie on each other, in percent",
    "change_probability": "probability that something changed, in percent",
    "change_score": "by how many times the usual difference each pixel differs",
}
_SUFFIXES = {
    ".gpkg": "vector layers with attributes and style (GeoPackage)",
    ".qgz": "QGIS project: opens everything here as a finished map",
    ".png": "picture",
    ".csv": "table",
    ".json": "description for catalogues and programs (JSON)",
    ".md": "text",
}


@dataclass(frozen=True, kw_only=True)
class FileRow:
    """One file of a product."""

    name: str
    meaning: str
    size: str
    sha256: str
    """Empty where a file cannot hold its own hash, or holds that of this page."""


def files_of(folder: Path, task: Task, also: tuple[tuple[str, str], ...]) -> list[FileRow]:
    """Tell of every file of a finished folder, and of those in `also` that are still to come.

    Parameters
    ----------
    folder : pathlib.Path
    task : geodl.task.Task
    also : tuple of (name, meaning)
    """
    coming = dict(also)
    rows = [
        FileRow(
            name=file.name,
            meaning=meaning_of(file.name, task),
            size=size_text(file.stat().st_size),
            sha256=sha256(file),
        )
        for file in folder.iterdir()
        if file.is_file() and file.name not in coming and not file.name.startswith(".")
    ]
    rows += [FileRow(name=name, meaning=meaning, size="", sha256="") for name, meaning in coming.items()]
    return sorted(rows, key=lambda row: row.name)


def meaning_of(name: str, task: Task) -> str:
    """Say what a file is.

    >>> from geodl.task import TASKS
    >>> meaning_of("roads.tif", TASKS["roads"]), meaning_of("confidence.qml", TASKS["roads"])
    ('the map: the class of every pixel (cloud-optimised GeoTIFF)', 'QGIS style of confidence.tif')
    """
    if name.endswith(".aux.xml"):
        return f"class names and colours of {name.removesuffix('.aux.xml')} for GDAL"
    stem, suffix = Path(name).stem, Path(name).suffix
    if suffix == ".qml":
        return f"QGIS style of {stem}.tif"
    if suffix == ".tif":
        what = "the map: the class of every pixel" if stem == task.raster else _RASTERS.get(stem, "raster")
        return f"{what} (cloud-optimised GeoTIFF)"
    return _SUFFIXES.get(suffix, "file")


def size_text(size: int) -> str:
    """Write a number of bytes for people.

    >>> size_text(927), size_text(1_495_040), size_text(4_200_000_000)
    ('927 B', '1.5 MB', '4.2 GB')
    """
    value, units = float(size), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} {units[0]}" if units[0] == "B" or value >= 99.5 else f"{value:.1f} {units[0]}"
