"""The STAC Item of a product: ``item.json`` tells catalogues what lies in the folder and what it is made of.

STAC 1.1 (https://github.com/radiantearth/stac-spec) with the extensions projection, raster, classification,
processing and file (https://stac-extensions.github.io). Every name is relative to the folder, so that it can
be moved or put on a server; nothing in it is a clock time, so that a rerun writes the same bytes.
"""

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from geodl.models.spec import ClassSpec
from geodl.publish.assets import GEOJSON, MULTIHASH, asset_of, classes_of
from geodl.publish.cog import RasterGrid
from geodl.publish.files import writing
from geodl.publish.footprint import footprint
from geodl.publish.period import period_of

ITEM = "item.json"
MODEL = "model.json"
THUMBNAIL = "thumbnail.png"
STAC_VERSION = "1.1.0"
EXTENSIONS = {
    name: f"https://stac-extensions.github.io/{name}/{version}/schema.json"
    for name, version in {
        "projection": "v2.0.0",
        "raster": "v2.0.0",
        "classification": "v2.0.0",
        "processing": "v1.2.0",
        "file": "v2.1.0",
    }.items()
}


@dataclass(frozen=True, kw_only=True)
class About:
    """What an Item says beyond what the files say themselves."""

    name: str
    """Of the product: the Item's id."""
    title: str
    """``Land cover``"""
    grid: RasterGrid
    """Of the scene, and of all rasters."""
    dates: tuple[str, ...]
    """When the scene was taken: ``2023-07-14``, ``2023-07`` or ``2023``; none where that is not known."""
    sources: tuple[str, ...]
    """Files of the scene."""
    final: Path
    """Where the product will lie."""
    raster: str
    """Name of the class raster."""
    classes: tuple[ClassSpec, ...]
    """Its values."""
    model: Mapping[str, Any] | None
    """STAC Item of the model; None where a method without one made the map."""
    provenance: Mapping[str, Any]
    """As in the manifest."""


def write_item(folder: Path, about: About) -> None:
    """Write ``model.json``, if there is a model, and of all files that a folder then holds ``item.json``.

    Raises
    ------
    ProductError
        A file cannot be read or written.
    """
    with writing(folder / ITEM):
        if about.model is not None:
            _write_json(folder / MODEL, portable(about.model))
        _write_json(folder / ITEM, item_of(folder, about))


def item_of(folder: Path, about: About) -> dict[str, Any]:
    """Return the STAC Item of the files in a folder, as plain values for JSON."""
    files = sorted(p for p in folder.iterdir() if p.name not in (ITEM, "manifest.json") and p.is_file())
    assets = {file.name: asset_of(file, _more(file, about)) for file in files}
    geometry, bbox = footprint(about.grid)
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": _extensions(assets),
        "id": about.name,
        "geometry": geometry,
        **({"bbox": bbox} if bbox is not None else {}),
        "properties": {
            "title": f"{about.title}: {about.name}",
            **period_of(about.dates),
            **_projection(about.grid),
            **_processing(about),
        },
        "links": _links(about),
        "assets": assets,
    }
    return item


def _more(file: Path, about: About) -> dict[str, Any]:
    """Return what the Item knows of a file and its name does not tell."""
    if file.name == THUMBNAIL:
        return {"roles": ["thumbnail"]}
    if file.name == MODEL:
        return {"type": GEOJSON, "title": f"Model {about.provenance['model']['name']}"}
    if file.name == about.raster:
        return {"title": about.title, "classification:classes": classes_of(about.classes)}
    return {}


def portable(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Item of a model for a place where its weights are not.

    Their address becomes a name for their content (RFC 6920): true wherever the model lies.
    """
    assets = {
        name: {**asset, "href": _content_name(asset["file:checksum"])}
        for name, asset in model["assets"].items()
    }
    return {**model, "assets": assets}


def _content_name(checksum: str) -> str:
    digest = bytes.fromhex(checksum.removeprefix(MULTIHASH))
    return f"ni:///sha-256;{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_bytes(text.encode() + b"\n")


def _extensions(assets: Mapping[str, Mapping[str, Any]]) -> list[str]:
    used = {"projection", "processing", "file"}
    used |= {"raster" for asset in assets.values() if "bands" in asset}
    used |= {"classification" for asset in assets.values() if "classification:classes" in asset}
    return [address for name, address in EXTENSIONS.items() if name in used]


def _projection(grid: RasterGrid) -> dict[str, Any]:
    place: dict[str, Any] = {
        "proj:shape": [grid.height, grid.width],
        "proj:transform": [float(value) for value in tuple(grid.transform)[:6]],
    }
    if grid.crs is None:
        return {"proj:code": None, **place}
    authority = grid.crs.to_authority(confidence_threshold=100)
    if authority is None:
        return {"proj:code": None, "proj:wkt2": grid.crs.to_wkt(version="WKT2_2019"), **place}
    return {"proj:code": ":".join(authority), **place}


def _processing(about: About) -> dict[str, Any]:
    options = about.provenance["options"]
    if about.model is None:
        method = about.provenance["method"]
        return {
            "processing:lineage": f"{about.title} of {about.provenance['scene']['name']} by the method "
            f"{method['name']}, without a trained model, computed by geodl.",
            "processing:software": {"geodl": about.provenance["geodl"]},
            "geodl:method": method,
            "geodl:options": options,
        }
    model = about.provenance["model"]
    return {
        "processing:lineage": f"{about.title} of {about.provenance['scene']['name']} by the model "
        f"{model['name']} ({model['hash'][:16]}), computed by geodl in {options['precision']}.",
        "processing:software": {
            "geodl": about.provenance["geodl"],
            "torch": about.provenance["torch"],
        },
        "geodl:model": model["name"],
        "geodl:model_hash": model["hash"],
        "geodl:options": options,
    }


def _links(about: About) -> list[dict[str, Any]]:
    scenes = [
        {"rel": "derived_from", "href": _address(source, about.final), "title": Path(_bare(source)).name}
        for source in about.sources
    ]
    if about.model is None:
        return scenes
    model = {
        "rel": "derived_from",
        "href": f"./{MODEL}",
        "type": GEOJSON,
        "title": f"Model {about.provenance['model']['name']}",
    }
    return [*scenes, model]


def _bare(source: str) -> str:
    """Leave out of an address what signs it: keys have no place in a product."""
    parts = urlsplit(source)
    if len(parts.scheme) < 2:  # a path, or a drive of Windows
        return source
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def _address(source: str, folder: Path) -> str:
    bare = _bare(source)
    if bare != source or "://" in bare:
        return bare
    try:
        # The way between two places does not depend on how they were typed, nor on links on the way.
        relative = os.path.relpath(Path(source).resolve(), folder.resolve())
    except ValueError:  # on another drive of Windows
        return Path(source).absolute().as_uri()
    return quote(Path(relative).as_posix())
