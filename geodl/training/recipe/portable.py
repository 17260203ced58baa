"""What may be told of a path: not where on this computer it lies."""

import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

_PATTERN = re.compile(r"[*?\[{]")
"""What begins a wildcard, or a name that is filled in."""


def portable(content: Any) -> Any:
    r"""Shorten every whole path in plain values; what is relative stays.

    A file keeps its name, a pattern what stands from its first wildcard on.

    Parameters
    ----------
    content : str, list, tuple, dict or other plain value
        Part of a recipe, as JSON.

    >>> portable({"scenes": ["/home/anna/town/scene.tif", "C:\\anna\\*\\img.tif"], "labels": "{stem}.tif"})
    {'scenes': ['scene.tif', '*/img.tif'], 'labels': '{stem}.tif'}
    >>> portable("/data/{stem}.tif"), portable("../town/a.tif"), portable(0.5)
    ('{stem}.tif', '../town/a.tif', 0.5)
    """
    if isinstance(content, dict):
        return {key: portable(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [portable(value) for value in content]
    return _shortened(content) if isinstance(content, str) else content


def folder_of(file: Path, root: Path, patterns: Iterable[str]) -> str:
    """Name the folder of a file, below `root` where it lies there.

    Parameters
    ----------
    file, root : Path
        Whole paths.
    patterns : iterable of str
        By which the file was found: of what is named by a whole path, the last folder alone is told.

    >>> folder_of(Path("/data/town/images/a.tif"), Path("/data"), ["town/images/*.tif"])
    'town/images'
    >>> folder_of(Path("/data/town/images/a.tif"), Path("/data/recipes"), ["../town/images/*.tif"])
    'town/images'
    >>> folder_of(Path("/home/anna/images/a.tif"), Path("/data"), ["/home/anna/images/*.tif"])
    'images'
    """
    path = PurePath(os.path.relpath(file.parent, root))
    below = [part for part in path.parts if part != os.pardir]
    if len(below) < len(path.parts) and any(_is_absolute(pattern) for pattern in patterns):
        below = below[-1:]
    return "/".join(below) or "."


def _is_absolute(text: str) -> bool:
    """Whether a path is a whole one, of any system."""
    return any(kind(text).is_absolute() for kind in (PurePosixPath, PureWindowsPath))


def _shortened(text: str) -> str:
    if not _is_absolute(text):
        return text
    path: PurePath = PurePosixPath(text)
    if not path.is_absolute():
        path = PureWindowsPath(text)
    last = len(path.parts) - 1
    first = next((n for n, part in enumerate(path.parts) if _PATTERN.search(part)), last)
    return "/".join(path.parts[min(first, last) :])
