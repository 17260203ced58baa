"""The STAC Collection of a batch: ``collection.json`` beside the products, with a link to each of them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from geodl.publish.assets import GEOJSON
from geodl.publish.files import writing, written_beside
from geodl.publish.product import MANIFEST, safe_name
from geodl.publish.stac import ITEM, STAC_VERSION, THUMBNAIL

COLLECTION = "collection.json"
WORLD = [-180.0, -90.0, 180.0, 90.0]


def write_collection(out: Path) -> Path | None:
    """Write the Collection of all products in a folder; nothing where there are fewer than two.

    The same products give the same bytes, whichever runs made them.

    Parameters
    ----------
    out : Path
        Folder of products.

    Returns
    -------
    Path or None
        The file written.

    Raises
    ------
    ProductError
        It cannot be written.
    """
    path = out / COLLECTION
    with writing(path):
        items = _items(out) if out.is_dir() else {}
    if len(items) < 2:
        return None
    text = json.dumps(_collection(out, items), indent=2, ensure_ascii=False, allow_nan=False)
    with written_beside(path) as beside, writing(path):
        beside.write_bytes(text.encode() + b"\n")
    return path


@dataclass(frozen=True, kw_only=True)
class _Row:
    """What a Collection repeats of an Item."""

    title: str
    model: str
    begin: str
    end: str
    bbox: list[float] | None
    pictured: bool


def _items(out: Path) -> dict[str, _Row]:
    """Rows by the name of their folder; what is no whole product of ours is left out."""
    found = {}
    for folder in sorted(p for p in out.iterdir() if p.is_dir() and not p.name.startswith(".")):
        if not (folder / MANIFEST).is_file() or not (folder / ITEM).is_file():
            continue
        row = _row((folder / ITEM).read_bytes())
        if row is not None:
            found[folder.name] = row
    return found


def _row(content: bytes) -> _Row | None:
    try:
        item = json.loads(content)
        known, bbox = item["properties"], item.get("bbox")
        maker = known["geodl:model"] if "geodl:model" in known else known["geodl:method"]["name"]
        words = (known["title"], maker, known["start_datetime"], known["end_datetime"])
        title, model, begin, end = map(str, words)
        box = None if bbox is None else [float(side) for side in bbox]
        pictured = THUMBNAIL in item["assets"]
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    whole = box is None or len(box) == 4
    row = _Row(title=title, model=model, begin=begin, end=end, bbox=box, pictured=pictured)
    return row if whole else None


def _collection(out: Path, items: dict[str, _Row]) -> dict[str, Any]:
    name = safe_name(out.resolve().name)
    models = sorted({row.model for row in items.values()})
    pictured = next((folder for folder, row in items.items() if row.pictured), None)
    period = [min(row.begin for row in items.values()), max(row.end for row in items.values())]
    content: dict[str, Any] = {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "id": name,
        "title": name,
        "description": f"{len(items)} maps made with geodl by {', '.join(models)}.",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [_whole_box([row.bbox for row in items.values() if row.bbox is not None])]},
            "temporal": {"interval": [period]},
        },
        "summaries": {"geodl:model": models},
        "links": [
            {"rel": "item", "href": f"./{quote(folder)}/{ITEM}", "type": GEOJSON, "title": row.title}
            for folder, row in items.items()
        ],
    }
    if pictured is not None:
        href = f"./{quote(pictured)}/{THUMBNAIL}"
        content["assets"] = {"thumbnail": {"href": href, "type": "image/png", "roles": ["thumbnail"]}}
    return content


def _whole_box(boxes: list[list[float]]) -> list[float]:
    """Return the box of all boxes; one that crosses the antimeridian makes it go round the earth."""
    if not boxes:
        return WORLD
    west, south, east, north = zip(*boxes, strict=True)
    crossing = any(left > right for left, right in zip(west, east, strict=True))
    sides = (-180.0, 180.0) if crossing else (min(west), max(east))
    return [sides[0], min(south), sides[1], max(north)]
