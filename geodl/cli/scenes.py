"""Options that say how rasters are read, shared by every command that opens scenes."""

from collections.abc import Callable
from typing import Any

import click


def scene_options(command: Callable) -> Callable:
    """Options that say how a raster is to be read; every command that opens scenes takes them."""
    options = [
        click.option("--bands", help="Names of the bands in file order: blue,green,red,nir."),
        click.option("--scale", help="To reflectance: FACTOR or FACTOR,OFFSET; 'none': plain numbers."),
        click.option("--sensor", help="Whose bands and units to assume, e.g. sentinel-2-l2a, naip."),
        click.option("--mask", default="any", show_default=True,
                     help="No data where 'any' or 'all' bands are; 'none'; or a raster that is 0 there."),
        click.option("--crs", help="Coordinate system of a file that does not name one, e.g. EPSG:32632."),
        click.option("--ungeoreferenced", is_flag=True, help="Accept a raster without georeferencing."),
        click.option("--resample", type=float, metavar="METRES", help="Read at this pixel size."),
        click.option("--allow-sparse", is_flag=True, help="Accept files with missing blocks."),
        click.option("--stack", is_flag=True, help="The files are bands of one scene."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def pair_options(command: Callable) -> Callable:
    """Options that say how two dates are brought together; commands that take pairs have them."""
    options = [
        click.option("--grid", type=click.Choice(["before", "after", "finer"]), default="before",
                     show_default=True, help="Two dates: whose pixels the map has."),
        click.option("--resampling", type=click.Choice(["bilinear", "nearest"]), default="bilinear",
                     show_default=True, help="Two dates: how the other date is moved onto them."),
        click.option("--coregister", type=click.Choice(["off", "shift", "field"]), default="off",
                     show_default=True, help="Two dates: measure how far the second lies off, and mend it."),
        click.option("--normalise", type=click.Choice(["off", "histogram", "pif", "irmad"]), default="off",
                     show_default=True, help="Two dates: match the values of the second to the first."),
        click.option("--dates", metavar="BEFORE,AFTER",
                     help="Two dates: when they were taken, e.g. 2023-07-14,2024; else as names tell."),
        click.option("--after-bands", help="Two dates: --bands of the second, where they differ."),
        click.option("--after-scale", help="Two dates: --scale of the second, where it differs."),
        click.option("--after-sensor", help="Two dates: --sensor of the second, where it differs."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def take_pairing(options: dict[str, Any]) -> dict[str, Any]:
    """Take the options of `pair_options` out of a command's arguments, as `geodl.open_pair` has them."""
    from geodl.pairs import pairing_of

    names = ("grid", "resampling", "coregister", "normalise", "dates", "after_bands", "after_scale")
    taken = {name: options.pop(name) for name in (*names, "after_sensor")}
    if taken["dates"] is not None:
        taken["dates"] = tuple(part.strip() or None for part in taken["dates"].split(","))
    return pairing_of(taken)


def reading_of(options: dict[str, Any]) -> dict[str, Any]:
    """Take the options of `scene_options` out of a command's arguments."""
    names = ("bands", "scale", "sensor", "mask", "crs", "ungeoreferenced", "resample", "allow_sparse")
    return {name: options.pop(name) for name in names}


def files_of_scenes(files: tuple[str, ...], stack: bool) -> list[list[str]]:
    """Return the files of each scene: one each, or with `stack` all of one; quoted patterns are looked up.

    Raises
    ------
    OptionError
        A pattern matches nothing.
    """
    from geodl.sources import matches

    found = [path for file in files for path in matches(file)]
    if not found:
        return []
    return [found] if stack else [[path] for path in found]
