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


def reading_of(options: dict[str, Any]) -> dict[str, Any]:
    """Take the options of `scene_options` out of a command's arguments."""
    names = ("bands", "scale", "sensor", "mask", "crs", "ungeoreferenced", "resample", "allow_sparse")
    return {name: options.pop(name) for name in names}


def files_of_scenes(files: tuple[str, ...], stack: bool) -> list[list[str]]:
    """Return the files of each scene: one each, or with `stack` all of one."""
    return [list(files)] if stack else [[file] for file in files]
