"""Which files form a series of many dates: the arguments of a command."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geodl.errors import OptionError
from geodl.scene.pair import rasters_in
from geodl.sources import Source, files_of


def series_sources(
    arguments: Sequence[str], reading: Mapping[str, Any], options: Mapping[str, Any]
) -> list[Source]:
    """Return the series that arguments name: each folder is one, and all files together are another.

    Parameters
    ----------
    arguments : sequence of str
        Folders with one raster per date, rasters, quoted patterns, or lists of them (``@list.txt``).
    reading, options : mapping
        Options of `geodl.open_scene`, and those of `geodl.open_series` that it does not have; `masks` is a
        pattern, a folder or a list.

    Raises
    ------
    OptionError
        A pattern matches nothing, or days or masks are given for several series at once.
    """
    folders = [argument for argument in arguments if Path(argument).is_dir()]
    files = [file for argument in arguments if argument not in folders for file in files_of(argument)]
    given: list[tuple[tuple[str, ...], str | None]] = [
        (tuple(rasters_in(Path(folder))), Path(folder).absolute().name) for folder in folders
    ]
    given += [(tuple(files), None)] if files else []
    told = {key: value for key, value in options.items() if value}
    if len(given) > 1 and {"dates", "masks"} & set(told):
        raise OptionError(
            f"--dates and --masks with {len(given)} series", "are those of one", "run geodl once for each"
        )
    if "masks" in told:
        told["masks"] = _files(told["masks"])
    return [
        Source(
            label=tuple(str(Path(path).absolute()) for path in paths),
            paths=paths, reading=reading, name=name, series=told,
        )
        for paths, name in given
    ]  # fmt: skip


def _files(argument: str) -> list[str]:
    return rasters_in(Path(argument)) if Path(argument).is_dir() else files_of(argument)
