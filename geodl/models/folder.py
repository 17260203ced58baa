"""The files of a model folder: read whole, and written all together or not at all."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from geodl.errors import ModelError
from geodl.models.spec_file import SPEC_FILE, version_of


def sha256_of(content: bytes) -> str:
    """Return the SHA-256 of some bytes in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def read_file(path: Path, sha256: str, most: int) -> bytes:
    """Return the content of a file of a model.

    Parameters
    ----------
    path : Path
        The file.
    sha256 : str
        What ``model.json`` says of it.
    most : int
        Bytes that it may have.

    Raises
    ------
    ModelError
        It is missing, larger, or another one.
    """
    what = f"model {path.parent}"
    if not path.is_file():
        raise ModelError(what, f"{path.name} is missing", "fetch or train the model again")
    if path.stat().st_size > most:
        raise ModelError(what, f"{path.name} is larger than {most} bytes", "it is no model of geodl")
    content = path.read_bytes()
    if sha256_of(content) != sha256:
        raise ModelError(
            what,
            f"{path.name} is not the file that {SPEC_FILE} describes",
            "fetch or train the model again",
        )
    return content


def refuse_foreign(folder: Path) -> None:
    """Refuse to replace a folder that is neither empty nor a model.

    Raises
    ------
    ModelError
        Says so.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        if version_of(json.loads((folder / SPEC_FILE).read_bytes())) is not None:
            return
    except (OSError, ValueError, RecursionError):
        pass
    raise ModelError(
        f"model {folder}", "it exists and is no geodl model", "remove it or choose another folder with --out"
    )


def replace_files(
    folder: Path, files: Mapping[str, bytes], *, own: Collection[str], check: Callable[[Path], object]
) -> None:
    """Put files into a model folder in the place of all that it has of its own.

    Parameters
    ----------
    folder : Path
        The model folder, which need not exist.
    files : mapping
        Content by name.
    own : collection of str
        Names of the files of models; others in the folder are kept.
    check : callable
        Given a folder with the new files before they take their place; raises where they are no model.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=f".{folder.name}.partial-", dir=folder.parent))
    try:
        staged.chmod(0o755)  # mkdtemp makes private folders
        for name, content in files.items():
            _write(staged / name, content)
        check(staged)
        _put_in_place(staged, folder, own)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _put_in_place(staged: Path, folder: Path, own: Collection[str]) -> None:
    if not folder.exists():
        staged.rename(folder)
        return
    # A folder that is not empty cannot be renamed over: the old one steps aside, whole, first.
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old-", dir=folder.parent)) / folder.name
    folder.rename(old)
    staged.rename(folder)
    for other in old.iterdir():
        if other.name not in own:
            other.rename(folder / other.name)
    shutil.rmtree(old.parent)
