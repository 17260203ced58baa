"""Which files form a pair of dates: two arguments of a command, or many files told apart by their names."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geodl.errors import OptionError, SceneError
from geodl.scene.pair import rasters_in
from geodl.sources import Source, files_of

_PIECE = re.compile(r"\{(\w+)\}|(\*)|(\?)")
_DATES = ("earlier", "later")


def pairing_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Make the options of pairs of those that users type, ``after_...`` for the later date."""
    pairing = {key: value for key, value in options.items() if not key.startswith("after_")}
    later = {key.removeprefix("after_"): options[key] for key in options if key.startswith("after_")}
    return {**pairing, "after_reading": {key: value for key, value in later.items() if value is not None}}


def pair_source(arguments: Sequence[str], reading: Mapping[str, Any], pairing: Mapping[str, Any]) -> Source:
    """Return the pair that two arguments name, the earlier date first.

    Parameters
    ----------
    arguments : sequence of str
        For each date a raster, or the files of its bands: a quoted pattern, a folder of nothing else, or a
        list (``@list.txt``).
    reading, pairing : mapping
        Options of `geodl.open_scene` and `geodl.open_pair`.

    Raises
    ------
    OptionError
        There are more or fewer than two, or a pattern matches nothing.
    """
    if len(arguments) != 2:
        raise OptionError(
            f"{len(arguments)} scene{'s' * (len(arguments) != 1)}",
            "a change model compares two dates",
            "name two, the earlier one first; the files of one date as a quoted pattern or as a folder: "
            "geodl predict 'before/*.tif' 'after/*.tif' --model ...",
        )
    before, after = (tuple(_files(argument)) for argument in arguments)
    label = tuple(str(Path(path).absolute()) for path in (*before, *after))
    return Source(label=label, paths=before, later=after, reading=reading, pairing=pairing)


def _files(argument: str) -> list[str]:
    return rasters_in(Path(argument)) if Path(argument).is_dir() else files_of(argument)


def find_pairs(
    arguments: Sequence[str],
    patterns: Sequence[str],
    reading: Mapping[str, Any],
    pairing: Mapping[str, Any],
) -> list[Source]:
    """Sort files into pairs by their names.

    Parameters
    ----------
    arguments : sequence of str
        Rasters, quoted patterns, or lists of them.
    patterns : (str, str)
        What the paths of the earlier and of the later date end in: ``"{place}_2023.tif"`` and
        ``"{place}_2024.tif"``, or ``"{city}/imgs_1/*.tif"`` and ``"{city}/imgs_2/*.tif"``. Files whose
        ``{...}`` read the same, under the same folder, belong together; several of one date are the files
        of its bands.
    reading, pairing : mapping
        Options of `geodl.open_scene` and `geodl.open_pair`.

    Returns
    -------
    list of Source
        In the order in which the places first occur; a place that lacks a date is a source that cannot be
        opened.

    Raises
    ------
    OptionError
        The patterns do not tell the dates apart, or a file is of neither date.
    """
    compiled = [_compiled(pattern) for pattern in patterns]
    if compiled[0].groupindex.keys() != compiled[1].groupindex.keys() or not compiled[0].groupindex:
        raise OptionError(
            f"pairs {' and '.join(patterns)}",
            "do not name the same places",
            'give both the same {...}: ["{place}_2023.tif", "{place}_2024.tif"]',
        )
    places: dict[tuple[str, ...], tuple[list[str], list[str]]] = {}
    for file in dict.fromkeys(file for argument in arguments for file in files_of(argument)):
        which, key = _place(file, compiled, patterns)
        places.setdefault(key, ([], []))[which].append(file)
    return [_source(key, dates, patterns, reading, pairing) for key, dates in places.items()]


def _compiled(pattern: str) -> re.Pattern[str]:
    text, last, seen = "", 0, set[str]()
    for piece in _PIECE.finditer(pattern):
        text += re.escape(pattern[last : piece.start()])
        last, name = piece.end(), piece[1]
        if name is None:
            text += "[^/]*" if piece[2] else "[^/]"
        elif not name.isidentifier():
            raise OptionError(f"pairs {pattern}", f"{{{name}}} is no name", "use letters: {place}")
        else:
            text += f"(?P={name})" if name in seen else f"(?P<{name}>[^/]+)"
            seen.add(name)
    return re.compile(f"(?:^|/){text}{re.escape(pattern[last:])}$")


def _place(
    file: str, compiled: Sequence[re.Pattern[str]], patterns: Sequence[str]
) -> tuple[int, tuple[str, ...]]:
    """Return which date a file is of, and of what place: the folder before the pattern, and the names."""
    path = Path(file).absolute().as_posix()
    found = [(which, match) for which, one in enumerate(compiled) if (match := one.search(path))]
    if len(found) != 1:
        either = "neither" if not found else "both"
        raise OptionError(
            f"SCENE {file}",
            f"matches {either} of the pairs {' and '.join(patterns)}",
            "mend the patterns of the workflow, or name only files of pairs",
        )
    which, match = found[0]
    return which, (path[: match.start()], *(match[name] for name in sorted(match.re.groupindex)))


def _source(
    key: tuple[str, ...],
    dates: tuple[list[str], list[str]],
    patterns: Sequence[str],
    reading: Mapping[str, Any],
    pairing: Mapping[str, Any],
) -> Source:
    before, after = (tuple(files) for files in dates)
    label = tuple(str(Path(path).absolute()) for path in (*before, *after))
    name = "_".join(key[1:])
    fault = None
    if not (before and after):
        missing = 0 if after else 1
        fault = SceneError(
            f"pair {name}",
            f"has no file of the {_DATES[missing]} date, {patterns[missing]}",
            "add the file, or leave this place out",
        )
    return Source(
        label=label, paths=before, later=after, reading=reading, pairing=pairing, name=name, fault=fault
    )
