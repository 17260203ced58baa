"""Scenes and labels from their files into arrays on disk."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import dask
import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from geodl.assess.labels import IGNORE
from geodl.calendars import Calendar
from geodl.errors import MismatchError
from geodl.match import check_fit
from geodl.scene import open_scene, valid_mask
from geodl.scene.adopt import per_band, select_bands
from geodl.scene.pair import open_pair, stack_dates
from geodl.scene.series import on_calendar, open_series
from geodl.scene.xyz import place_tile
from geodl.standard import Moments, scores_of
from geodl.training.cache import SceneCache, identity_of, key_of
from geodl.training.description import make_spec
from geodl.training.plots.meaning import labels_of
from geodl.training.plots.pairs import Pair
from geodl.training.plots.plot import create_array, strips
from geodl.training.plots.points import refuse_neighbours, write_points
from geodl.training.recipe import Recipe, Source

_FORM = 2
"""Part of every key: to be raised when what is written below changes its meaning."""


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """A scene in arrays: ``image.npy``, ``valid.npy`` and ``labels.npy`` in `folder`.

    Parameters
    ----------
    name : str
        Name of the scene.
    folder : Path
        Where the arrays lie.
    height, width : int
        Size in pixels.
    scale, offset : tuple of float
        Per band: ``value * scale + offset`` is in the units of the model.
    crs : str or None
        As WKT; None for photographs.
    transform : tuple of float
        From pixels to coordinates of the CRS, the first six numbers of the matrix.
    """

    name: str
    folder: Path
    height: int
    width: int
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    crs: str | None
    transform: tuple[float, ...]

    @property
    def grid(self) -> GeoBox:
        """Where the pixels lie; without a CRS in pixel coordinates."""
        return GeoBox((self.height, self.width), Affine(*self.transform), self.crs)


def decode_pair(pair: Pair, recipe: Recipe, cache: SceneCache) -> Decoded:
    """Decode one scene with its labels, or find it decoded.

    Raises
    ------
    SceneError, MismatchError
        Where a file cannot be read or does not fit the recipe.
    """
    key = key_of(
        {
            "form": _FORM,
            "scene": [identity_of(path) for path in (*pair.scene, *pair.after, *pair.masks)],
            "calendar": None if recipe.calendar is None else recipe.calendar.model_dump(),
            "labels": None if pair.unlabelled else identity_of(pair.labels),
            "reading": pair.source.reading(),
            "bands": recipe.bands,
            "units": recipe.units,
            "mapping": list(recipe.mapping_of(pair.source).items()),
            "edges": None if recipe.edges is None else recipe.edges.model_dump(),
        }
    )
    if pair.source.table is not None:
        refuse_neighbours(recipe)
        folder = cache.entry(key, partial(write_points, pair, recipe))
    else:
        # A scene that another recipe has decoded must still fit this one.
        scene = fitting_scene(pair, recipe)
        folder = cache.entry(key, partial(_write, pair, scene, recipe))
    content = json.loads((folder / "scene.json").read_text())
    lists = {name: tuple(content[name]) for name in ("scale", "offset", "transform")}
    return Decoded(**{**content, **lists, "folder": folder})


def _write(pair: Pair, scene: xr.DataArray, recipe: Recipe, folder: Path) -> None:
    height, width = scene.sizes["y"], scene.sizes["x"]
    image = create_array(folder / "image.npy", scene.shape, scene.dtype)
    valid = create_array(folder / "valid.npy", (height, width), np.dtype(bool))
    labels = create_array(folder / "labels.npy", (height, width), np.dtype(np.uint8))
    mask = valid_mask(scene)
    grid = grid_of_scene(scene)
    moments = Moments(len(scene))
    with labels_of(pair, recipe, grid) as reader:
        for window in strips(height, width):
            rows = window.slices[0]
            # Together, so that each block of the file is decoded once.
            image[:, rows], valid[rows] = dask.compute(scene.isel(y=rows).data, mask.isel(y=rows).data)
            if recipe.units == "z_score":
                moments.add(image[:, rows], valid[rows])
            labels[rows] = np.where(valid[rows], reader.read(window), IGNORE)
    for array in (image, valid, labels):
        array.flush()  # type: ignore[attr-defined]
    scale, offset = _scaling(scene, recipe, moments)
    decoded = Decoded(
        name=str(scene.name),
        folder=folder,
        height=height,
        width=width,
        scale=scale,
        offset=offset,
        crs=None if grid.crs is None else grid.crs.to_wkt(),
        transform=tuple(grid.affine[:6]),
    )
    content = {name: value for name, value in asdict(decoded).items() if name != "folder"}
    (folder / "scene.json").write_text(json.dumps(content))


def _scaling(
    scene: xr.DataArray, recipe: Recipe, moments: Moments
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Scale and offset of each band that make what the model is fed of the values of the files."""
    if recipe.units == "z_score":
        return scores_of(moments)
    if recipe.units == "digital_number":  # as they are, whatever scale the file names
        return (1.0,) * len(scene), (0.0,) * len(scene)
    scale, offset = (tuple(map(float, per_band(scene, name))) for name in ("scale", "offset"))
    return scale, offset


def fitting_scene(pair: Pair, recipe: Recipe) -> xr.DataArray:
    """Open a scene with the bands of the recipe; refused where the model would refuse it later."""
    source = pair.source
    scene = _open_series(pair, recipe.calendar) if recipe.calendar else _open(pair.scene, source)
    if pair.after:
        grid = "before" if scene.odc.crs is None else scene.odc.geobox  # whole: labels lie on it
        scene = stack_dates(open_pair(scene, _open(pair.after, source), grid=grid))
    try:
        check_fit(scene, make_spec(recipe))
    except MismatchError as error:
        raise MismatchError(
            f"scene {pair.scene[0]}",
            error.cause,
            f"set bands, scale or sensor of the source ({recipe.where('sources', _number(source, recipe))})",
        ) from error
    return select_bands(scene, recipe.bands)


def _open_series(pair: Pair, calendar: Calendar) -> xr.DataArray:
    source = pair.source
    series = open_series(pair.scene, masks=pair.masks or None, stack=source.stack, **source.opening())
    return on_calendar(series, calendar)


def _open(files: Sequence[Path], source: Source) -> xr.DataArray:
    options = source.opening()
    options["ungeoreferenced"] |= source.xyz is not None  # their names say where such tiles lie
    scene = open_scene(list(files) if len(files) > 1 else files[0], **options)
    return scene if source.xyz is None else place_tile(scene, files[0], source.xyz)


def _number(source: Source, recipe: Recipe) -> int:
    return next(n for n, each in enumerate(recipe.sources) if each is source or each == source)


def grid_of_scene(scene: xr.DataArray) -> GeoBox:
    """Return the grid of a scene; without a CRS in pixel coordinates."""
    box = scene.odc.geobox
    if box is None or box.crs is None:
        return GeoBox((scene.sizes["y"], scene.sizes["x"]), Affine.identity(), None)
    return box
