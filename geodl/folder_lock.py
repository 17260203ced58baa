"""One process at a time at a place in the file system, on every system, whatever ends the process.

What is locked is an empty hidden file beside the place, ``.NAME.lock``: Windows cannot lock folders, and
a file inside would travel with a folder that is renamed, or keep it from being renamed. The system frees
the lock of a process that dies; its file stays and is taken up and removed by the next holder.
"""

import os
import sys
from pathlib import Path
from types import TracebackType

from filelock import lock_descriptor

_ATTEMPTS = 100


class FolderLock:
    """A place that this process holds; `take` makes one. Leaving its `with` block frees the place."""

    def __init__(self, file: Path, handle: int) -> None:
        self._file, self._handle = file, handle

    def __enter__(self) -> "FolderLock":
        """Return itself: the place is held already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the place."""
        self.free()

    def free(self) -> None:
        """Give the place back and remove the file that was locked."""
        # While it is locked, for afterwards it may be another process's. Windows keeps open files, but then
        # also that of a next holder.
        removed = _remove(self._file)
        os.close(self._handle)
        if not removed:
            _remove(self._file)


def take(place: Path) -> FolderLock | None:
    """Hold a file or folder against everybody else, other threads of this process included.

    Parameters
    ----------
    place : Path
        It need not exist; the folder around it is made if need be.

    Returns
    -------
    FolderLock or None
        None where somebody else holds it.

    Raises
    ------
    OSError
        The folder around it cannot be made or written, or its file system knows no locks.
    """
    file = place.with_name(f".{place.name.removeprefix('.')}.lock")
    for _ in range(_ATTEMPTS):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            continue  # a process that ended just now took the empty folder away
        try:
            locked = lock_descriptor(handle, blocking=False)
            if locked and _is_current(handle, file):
                return FolderLock(file, handle)
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        if not locked:
            return None
    raise FileNotFoundError(f"{file} vanishes again and again")


def _is_current(handle: int, file: Path) -> bool:
    """Whether an open file still lies there: its last holder may have removed it before it was locked."""
    if sys.platform == "win32":
        return True  # open files cannot be removed
    try:
        return os.path.samestat(os.fstat(handle), file.stat())
    except FileNotFoundError:
        return False


def _remove(file: Path) -> bool:
    """Remove a file; False where the system does not let it go."""
    try:
        file.unlink(missing_ok=True)
    except OSError:
        return False
    return True
