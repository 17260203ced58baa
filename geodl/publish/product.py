"""The folder a run publishes: written beside its place, flushed, sealed by a manifest, renamed into place.

Whatever ends a run, the final path is absent, or holds the previous product, or holds the new one whole.
"""

import contextlib
import json
import os
import re
import shutil
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from geodl.errors import ProductError
from geodl.folder_lock import take
from geodl.publish.files import flush, refuse_overwrite, sha256, writing

MANIFEST = "manifest.json"
FORMAT = "geodl-product"
_RESERVED = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{device}{number}" for device in ("com", "lpt") for number in range(1, 10)),
}


def safe_name(name: str) -> str:
    """Make a name that is one visible folder of at most 120 letters on every system.

    >>> safe_name("../S2A:T32 2020"), safe_name("Ünïcode"), safe_name("..")
    ('S2A_T32 2020', 'Ünïcode', 'scene')
    """
    name = unicodedata.normalize("NFC", name)
    name = "".join("_" if letter in '/\\:*?"<>|' or not letter.isprintable() else letter for letter in name)
    name = re.sub(r"^[._\s-]+|[.\s]+$", "", name)
    while len(name.encode()) > 120:
        name = name[:-1]
    name = name.rstrip(". ") or "scene"
    stem, *suffixes = name.split(".")
    return ".".join([f"{stem}_", *suffixes]) if stem.lower() in _RESERVED else name


class Product:
    """A product in the making; `stage` makes one.

    Parameters
    ----------
    folder : Path
        Where its files are written.
    final : Path
        Where it will lie.
    """

    def __init__(self, folder: Path, final: Path) -> None:
        self.folder, self.final, self.committed = folder, final, False

    def path(self, name: str) -> Path:
        """Path to write the file `name` to.

        Raises
        ------
        ProductError
            The name is not that of a file in this folder.
        """
        if (
            not name
            or name in (".", "..", MANIFEST)
            or Path(name).name != name
            or "\\" in name
            or "\0" in name
        ):
            raise ProductError(
                str(self.final), f"{name!r} cannot be a file of a product", "use a plain file name"
            )
        return self.folder / name

    def commit(self, manifest: Mapping[str, Any]) -> Path:
        """Seal the product and put it into its place.

        Parameters
        ----------
        manifest : mapping
            Inputs, model, options, versions: whatever JSON can hold. The names, sizes and hashes of the
            files are added; clock times are the caller's affair, for without them a rerun is byte-identical.

        Returns
        -------
        Path
            The final folder.

        Raises
        ------
        ProductError
            The disk is full or the folder has gone; the previous product is still there.
        """
        with writing(self.final):
            files = sorted(self.folder.iterdir())
            listed = [
                {"path": file.name, "bytes": file.stat().st_size, "sha256": sha256(file)} for file in files
            ]
            for file in files:
                flush(file)
            whole = {**manifest, "format": FORMAT, "format_version": 1, "files": listed}
            text = json.dumps(whole, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
            seal = self.folder / MANIFEST
            seal.write_bytes(text.encode() + b"\n")
            flush(seal)
            flush(self.folder)
            _put_into_place(self.folder, self.final)
        self.committed = True
        return self.final


@contextlib.contextmanager
def stage(out: str | Path, name: str, *, inputs: Iterable[str | Path] = ()) -> Iterator[Product]:
    """Open a product for writing; without `Product.commit` it leaves no trace.

    Parameters
    ----------
    out : str or Path
        Folder of products; made if need be.
    name : str
        Name of the scene; made safe by `safe_name`.
    inputs : iterable of paths
        Files the product must not replace.

    Raises
    ------
    ProductError
        The folder cannot be written, holds something that is not a product, or another run writes it.
    """
    out, name = Path(out), safe_name(name)
    final = out / name
    with writing(final):
        lock = take(final)
    if lock is None:
        raise ProductError(str(final), "another run is writing it", "wait for it or choose another --out")
    with lock:
        with writing(final):
            _tidy(final)
        refuse_overwrite(inputs, final)
        _refuse_foreign(final)
        folder = out / f".{name}.partial-{os.getpid()}"
        with writing(final):
            folder.mkdir()
        product = Product(folder, final)
        try:
            yield product
        finally:
            if not product.committed:
                shutil.rmtree(folder, ignore_errors=True)


def read_manifest(folder: str | Path) -> dict[str, Any] | None:
    """Read the manifest of a product, or return None where the folder is not a complete one."""
    try:
        manifest = json.loads((Path(folder) / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and manifest.get("format") == FORMAT else None


def is_product_of(folder: Path, provenance: Mapping[str, Any], sources: Iterable[str | Path]) -> bool:
    """Whether a folder holds a whole product whose manifest says all that `provenance` says.

    The sample in the provenance does not cover every byte of an input: no source may be younger either.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        return False
    wanted = json.loads(json.dumps(provenance))
    if any(manifest.get(key) != value for key, value in wanted.items()):
        return False
    try:
        made = (folder / MANIFEST).stat().st_mtime_ns
        whole = all((folder / row["path"]).stat().st_size == row["bytes"] for row in manifest["files"])
        return whole and all(Path(source).stat().st_mtime_ns <= made for source in sources)
    except (OSError, KeyError, TypeError):  # gone, or no manifest of ours after all
        return False


def _refuse_foreign(final: Path) -> None:
    """Only an older product or an empty folder may be replaced."""
    if not final.exists() and not final.is_symlink():
        return
    if final.is_symlink() or not final.is_dir():
        raise ProductError(str(final), "exists and is not a folder", "move it away or choose another --out")
    if any(final.iterdir()) and read_manifest(final) is None:
        raise ProductError(
            str(final), "holds files that are not a geodl product", "move them away or choose another --out"
        )


def _put_into_place(folder: Path, final: Path) -> None:
    """Rename; an older product steps aside first and comes back if its successor cannot take its place."""
    aside = final.with_name(f".{final.name}.old-{os.getpid()}")
    _refuse_foreign(final)
    replaced = final.exists()
    if replaced:
        final.rename(aside)
    try:
        folder.rename(final)
    except OSError:
        if replaced:
            aside.rename(final)
        raise
    flush(final.parent)
    if replaced:
        shutil.rmtree(aside, ignore_errors=True)


def _tidy(final: Path) -> None:
    """Clean up after runs of this product that were killed; whoever calls it holds the lock of `final`."""
    for leftover in _beside(final, "partial"):
        shutil.rmtree(leftover)
    for aside in _beside(final, "old"):
        if final.exists():
            shutil.rmtree(aside)
        else:
            aside.rename(final)  # killed between two renames: the older product is the last whole one


def _beside(final: Path, kind: str) -> list[Path]:
    """Hidden folders of this product that any process has made."""
    ours = re.compile(re.escape(f".{final.name}.{kind}-") + r"\d+")
    return [path for path in final.parent.iterdir() if ours.fullmatch(path.name)]
