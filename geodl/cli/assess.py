"""`geodl assess`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from geodl.cli.assess_vectors import assess_vector_files, is_vector, refuse, vector_options
from geodl.errors import OptionError

if TYPE_CHECKING:
    from geodl.assess.folders import ManyAssessments
    from geodl.survey.result import AreaAssessment


class _Result(Protocol):
    def to_dict(self) -> dict[str, Any]: ...

    def to_text(self) -> str: ...

    def save_png(self, path: Path) -> None: ...


@click.command()
@click.argument("map_file", metavar="MAP", type=click.Path(path_type=Path))
@click.option(
    "--reference",
    required=True,
    type=click.Path(path_type=Path),
    help="Raster or vector labels, any CRS; a folder of them if MAP is a folder of maps or products.",
)
@click.option("--attribute", help="Attribute that holds the class, for vector labels.")
@click.option("--mapping", help="What reference values, names or colours mean: water=1,wood=2 or #2b6cb0=1.")
@click.option("--background", type=int, help="Class outside all polygons and lines; by default not compared.")
@click.option("--width", help="Width of reference lines in metres, or the attribute that holds it.")
@click.option("--boundary", metavar="DISTANCE", help="Boundary IoU within 3px or 25m of the outlines, too.")
@vector_options
@click.option(
    "--confidence",
    type=click.Path(path_type=Path),
    help="Confidence or probability raster of the map: is it honest? For folders its name beside each map.",
)
@click.option(
    "--reliability",
    type=click.Path(path_type=Path),
    help="Draw confidence against accuracy, with --confidence.",
)
@click.option(
    "--area",
    is_flag=True,
    help="The reference are points, as of geodl sample: estimate areas and accuracies with intervals.",
)
@click.option("--allow-sparse", is_flag=True, help="Accept a map with missing blocks.")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="Write the figures as JSON; '-' prints them."
)
@click.option(
    "--png", "png_file", type=click.Path(path_type=Path), help="Draw the confusion matrix, or the areas."
)
def assess(
    map_file: Path,
    reference: Path,
    attribute: str | None,
    mapping: str | None,
    background: int | None,
    width: str | None,
    boundary: str | None,
    confidence: Path | None,
    reliability: Path | None,
    area: bool,
    allow_sparse: bool,
    json_file: Path | None,
    png_file: Path | None,
    **vector: Any,
) -> None:
    """Compare a class MAP, or a folder of them, with reference labels.

    Tells the confusion matrix, and precision, recall, F1 and IoU of each class.

    A MAP of polygons or lines is compared with a vector layer: footprints object by object, lines as a
    network.
    """
    if is_vector(map_file):
        rasters: dict[str, Any] = {
            "attribute": attribute,
            "mapping": mapping,
            "background": background,
            "width": width,
            "confidence": confidence,
            "reliability": reliability,
            "area": area,
            "allow_sparse": allow_sparse,
            "png": png_file,
        }
        refuse(rasters, "is about class maps, not about polygons and lines", "leave it out")
        _show(assess_vector_files(map_file, reference, boundary, vector), json_file, png_file)
        return
    refuse(vector, "is about polygons and lines, but the map is a raster", "leave it out")
    if area:
        if boundary is not None or confidence is not None or map_file.is_dir():
            raise OptionError("--area", "is about one map and points", "compare folders, outlines without it")
        found = _areas(map_file, reference, attribute, mapping_of(mapping), allow_sparse)
        _show(found, json_file, png_file)
        return
    if reliability is not None and confidence is None:
        raise OptionError(
            "--reliability", "the confidence of the map is missing", "name it with --confidence"
        )
    how: dict[str, Any] = {
        "attribute": attribute,
        "background": background,
        "mapping": mapping_of(mapping),
        "width": _width(width),
        "boundary": boundary,
        "allow_sparse": allow_sparse,
    }
    if map_file.is_dir():
        many = _many(map_file, reference, confidence, how)
        _show(many, json_file, png_file)
        calibration, complete = many.total.calibration, not many.failed
    else:
        from geodl.assess.compare import assess as compare

        one = compare(map_file, reference, confidence=confidence, **how)
        _show(one, json_file, png_file)
        calibration, complete = one.calibration, True
    if reliability is not None and calibration is not None:
        calibration.save_png(reliability)
    if not complete:
        raise click.exceptions.Exit(1)


def _areas(
    map_file: Path,
    points: Path,
    attribute: str | None,
    mapping: dict[int | str, int] | None,
    allow_sparse: bool,
) -> "AreaAssessment":
    from geodl.survey.measure import assess_area

    return assess_area(
        map_file, points, attribute=attribute or "reference", mapping=mapping, allow_sparse=allow_sparse
    )


def _many(maps: Path, references: Path, confidence: Path | None, how: dict[str, Any]) -> "ManyAssessments":
    from geodl.assess.compare import Comparison
    from geodl.assess.folders import assess_folders

    beside = None if confidence is None else confidence.name
    return assess_folders(maps, references, Comparison(**how), confidence=beside)


def _show(result: _Result, json_file: Path | None, png_file: Path | None) -> None:
    if png_file is not None:
        result.save_png(png_file)
    if json_file == Path("-"):
        click.echo(json.dumps(result.to_dict(), indent=2))
        return
    if json_file is not None:
        json_file.write_text(json.dumps(result.to_dict(), indent=2) + "\n")
    click.echo(result.to_text())


def mapping_of(text: str | None) -> dict[int | str, int] | None:
    """Read ``water=1,#2b6cb0=2,7=3``; words and colours stay text, whole numbers become such."""
    if text is None:
        return None
    mapping: dict[int | str, int] = {}
    for pair in text.split(","):
        key, _, value = (part.strip() for part in pair.rpartition("="))
        if not key or not value.isdigit():
            raise OptionError(
                f"--mapping {text}", f"{pair!r} is not KEY=VALUE", "write for instance water=1,wood=2"
            )
        mapping[int(key) if key.lstrip("-").isdigit() else key] = int(value)
    return mapping


def _width(text: str | None) -> float | str | None:
    """Read a number of metres, or the name of an attribute."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text
