"""Where one file lies, as seen from another."""

import os
from pathlib import Path


def path_from(folder: Path, file: Path) -> str:
    """Return the path of a file for a project in `folder`.

    It is relative where both lie under one folder other than the root of the file system, so that they can
    be moved together; otherwise it is absolute.

    >>> path_from(Path("/data/out/valley"), Path("/data/scenes/valley.tif"))
    '../../scenes/valley.tif'
    >>> path_from(Path("/home/ana/out"), Path("/mnt/valley.tif"))
    '/mnt/valley.tif'
    """
    folder, file = folder.resolve(), file.resolve()
    try:
        shared = Path(os.path.commonpath([folder, file]))
    except ValueError:  # two drives
        return file.as_posix()
    if shared == Path(shared.anchor):
        return file.as_posix()
    path = Path(os.path.relpath(file, folder)).as_posix()
    return path if path.startswith("../") else f"./{path}"
