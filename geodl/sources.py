"""Which scenes a run takes: files, patterns, lists of files, or the items of a STAC collection.

Nothing is opened here; each `Source` opens its scene when its turn comes, and a scene that cannot be
opened is a failure of that scene alone.
"""

import glob
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import xarray as xr

from geodl.errors import OptionError, SceneError
from geodl.publish import safe_name
from geodl.scene import open_pair, open_scene, open_series

if TYPE_CHECKING:
    import pystac

MAX_LIST_BYTES = 512 * 1024**2
_MALFORMED = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, kw_only=True)
class Source:
    """One scene of a list, to be opened when its turn comes.

    Parameters
    ----------
    label : tuple of str
        What stands for it in the list: its files, or its item of a STAC collection.
    paths : tuple of str
        Its files.
    reading : mapping
        Options of `geodl.open_scene`.
    name : str, optional
        Name of the scene; by default that of its files.
    fault : Exception, optional
        Why it cannot be opened, known beforehand.
    later : tuple of str
        Files of the second date, if it is a pair of dates.
    pairing : mapping
        Options of `geodl.open_pair` that `geodl.open_scene` does not have, and of
        `geodl.alignment.align_pair`.
    series : mapping, optional
        Options of `geodl.open_series`, if the files are the dates of a series.
    """

    label: tuple[str, ...]
    paths: tuple[str, ...]
    reading: Mapping[str, Any]
    name: str | None = None
    fault: Exception | None = None
    later: tuple[str, ...] = ()
    pairing: Mapping[str, Any] = field(default_factory=dict)
    series: Mapping[str, Any] | None = None

    def open(self) -> xr.DataArray:
        """Open the scene, lazily; a pair, or a series, as (time, band, y, x)."""
        if self.fault is not None:
            raise self.fault
        if self.series is not None:
            scene = open_series(list(self.paths), **self.series, **self.reading)
        else:
            scene = self._pair() if self.later else open_scene(list(self.paths), **self.reading)
        return scene if self.name is None else scene.rename(self.name)

    def _pair(self) -> xr.DataArray:
        pairing = dict(self.pairing)
        alignment = {key: pairing.pop(key) for key in ("coregister", "normalise") if key in pairing}
        pair = open_pair(list(self.paths), list(self.later), **pairing, **self.reading)
        if all(value == "off" for value in alignment.values()):
            return pair
        from geodl.alignment import align_pair

        return align_pair(pair, **alignment)


def files_source(paths: Sequence[str], reading: Mapping[str, Any]) -> Source:
    """Return the scene whose bands lie in the given files."""
    absolute = tuple(str(Path(path).absolute()) for path in paths)
    return Source(label=absolute, paths=tuple(paths), reading=reading)


def find_sources(
    arguments: Sequence[str],
    reading: Mapping[str, Any],
    *,
    stack: bool = False,
    assets: Sequence[str] | None = None,
) -> list[Source]:
    """Return the scenes that the arguments of a command name, each once, in their order.

    Parameters
    ----------
    arguments : sequence of str
        A raster; a pattern such as ``"scenes/*.tif"``; ``"@list.txt"`` or ``"list.txt"``, whose lines are
        rasters or patterns, as seen from the working directory; ``"items.json"``, a STAC ItemCollection
        or Item with local assets.
    reading : mapping
        Options of `geodl.open_scene` for all of them.
    stack : bool
        All files that one pattern matches are the bands of one scene.
    assets : sequence of str, optional
        Assets of a STAC item that are its bands, in this order; by default those of the role ``data``.

    Raises
    ------
    OptionError
        A pattern matches nothing, or a list cannot be read.
    """
    sources: dict[tuple[str, ...], Source] = {}
    for argument in arguments:
        if argument.lower().endswith((".json", ".geojson")):
            found = _items(Path(argument), reading, assets)
        else:
            found = [
                files_source(paths, reading)
                for pattern in _patterns(argument)
                for paths in _grouped(matches(pattern), stack)
            ]
        for source in found:
            sources.setdefault(source.label, source)
    return list(sources.values())


