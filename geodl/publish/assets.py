"""The assets of a STAC Item: what a file of a product is, by its name and its header."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import rasterio

from geodl.models.spec import NODATA_CLASS, ClassSpec
from geodl.publish.files import sha256

GEOJSON = "application/geo+json"
MULTIHASH = "1220"  # `file:checksum` is one: function 0x12 (sha256), 0x20 bytes

# Media type and roles by the end of a file's name; the longest that fits.
_KINDS: dict[str, tuple[str, list[str]]] = {
    ".tif": ("image/tiff; application=geotiff; profile=cloud-optimized", ["data"]),
    ".gpkg": ("application/geopackage+sqlite3", ["data"]),
    ".parquet": ("application/vnd.apache.parquet", ["data"]),
    ".fgb": ("application/vnd.flatgeobuf", ["data"]),
    ".geojson": (GEOJSON, ["data"]),
    ".qml": ("application/xml", ["style", "metadata"]),
    ".aux.xml": ("application/xml", ["metadata"]),
    ".qgz": ("application/zip", ["metadata"]),
    ".vrt": ("application/xml", ["metadata"]),
    ".html": ("text/html", ["overview"]),
    ".png": ("image/png", ["overview"]),
    ".jpg": ("image/jpeg", ["overview"]),
    ".json": ("application/json", ["metadata"]),
    ".md": ("text/markdown", ["metadata"]),
}


def asset_of(file: Path, more: Mapping[str, Any]) -> dict[str, Any]:
    """Return the asset that stands for a file.

    Parameters
    ----------
    file : Path
        It is read whole, for its checksum.
    more : mapping
        What else is known; wins over what the name tells.
    """
    ending = max((end for end in _KINDS if file.name.endswith(end)), key=len, default="")
    media, roles = _KINDS.get(ending, ("application/octet-stream", ["metadata"]))
    asset: dict[str, Any] = {"href": f"./{quote(file.name)}", "type": media, "roles": roles}
    if ending == ".tif":
        asset |= {"title": file.stem.replace("_", " ").capitalize(), "bands": _bands(file)}
    return {**asset, **more, "file:size": file.stat().st_size, "file:checksum": MULTIHASH + sha256(file)}


def _bands(file: Path) -> list[dict[str, Any]]:
    with rasterio.open(file, driver="GTiff") as source:
        return [
            {
                "name": source.descriptions[number] or file.stem,
                "data_type": source.dtypes[number],
                **({"nodata": _number(nodata)} if (nodata := source.nodatavals[number]) is not None else {}),
                **({"raster:scale": scale} if (scale := source.scales[number]) != 1 else {}),
                "raster:sampling": "area",
            }
            for number in range(source.count)
        ]


def _number(value: float) -> int | float | str:
    if value != value:
        return "nan"
    return int(value) if float(value).is_integer() else value


def classes_of(classes: Sequence[ClassSpec]) -> list[dict[str, Any]]:
    """Return the values of a class map as the classification extension has them, no data included."""
    listed: list[dict[str, Any]] = [
        {
            "value": c.value,
            "name": re.sub(r"[^A-Za-z0-9_\-]", "_", c.name),
            "title": c.name,
            "description": c.name,  # what readers of version 1 of the extension show
            "color_hint": c.color[1:].upper(),
        }
        for c in classes
    ]
    words = {"name": "no_data", "title": "No data", "description": "No data"}
    return [*listed, {"value": NODATA_CLASS, **words, "nodata": True}]
