"""What the scenes of a recipe to be written are: bands, units, pixel size, and how to open them."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from geodl.assess.labels import VECTOR_SUFFIXES
from geodl.errors import SceneError
from geodl.match import pixel_size_of
from geodl.scene import open_scene
from geodl.scene.header import read_header
from geodl.scene.xyz import place_tile, template_of, tile_number
from geodl.tiles import Window
from geodl.training.plots.decode import grid_of_scene
from geodl.training.plots.pairs import Pair, find_pairs
from geodl.training.plots.plot import strips
from geodl.training.recipe import LabelClass, Recipe, Source

LOOKED_AT = 24
"""Scenes that are opened and counted; of more, so many at even distances."""

COUNTED = 200_000_000
"""Pixels of a scene that are counted at most."""

_NAME = re.compile(r"^[A-Za-z0-9_.\-]{1,64}$")
_MIN_ZOOM = 10  # below it, three numbers in a name are more often something else


@dataclass(frozen=True, kw_only=True)
class SeenScenes:
    """Scenes, looked at.

    Parameters
    ----------
    root : Path
        What paths are relative to.
    source : Source
        How a recipe names and opens them.
    pairs : list of Pair
        The scenes that were opened, with their labels.
    grids : list of GeoBox
        Where their pixels lie.
    total : int
        Number of all scenes.
    bands : list of str
        Names of the bands.
    units, dtype : str
        As in a recipe; the type of the files.
    pixel_sizes : list of float
        Metres on the ground of the scenes that are georeferenced.
    notes : list of str
        What the user should know, one line each.
    """

    root: Path
    source: Source
    pairs: list[Pair]
    grids: list[GeoBox]
    total: int
    bands: list[str]
    units: str
    dtype: str
    pixel_sizes: list[float]
    notes: list[str]


def look_at_scenes(scenes: str, labels: str, root: Path) -> SeenScenes:
    """Find the scenes, and how they have to be opened.

    Raises
    ------
    RecipeError, SceneError
        Nothing matches, or a scene cannot be opened.
    """
    source = Source(scenes=scenes, labels=labels)
    pairs = find_pairs(_provisional(source, root))
    if len(pairs) > 1 and "{" not in labels and _single_bands([pair.scene[0] for pair in pairs]):
        source = source.model_copy(update={"stack": True})
        pairs = find_pairs(_provisional(source, root))
    total = len(pairs)
    pairs = [pairs[n] for n in np.unique(np.linspace(0, total - 1, LOOKED_AT).round().astype(int))]
    source, notes = _how_to_open(source, pairs)
    opened = [_open(pair, source) for pair in pairs]
    first = opened[0]
    sizes = [pixel_size_of(scene) for scene in opened]
    others = [p.scene[0].name for p, s in zip(pairs, opened, strict=True) if s.dtype != first.dtype]
    if others:
        notes.append(f"these scenes are not {first.dtype} as the first one is: {', '.join(others[:5])}")
    return SeenScenes(
        root=root,
        source=source,
        pairs=[Pair(scene=pair.scene, labels=pair.labels, source=source) for pair in pairs],
        grids=[grid_of_scene(scene) for scene in opened],
        total=total,
        bands=[str(name) for name in first.coords["band"].values],
        units=first.attrs["units"],
        dtype=str(first.dtype),
        pixel_sizes=[float(np.mean(size)) for size in sizes if size is not None],
        notes=notes if source.xyz is not None else [*notes, *first.attrs["notes"]],
    )


def sampled_strips(grid: GeoBox) -> Iterator[Window]:
    """Yield the strips of a scene, or of a large one some at even distances."""
    every = list(strips(*grid.shape))
    kept = max(1, COUNTED // max(1, every[0].height * grid.shape[1]))
    yield from every[:: math.ceil(len(every) / kept)]


def _provisional(source: Source, root: Path) -> Recipe:
    """Just enough of a recipe to match its patterns."""
    classes = [LabelClass(value=n, name=str(n), color="#000000", source=[]) for n in (0, 1)]
    return Recipe(
        name="draft", bands=["any"], parameters={}, units="digital_number", classes=classes,
        sources=[source], data_root=root,
    )  # fmt: skip


def _single_bands(paths: list[Path]) -> bool:
    """Tell whether files look like the bands of one scene: one band each, in one place."""
    headers = [read_header(str(path)) for path in paths]
    first = headers[0]
    return all(
        h.count == 1 and h.crs == first.crs and h.transform[2] == first.transform[2]
        and h.transform[5] == first.transform[5]
        for h in headers
    )  # fmt: skip


def _how_to_open(source: Source, pairs: list[Pair]) -> tuple[Source, list[str]]:
    """Return the source with the options that its scenes need, and why."""
    notes = []
    changes: dict[str, Any] = {}
    try:
        scene = _open(pairs[0], source)
    except SceneError as error:
        changes["ungeoreferenced"] = True
        scene = _open(pairs[0], source.model_copy(update=changes))
        notes.append(f"pixel coordinates are used, for the scene {error.cause}")
    template = _tile_names(scene, pairs)
    if template is not None:
        changes = {"xyz": template}
        notes = ["the names of the scenes say where they lie (`xyz`)"]
    names = [str(name) for name in scene.coords["band"].values]
    if not all(_NAME.match(name) for name in names) or len(set(names)) < len(names):
        changes["bands"] = [f"band_{n}" for n in range(1, len(names) + 1)]
        notes.append("the files give their bands no usable names: give them better ones in `bands`")
    if scene.attrs["units"] == "unknown":
        changes["scale"] = "none"
        notes.append("the files do not say how numbers become reflectance; they are taken as they are")
    return source.model_copy(update=changes), notes


def _tile_names(scene: xr.DataArray, pairs: list[Pair]) -> str | None:
    """Template of names that place the scenes, where nothing else does and labels or zoom speak for it."""
    if scene.odc.geobox is not None and scene.odc.geobox.crs is not None:
        return None
    paths = [pair.scene[0] for pair in pairs]
    template = template_of(paths)
    if template is None:
        return None
    placed = pairs[0].labels.suffix.lower() in VECTOR_SUFFIXES
    high = all(tile_number(path, template).z >= _MIN_ZOOM for path in paths)
    return template if placed or high else None


def _open(pair: Pair, source: Source) -> xr.DataArray:
    paths: Any = list(pair.scene) if len(pair.scene) > 1 else pair.scene[0]
    scene = open_scene(
        paths,
        bands=source.bands,
        scale=source.scale,
        ungeoreferenced=source.ungeoreferenced or source.xyz is not None,
    )
    return scene if source.xyz is None else place_tile(scene, pair.scene[0], source.xyz)