def files_of(argument: str) -> list[str]:
    """Return the files that a raster, a pattern, or a list of them names.

    Raises
    ------
    OptionError
        A pattern matches nothing, or a list cannot be read.
    """
    return [file for pattern in _patterns(argument) for file in matches(pattern)]


def _patterns(argument: str) -> list[str]:
    if not (argument.startswith("@") or argument.lower().endswith(".txt")):
        return [argument]
    lines = [line.strip() for line in _text(Path(argument.removeprefix("@"))).splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def matches(pattern: str) -> list[str]:
    """Return the files that match a pattern, by name; of a plain path the path itself.

    Raises
    ------
    OptionError
        It matches nothing.
    """
    if not glob.has_magic(pattern) or Path(pattern).exists():
        return [pattern]
    files = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
    if not files:
        raise OptionError(f"SCENE {pattern}", "matches no file", "mend the pattern")
    return files


def _grouped(files: list[str], stack: bool) -> list[list[str]]:
    return [files] if stack else [[file] for file in files]


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_LIST_BYTES:
            raise OptionError(f"SCENE {path}", "is too large for a list of scenes", "divide it")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"SCENE {path}", str(error), "name a readable text file") from error


def _items(path: Path, reading: Mapping[str, Any], assets: Sequence[str] | None) -> list[Source]:
    import pystac

    text = _text(path)
    try:
        items = [pystac.Item.from_dict(feature) for feature in _features(json.loads(text))]
        return [_item_source(item, path, reading, assets) for item in items]
    # pystac checks no types: what is wrong shows where it is used.
    except (*_MALFORMED, pystac.STACError, pystac.STACTypeError) as error:
        raise OptionError(
            f"SCENE {path}",
            f"is no STAC ItemCollection ({type(error).__name__}: {error})",
            "save the items of a search as one FeatureCollection",
        ) from error


def _features(content: Any) -> list[dict[str, Any]]:
    return [content] if content["type"] == "Feature" else content["features"]


def _item_source(
    item: "pystac.Item", path: Path, reading: Mapping[str, Any], assets: Sequence[str] | None
) -> Source:
    label = (f"{path.absolute()}#{item.id}",)
    name = safe_name(item.id)
    try:
        paths = tuple(_local(item, key, path) for key in _chosen(item, assets))
    except SceneError as fault:
        return Source(label=label, paths=(), reading=reading, name=name, fault=fault)
    return Source(label=label, paths=paths, reading=reading, name=name)


def _chosen(item: "pystac.Item", assets: Sequence[str] | None) -> list[str]:
    there = ", ".join(f"{key} ({'/'.join(asset.roles or ['no role'])})" for key, asset in item.assets.items())
    if assets is None:
        chosen = [key for key, asset in item.assets.items() if "data" in (asset.roles or [])]
    else:
        chosen = [key for key in assets if key in item.assets]
    if not chosen or (assets is not None and len(chosen) < len(assets)):
        wanted = "of the role data" if assets is None else " and ".join(sorted({*assets} - {*chosen}))
        raise SceneError(
            f"item {item.id!r}",
            f"it has no asset {wanted}; it has {there or 'none at all'}",
            "name its bands in the workflow: scenes: {assets: [...]}",
        )
    return chosen


def _local(item: "pystac.Item", key: str, collection: Path) -> str:
    href = item.assets[key].href
    parts = urlsplit(href)
    if parts.scheme == "file":
        return url2pathname(parts.path)
    if "://" in href or href.startswith("/vsi"):
        raise SceneError(
            f"item {item.id!r}",
            f"its asset {key!r} is remote ({parts.scheme or 'vsi'})",
            "download it, and let the item name the local file",
        )
    return str(collection.absolute().parent / href)
