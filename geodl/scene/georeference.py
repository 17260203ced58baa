"""From a header to a grid: what the file says, what the user overrides, and what is refused."""

import math

import numpy as np
import pyproj
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from geodl.errors import OptionError, SceneError
from geodl.scene.grid import Grid
from geodl.scene.header import Header

NO_GEOREFERENCING = "no georeferencing: pixel coordinates are used"
# Two readings of one CRS by name differ by less: datum shifts stay below a few hundred metres.
FAR_METRES = 1000.0


def grid_of(
    header: Header, *, crs: str | None, ungeoreferenced: bool, lenient: bool = False
) -> tuple[Grid, list[str]]:
    """Find the grid of a raster and what the user should know about it.

    Parameters
    ----------
    header : Header
        From `read_header`.
    crs : str or None
        ``"EPSG:32633"``, WKT or PROJ: replaces the CRS of the file.
    ungeoreferenced : bool
        Use pixel coordinates whatever the file says.
    lenient : bool
        Where the file does not say where it lies, note it rather than raise: for ``geodl info``. What
        contradicts itself is refused all the same.

    Raises
    ------
    SceneError
        The file does not say where it lies, or says it in a way that cannot be true.
    """
    pixels = Grid(height=header.height, width=header.width, transform=Affine.identity(), crs=None)
    if ungeoreferenced:
        return pixels, [NO_GEOREFERENCING]
    if not header.has_transform:
        photo = header.driver in ("PNG", "JPEG") and header.crs is None and crs is None
        if photo and not (header.gcps or header.rpcs):
            return pixels, [NO_GEOREFERENCING]
        error = _no_transform(header, crs)
        if lenient and header.crs is None and crs is None:
            return pixels, [_lacking(error)]
        raise error
    _check_transform(header)
    notes = []
    chosen = header.crs
    if crs is not None:
        chosen = _parse_crs(crs)
        if header.crs is not None and header.crs != chosen:
            notes.append(f"the CRS of the file ({crs_name(header.crs)}) is replaced by {crs_name(chosen)}")
    if chosen is None:
        error = SceneError(
            f"scene {header.path}",
            "has a transform but no CRS",
            "name it with --crs EPSG:..., or use --ungeoreferenced",
        )
        if lenient:
            return pixels, [_lacking(error)]
        raise error
    grid = Grid(height=header.height, width=header.width, transform=header.transform, crs=chosen)
    _check_crs(header, grid)
    return grid, notes


def _lacking(error: SceneError) -> str:
    return f"the file {error.cause}; to predict: {error.remedy}"


def crs_name(crs: CRS) -> str:
    """Shorten a CRS to a name: ``EPSG:32633``, or its name where it has no code."""
    authority = crs.to_authority(confidence_threshold=100)
    if authority:
        return ":".join(authority)
    wkt = crs.to_wkt()
    return wkt.split('"')[1] if '"' in wkt else wkt[:60]


def _parse_crs(text: str) -> CRS:
    try:
        return CRS.from_user_input(text)
    except CRSError as error:
        raise OptionError(
            f"--crs {text}", "is no coordinate reference system", "write it like EPSG:32633"
        ) from error


def _no_transform(header: Header, crs: str | None) -> SceneError:
    what = f"scene {header.path}"
    if header.gcps or header.rpcs:
        kind, flag = ("ground control points", "") if header.gcps else ("RPCs", "-rpc ")
        return SceneError(
            what, f"is placed by {kind} only", f"warp it first: `gdalwarp {flag}-t_srs EPSG:... IN OUT`"
        )
    known = header.crs is not None or crs is not None
    cause = "has a CRS but no transform" if known else "has no georeferencing (neither CRS nor transform)"
    return SceneError(what, cause, "use pixel coordinates with --ungeoreferenced")


def _check_transform(header: Header) -> None:
    numbers = header.transform[:6]
    a, b, _, d, e, _ = numbers
    if not all(math.isfinite(number) for number in numbers):
        cause = f"its transform is not finite {numbers}"
    elif abs(a * e - b * d) < 1e-12 * max(map(abs, (a, b, d, e))) ** 2 or not any((a, b, d, e)):
        cause = f"its transform gives pixels without area {numbers}"
    else:
        return
    raise SceneError(f"scene {header.path}", cause, "mend it with gdal_edit, or use --ungeoreferenced")


def _check_crs(header: Header, grid: Grid) -> None:
    crs = grid.crs
    assert crs is not None
    what, remedy = f"scene {header.path}", "name the right one with --crs EPSG:..., or use --ungeoreferenced"
    if not (crs.is_geographic or crs.is_projected):
        raise SceneError(what, f"its CRS ({crs_name(crs)}) is not tied to the Earth", remedy)
    if crs.is_geographic:
        left, bottom, right, top = grid.bounds
        margin = max(grid.pixel_size)
        if bottom < -90 - margin or top > 90 + margin or left < -360 - margin or right > 540 + margin:
            bounds = ", ".join(f"{value:g}" for value in grid.bounds)
            raise SceneError(
                what, f"its coordinates ({bounds}) are no degrees, but its CRS {crs_name(crs)} is", remedy
            )
        return
    _check_name(header, grid, remedy)


def _check_name(header: Header, grid: Grid, remedy: str) -> None:
    """Refuse a CRS that bears an official name and places the image far from where that one does.

    Headers that name a zone and then count its false easting in the wrong unit are known.
    """
    assert grid.crs is not None
    crs = pyproj.CRS.from_wkt(grid.crs.to_wkt())
    if crs.name.lower() in ("unknown", "unnamed", "undefined"):
        return
    matches = crs.list_authority(min_confidence=20)
    if len(matches) != 1 or matches[0].confidence >= 70:
        return
    official = pyproj.CRS.from_authority(matches[0].auth_name, matches[0].code)
    if official.name != crs.name:
        return
    centre = grid.transform @ (grid.width / 2, grid.height / 2)
    placed = [
        pyproj.Transformer.from_crs(each, "EPSG:4326", always_xy=True).transform(*centre)
        for each in (crs, official)
    ]
    distance = (
        pyproj.Geod(ellps="WGS84").inv(*placed[0], *placed[1])[2] if np.isfinite(placed).all() else math.inf
    )
    if distance > FAR_METRES:
        raise SceneError(
            f"scene {header.path}",
            f"its CRS is named {crs.name} "
            f"but its parameters place the image {distance / 1000:.0f} km from there",
            remedy,
        )
