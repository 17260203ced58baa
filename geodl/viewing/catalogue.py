"""Which products a folder holds, and which of their files may be shown: those that a manifest lists."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geodl.errors import ProductError
from geodl.publish.product import read_manifest


@dataclass(frozen=True, kw_only=True)
class ShownProduct:
    """One product."""

    name: str
    folder: Path
    manifest: dict[str, Any]

    @property
    def listed(self) -> tuple[str, ...]:
        """Names of the files in the manifest; what is no plain file name is left out."""
        rows = self.manifest.get("files", [])
        names = [row.get("path") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        return tuple(name for name in names if isinstance(name, str) and _is_plain(name))

    def file(self, name: str) -> Path | None:
        """Path of a listed file; None where it is not listed, has gone, or is a link."""
        if name not in self.listed:
            return None
        path = self.folder / name
        try:
            return path if stat.S_ISREG(path.lstat().st_mode) else None
        except OSError:
            return None

    def told(self, *keys: str) -> str:
        """Return a text of the manifest; empty where there is none."""
        value: Any = self.manifest
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value if isinstance(value, str) else ""

    def maker(self, key: str) -> str:
        """Return what the manifest tells of the model behind the map, or of the method that needed none."""
        return self.told("model", key) or self.told("method", key)


def _is_plain(name: str) -> bool:
    return Path(name).name == name and name not in ("", ".", "..") and not set("/\\\0") & set(name)


def find_products(folder: Path) -> dict[str, ShownProduct]:
    """Find the products in a folder, or the folder itself where it is one; links are not followed.

    Parameters
    ----------
    folder : pathlib.Path

    Returns
    -------
    dict
        By name, in order.

    Raises
    ------
    ProductError
        There is none.
    """
    folder = folder.absolute()
    found = {product.name: product for product in _products(folder)}
    if not found:
        cause = "is no folder" if not folder.is_dir() else "holds no finished product of geodl"
        raise ProductError(str(folder), cause, "name the --out of geodl predict or geodl run")
    return found


def _products(folder: Path) -> Iterator[ShownProduct]:
    places = [folder]
    if folder.is_dir() and read_manifest(folder) is None:
        places = [p for p in sorted(folder.iterdir()) if not p.is_symlink() and not p.name.startswith(".")]
    for place in places:
        manifest = read_manifest(place)
        if manifest is not None:
            yield ShownProduct(name=place.name, folder=place, manifest=manifest)
