"""`geodl change`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geodl.cli.beside import warn_if_beside
from geodl.cli.scenes import pair_options, reading_of, scene_options, take_pairing
from geodl.errors import OptionError

if TYPE_CHECKING:
    from geodl.changes.compare import Compared

METHODS = ("cva", "irmad", "features", "translation")  # of `geodl.changes`, without loading it
COMPARE = "compare"
# What `geodl.changes.compare_maps` takes of the options of scenes and pairs, and what they are unless typed.
_OF_MAPS = ("grid", "dates", "crs")
_UNUSED: dict[str, Any] = {
    "bands": None,
    "scale": None,
    "sensor": None,
    "mask": "any",
    "ungeoreferenced": False,
    "resample": None,
    "allow_sparse": False,
    "coregister": "off",
    "normalise": "off",
    "after_reading": {},
    "stack": False,
    "threshold": "otsu",
    "smooth": 3,
    "model": None,
    "suppress_shift": 0,
}


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="BEFORE AFTER")
@click.option("--method", type=click.Choice([*METHODS, COMPARE]), default="cva", show_default=True,
              help="Change vectors, IR-MAD, deep features, prediction of each date from the other, or a "
              "comparison of two class maps.")  # fmt: skip
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder; one folder per pair inside."
)
@click.option("--model", help="Of --method features: whose features; default: a bundled one that fits.")
@click.option("--threshold", default="otsu", show_default=True,
              help="Score that parts changed from unchanged: otsu, otsu3, ki, or a number.")  # fmt: skip
@click.option("--smooth", type=int, default=3, show_default=True, metavar="PIXELS",
              help="Average differences over squares of this side; 1: each pixel alone.")  # fmt: skip
@click.option("--min-area", type=float, default=0.0, metavar="M2",
              help="Smaller patches, changed or not, go to what is around them.")  # fmt: skip
@click.option("--suppress-shift", type=click.IntRange(0, 5), default=0, metavar="PIXELS",
              help="Take back changes that a shift of up to so many pixels explains.")  # fmt: skip
@scene_options
@pair_options
def change(
    files: tuple[str, ...], method: str, out: Path, min_area: float, **options: Any,
) -> None:  # fmt: skip
    """Find what changed between two dates without a model, or compare two class maps.

    BEFORE and AFTER are rasters, or the files of their bands: a quoted pattern ('before/*.tif') or a folder.
    With --method compare they are maps of classes, or products of land cover.
    """
    from geodl.changes import ChangeOptions, find_changes
    from geodl.cli.ending import tidy_end
    from geodl.pairs import pair_source

    if len(files) != 2:
        raise OptionError(
            f"{len(files)} file{'s' * (len(files) != 1)}",
            "two dates are compared",
            "name two, the earlier one first; the files of one date as a quoted pattern or as a folder",
        )
    reading, pairing = reading_of(options), take_pairing(options)
    if method == COMPARE:
        _compare(files, out, {**reading, **pairing, **options}, min_area)
        return
    options.pop("stack")
    chosen = ChangeOptions(method=method, min_area=min_area, **options)
    source = pair_source(files, reading, pairing)
    if pairing["coregister"] == _UNUSED["coregister"]:
        warn_if_beside(source)
    with tidy_end():
        found = find_changes(source.open(), out, chosen)
    click.echo(f"{found.folder}: {found.polygons} polygons of change, threshold {found.threshold:.4g}")


def _compare(files: tuple[str, ...], out: Path, asked: dict[str, Any], min_area: float) -> None:
    from geodl.changes import compare_maps
    from geodl.cli.ending import tidy_end

    typed = [name for name, usual in _UNUSED.items() if asked[name] != usual]
    if typed or asked["resampling"] != "bilinear":
        names = ", ".join(f"--{name.replace('_', '-')}" for name in typed or ["resampling"])
        raise OptionError(
            f"{names} with --method {COMPARE}", "means nothing to maps of classes", "leave it out"
        )
    with tidy_end():
        wishes = {name: asked[name] for name in _OF_MAPS}
        found = compare_maps(files[0], files[1], out, min_area=min_area, **wishes)
    _print_matrix(found)
    click.echo(f"{found.folder}: {found.polygons} polygons of change")


def _print_matrix(found: "Compared") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from geodl.changes.matrix import rows_of

    head, *body = rows_of(found.transitions, on_earth=found.on_earth)
    table = Table(box=None, padding=(0, 1))
    for number, name in enumerate(head):
        table.add_column(escape(name), justify="right" if number else "left")
    for row in body:
        table.add_row(*(escape(cell) for cell in row))
    Console().print(table)
