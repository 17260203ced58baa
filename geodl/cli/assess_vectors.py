"""The options of `geodl assess` for vector layers, and what they call."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geodl.errors import OptionError

if TYPE_CHECKING:
    from geodl.assess.vectors import NetworkAssessment, ObjectAssessment

# Formats of geodl.assess.vectors, which is not loaded to parse a command line; a test compares them.
VECTOR_SUFFIXES = (".fgb", ".geojson", ".gpkg", ".json", ".parquet", ".shp")

_OPTIONS = (
    click.option(
        "--iou", type=float, multiple=True, help="Polygons match above this IoU, 0.5 by default; repeatable."
    ),
    click.option("--min-area", type=float, metavar="M2", help="Leave out smaller polygons on both sides."),
    click.option(
        "--area-of-interest",
        type=click.Path(path_type=Path),
        help="Polygons outside of which vectors do not count.",
    ),
    click.option(
        "--buffer",
        multiple=True,
        metavar="DISTANCE",
        help="Lines match within 3m, the default, or 3px; repeatable.",
    ),
    click.option(
        "--pixel-size", type=float, metavar="METRES", help="Size of the pixels that px means for vectors."
    ),
    click.option(
        "--junctions",
        type=click.Choice(["crossings", "vertices"]),
        help="Lines meet where they cross (default) or only at common vertices: bridges stay apart.",
    ),
    click.option("--layer", help="Layer of MAP to compare."),
    click.option("--reference-layer", help="Layer of the reference to compare."),
)


def vector_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that only vector layers have."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def is_vector(path: Path) -> bool:
    """Tell by its name whether a file holds vectors."""
    return path.suffix.lower() in VECTOR_SUFFIXES


def refuse(options: dict[str, Any], cause: str, remedy: str) -> None:
    """Refuse options that were given although they mean nothing here.

    Raises
    ------
    OptionError
        Names the first of them.
    """
    for name, value in options.items():
        if value is not None and value is not False and value != ():
            raise OptionError(f"--{name.replace('_', '-')}", cause, remedy)


def assess_vector_files(
    map_file: Path, reference: Path, boundary: str | None, options: dict[str, Any]
) -> "ObjectAssessment | NetworkAssessment":
    """Compare two vector layers."""
    if not is_vector(reference):
        raise OptionError(
            f"--reference {reference}",
            "is no vector file, but the map is one",
            "give a vector layer, or compare the raster that the map was made of",
        )
    from geodl.assess.vectors import NetworkOptions, ObjectOptions, assess_vectors

    size = options["pixel_size"]
    objects: dict[str, Any] = {}
    if options["iou"]:
        objects["iou"] = tuple(sorted(options["iou"]))
    if boundary is not None:
        objects["boundary"] = metres("--boundary", boundary, size)
    network: dict[str, Any] = {}
    if options["buffer"]:
        network["buffers"] = tuple(metres("--buffer", text, size) for text in options["buffer"])
    if options["junctions"] is not None:
        network["junctions"] = options["junctions"]
    return assess_vectors(
        map_file,
        reference,
        layer=options["layer"],
        reference_layer=options["reference_layer"],
        area_of_interest=options["area_of_interest"],
        min_area=options["min_area"] or 0.0,
        objects=ObjectOptions(**objects) if objects else None,
        network=NetworkOptions(**network) if network else None,
    )


def metres(option: str, text: str, pixel_size: float | None) -> float:
    """Read ``3m``, ``3`` (both metres) or ``3px``.

    >>> metres("--buffer", "3px", 0.5)
    1.5
    """
    plain = text.strip()
    try:
        distance = float(plain.removesuffix("px").removesuffix("m"))
    except ValueError as error:
        raise OptionError(f"{option} {text}", "is no distance", "write for instance 3m or 3px") from error
    if not plain.endswith("px"):
        return distance
    if pixel_size is None or not pixel_size > 0:
        raise OptionError(
            f"{option} {text}", "vectors have no pixels", "say how long one is: --pixel-size 0.5"
        )
    return distance * pixel_size
