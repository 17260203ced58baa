"""Where: the pixels that are explained, the view around them, and the input that they depend on."""

import math
from dataclasses import dataclass

import xarray as xr
from affine import Affine
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from geodl.errors import OptionError
from geodl.models.spec import ModelSpec
from geodl.tiles import Window

SIZE = 256  # pixels; side of what is shown
LARGEST = 1024  # pixels; gradients keep the activations of the whole view in memory


@dataclass(frozen=True, kw_only=True)
class Place:
    """Four windows of a scene, from small to large.

    Parameters
    ----------
    target : Window
        What is explained: one pixel or more.
    view : Window
        What is shown: the target and pixels around it, inside the scene.
    reach : Window
        What the target depends on, on the network's lattice; it may reach beyond the scene.
    surround : Window
        What the view depends on, likewise.
    """

    target: Window
    view: Window
    reach: Window
    surround: Window


def affine_of(scene: xr.DataArray) -> Affine:
    """Transform from (column, row) to the scene's x, y; pixels where it has no georeferencing."""
    geobox = scene.odc.geobox
    return Affine.identity() if geobox is None else geobox.affine


def crs_of(scene: xr.DataArray) -> CRS | None:
    """Coordinate system of a scene, or None."""
    crs = scene.odc.crs
    return None if crs is None else crs.proj


def crs_name(crs: CRS | None) -> str:
    """Short name of a coordinate system: ``EPSG:32632``."""
    if crs is None:
        return "pixels"
    authority = crs.to_authority()
    return ":".join(authority) if authority else str(crs.name)


def pixel_at(scene: xr.DataArray, at: tuple[float, float], crs: str | None = None) -> Window:
    """Find the pixel of a scene that holds a point.

    Parameters
    ----------
    scene : xarray.DataArray
        Dims (band, y, x).
    at : tuple of float
        x and y, or longitude and latitude: east before north, whatever the system says.
    crs : str, optional
        System of the point, like ``"EPSG:4326"``; by default that of the scene.

    Returns
    -------
    Window
        One pixel.

    Raises
    ------
    OptionError
        The point lies outside the scene, or the system is unknown or of no use.
    """
    asked = f"--at {at[0]:.10g},{at[1]:.10g}"
    x, y = _in_scene_crs(scene, at, crs)
    if not (math.isfinite(x) and math.isfinite(y)):
        raise OptionError(
            asked, "it is no place in the coordinate system of the scene", "check its order: X,Y"
        )
    affine, (height, width) = affine_of(scene), (scene.sizes["y"], scene.sizes["x"])
    column, row = (math.floor(value) for value in ~affine @ (x, y))
    if 0 <= row < height and 0 <= column < width:
        return Window(row, column, 1, 1)
    corners = [affine @ end for end in ((0, 0), (width, 0), (0, height), (width, height))]
    (left, *_, right), (low, *_, high) = (sorted(values) for values in zip(*corners, strict=True))
    name = crs_name(crs_of(scene))
    hint = "" if crs is not None or name == "pixels" else ", or name their system, e.g. --at-crs EPSG:4326"
    raise OptionError(
        asked,
        f"it lies outside scene {scene.name}: x {left:.10g} to {right:.10g}, y {low:.10g} to {high:.10g} "
        f"in {name}",
        f"give X,Y inside it{hint}",
    )


def _in_scene_crs(scene: xr.DataArray, at: tuple[float, float], crs: str | None) -> tuple[float, float]:
    if crs is None:
        return at
    own = crs_of(scene)
    if own is None:
        raise OptionError(
            f"--at-crs {crs}", f"scene {scene.name} has no coordinate system", "give column,row with --at"
        )
    try:
        transformer = Transformer.from_crs(CRS.from_user_input(crs), own, always_xy=True)
    except CRSError as error:
        raise OptionError(f"--at-crs {crs}", f"{error}", "name one like EPSG:4326") from error
    return transformer.transform(*at)


def window_in(scene: xr.DataArray, window: tuple[int, int, int, int]) -> Window:
    """Check a window of a scene: row, column, height and width in pixels.

    Raises
    ------
    OptionError
        It does not lie inside the scene.
    """
    found, whole = Window(*window), Window(0, 0, scene.sizes["y"], scene.sizes["x"])
    if found.height < 1 or found.width < 1 or found.intersect(whole) != found:
        raise OptionError(
            f"--window {','.join(map(str, window))}",
            f"it does not lie inside a scene of {whole.height} rows and {whole.width} columns",
            "give row,column,height,width inside it",
        )
    return found


def place_of(scene: xr.DataArray, spec: ModelSpec, target: Window, size: int) -> Place:
    """Lay the view around a target, and find what both depend on.

    A network whose tiles are cropped sees its halo around every cell of its stride: with that, what is
    found does not depend on how the scene is cut. One that looks at whole tiles gets a single tile with
    the target in its middle; its view ends with that tile.

    Parameters
    ----------
    scene : xarray.DataArray
    spec : ModelSpec
    target : Window
        Inside the scene.
    size : int
        Side of the view in pixels; where the target is larger, the view is the target.

    Raises
    ------
    OptionError
        The view or the target is too large.
    """
    if not 1 <= size <= LARGEST:
        raise OptionError(f"--size {size}", "the view cannot have this side", f"use 1 to {LARGEST} pixels")
    if max(target.height, target.width) > LARGEST:
        raise OptionError(
            f"a window of {target.height} x {target.width} pixels",
            "gradients of so many do not fit into memory",
            f"use at most {LARGEST} x {LARGEST}",
        )
    view = _around(target, size, scene.sizes["y"], scene.sizes["x"])
    if spec.stitch == "crop":
        reach, surround = (_with_halo(window, spec) for window in (target, view))
        return Place(target=target, view=view, reach=reach, surround=surround)
    tile = _tile_around(target, spec)
    if target.intersect(tile) != target:
        raise OptionError(
            f"a window of {target.height} x {target.width} pixels",
            f"model {spec.name} looks at whole tiles of {spec.tile} pixels, which do not hold it",
            f"use at most {spec.tile - spec.stride} x {spec.tile - spec.stride}",
        )
    return Place(target=target, view=view.intersect(tile), reach=tile, surround=tile)


def _around(target: Window, size: int, height: int, width: int) -> Window:
    """Return a window around another one, moved inside the scene where it can be."""
    rows, columns = min(height, max(size, target.height)), min(width, max(size, target.width))
    top = target.row + target.height // 2 - rows // 2
    left = target.col + target.width // 2 - columns // 2
    return Window(max(0, min(top, height - rows)), max(0, min(left, width - columns)), rows, columns)


def _with_halo(window: Window, spec: ModelSpec) -> Window:
    top, left = (start // spec.stride * spec.stride for start in (window.row, window.col))
    bottom, right = (-(-stop // spec.stride) * spec.stride for stop in (window.row_stop, window.col_stop))
    halo = spec.halo
    return Window(top - halo, left - halo, bottom - top + 2 * halo, right - left + 2 * halo)


def _tile_around(target: Window, spec: ModelSpec) -> Window:
    top, left = (
        round((start + length / 2 - spec.tile / 2) / spec.stride) * spec.stride
        for start, length in ((target.row, target.height), (target.col, target.width))
    )
    return Window(top, left, spec.tile, spec.tile)
