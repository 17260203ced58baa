"""Tiles of web maps: pictures that say where they lie by their names alone.

A tile is known by its zoom z, column x and row y, counted from the north-west corner of the world in
EPSG:3857, or from the south-west one in the older Tile Map Service. Numbering: OGC 17-083r4 "Two
Dimensional Tile Matrix Set", annex D.1 (WebMercatorQuad).
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import odc.geo.xr
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from geodl.errors import OptionError, SceneError

EDGE = 20037508.342789244
"""Half the side of the world in EPSG:3857, in metres: pi times the equatorial radius of WGS 84."""

TEMPLATES = ("{z}/{x}/{y}", "{z}_{x}_{y}", "{z}-{x}-{y}", "{x}-{y}-{z}", "{x}_{y}_{z}")
_MAX_ZOOM = 30


@dataclass(frozen=True, kw_only=True)
class TileNumber:
    """Zoom, column and row of a tile, rows counted from the north."""

    z: int
    x: int
    y: int

    def grid(self, height: int, width: int) -> GeoBox:
        """Return the grid of a picture of `height` x `width` pixels that shows the tile."""
        side = 2 * EDGE / 2**self.z
        left, top = self.x * side - EDGE, EDGE - self.y * side
        return GeoBox((height, width), Affine(side / width, 0, left, 0, -side / height, top), "EPSG:3857")


def tile_number(path: str | Path, template: str) -> TileNumber:
    """Read the number of a tile from its path.

    Parameters
    ----------
    path : str or Path
        Of the picture.
    template : str
        How the path ends, less its suffix: ``{z}/{x}/{y}``, ``{z}_{x}_{y}``, ``{x}-{y}-{z}``; what
        stands before is ignored. ``{-y}`` counts rows from the south.

    Raises
    ------
    OptionError
        The template does not hold z, x and y once each.
    SceneError
        The path is not of this form, or names no tile that exists.

    Examples
    --------
    >>> tile_number("tiles/18/155/99.png", "{z}/{x}/{y}")
    TileNumber(z=18, x=155, y=99)
    >>> tile_number("OAM-638595-541990-20.png", "{x}-{y}-{z}").z
    20
    """
    pattern = _pattern(template)
    text = Path(path).with_suffix("").as_posix()
    found = re.search(rf"(?:^|[^0-9]){pattern}$", text)
    if found is None:
        raise SceneError(
            f"scene {path}", f"its name is not of the form {template}", "mend `xyz`, or rename the tile"
        )
    numbers = {name: int(value) for name, value in found.groupdict().items()}
    z, x, y = numbers["z"], numbers["x"], numbers["y"]
    if z > _MAX_ZOOM or x >= 2**z or y >= 2**z:
        raise SceneError(
            f"scene {path}", f"there is no tile z={z}, x={x}, y={y}", "mend the order of z, x and y in `xyz`"
        )
    return TileNumber(z=z, x=x, y=2**z - 1 - y if "{-y}" in template else y)


def _pattern(template: str) -> str:
    pieces = re.split(r"(\{[^}]*\})", template)
    names = sorted(piece[1:-1].lstrip("-") for piece in pieces[1::2])
    if names != ["x", "y", "z"] or "{-x}" in template or "{-z}" in template:
        raise OptionError(
            f"xyz {template!r}",
            "it must hold {z}, {x} and {y} (or {-y}) once each",
            f"write for instance {' or '.join(TEMPLATES[:2])}",
        )
    return "".join(
        rf"(?P<{piece[1:-1].lstrip('-')}>\d{{1,10}})" if number % 2 else re.escape(piece)
        for number, piece in enumerate(pieces)
    )


def template_of(paths: list[Path]) -> str | None:
    """Return the one of `TEMPLATES` that every path follows; None where none or several would do."""
    fitting = []
    for template in TEMPLATES:
        try:
            for path in paths:
                tile_number(path, template)
        except SceneError:
            continue
        fitting.append(template)
    return fitting[0] if len(fitting) == 1 else None


def place_tile(scene: xr.DataArray, path: Path, template: str) -> xr.DataArray:
    """Put a scene that was opened in pixel coordinates where the name of its file says.

    Raises
    ------
    OptionError, SceneError
        As `tile_number`.
    """
    grid = tile_number(path, template).grid(scene.sizes["y"], scene.sizes["x"])
    placed = odc.geo.xr.wrap_xr(scene.data, grid, axis=1)
    placed = placed.rename(dict(zip(placed.dims, ("band", "y", "x"), strict=True)))
    placed = placed.assign_coords(band=np.asarray(scene.coords["band"].values))
    if "valid" in scene.coords:
        placed = placed.assign_coords(valid=(("y", "x"), scene.coords["valid"].data))
    placed = placed.assign_attrs(scene.attrs).rename(scene.name)
    placed.encoding.update(scene.encoding)
    return placed
