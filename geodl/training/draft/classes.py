"""Which classes labels hold: values, colours or attributes, how many pixels each, what they are called."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox

from geodl.assess.labels import VECTOR_SUFFIXES
from geodl.assess.labels.raster import RasterPlane, palette_of
from geodl.errors import SceneError
from geodl.models.spec import NODATA_CLASS
from geodl.scene.safety import driver_of, gdal_watched, open_raster
from geodl.sidecar import read_sidecar
from geodl.training.draft.features import look_at_features
from geodl.training.draft.scenes import COUNTED, SeenScenes, sampled_strips

MOST = 64
"""More different values than this are no classes."""

# Tableau's ten and their lighter kin, in an order in which neighbours differ.
_COLOURS = (
    "#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#edc948", "#b07aa1", "#9c755f", "#ff9da7",
    "#bab0ac", "#a0cbe8", "#ffbe7d", "#8cd17d", "#ff9d9a", "#86bcb6", "#f1ce63", "#d4a6c8", "#d7b5a6",
)  # fmt: skip


@dataclass(kw_only=True)
class FoundClass:
    """One class: what stands for it in the labels, and what the recipe makes of it.

    With `left_out`, the reason why it is taken as unlabelled.
    """

    key: int | str
    pixels: int
    name: str
    color: str
    value: int = 0
    left_out: str = ""


@dataclass(kw_only=True)
class FoundLabels:
    """Everything that was found in the label files, by the words of a recipe's source."""

    classes: list[FoundClass]
    options: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    background: FoundClass | None = None


def look_at_labels(seen: SeenScenes) -> FoundLabels:
    """Count what the labels hold on the grids of their scenes.

    Raises
    ------
    SceneError
        They cannot be read, or hold no classes.
    """
    first = seen.pairs[0].labels
    found = (_from_features if first.suffix.lower() in VECTOR_SUFFIXES else _from_rasters)(seen)
    kept = [c for c in found.classes if not c.left_out]
    if len(kept) + (found.background is not None) < 2:
        raise SceneError(
            f"labels {first}", f"fewer than two classes are in them: {[c.key for c in kept]}", "add classes"
        )
    _number(kept)
    if len(seen.pairs) < seen.total:
        found.notes.append(f"pixels were counted in {len(seen.pairs)} of {seen.total} scenes")
    if any(grid.shape[0] * grid.shape[1] > COUNTED for grid in seen.grids):
        found.notes.append("pixels were counted in a part of the rows only")
    if found.background is not None:
        taken = {c.value for c in kept}
        found.background.value = next(value for value in (0, *range(1, 255)) if value not in taken)
    return found


def _from_rasters(seen: SeenScenes) -> FoundLabels:
    counts: Counter[float] = Counter()
    coloured = False
    palette: dict[int, str] = {}
    names: dict[int, str] = {}
    nodata: set[float] = set()
    for pair, grid in zip(seen.pairs, seen.grids, strict=True):
        path = str(pair.labels)
        with gdal_watched(), open_raster(path, driver_of(path)) as source:
            coloured = source.count >= 3
            counts += _values(pair.labels, RasterPlane(pair.labels, source, grid, coloured=coloured), grid)
            nodata |= {source.nodata} if source.nodata is not None else set()
            if not coloured and source.colorinterp[0].name == "palette":
                packed = palette_of(pair.labels, source)
                palette = {n: f"#{int(c):06x}" for n, c in enumerate(packed) if np.isfinite(c)}
        names |= read_sidecar(pair.labels).names
    counts = Counter({value: n for value, n in counts.items() if coloured or value not in nodata})
    total = sum(counts.values())
    classes = []
    for value, pixels in sorted(counts.items()):
        key = f"#{int(value):06x}" if coloured else int(value)
        color = str(key) if coloured else palette.get(int(value), "")
        name = names.get(int(value), "") if not coloured else ""
        classes.append(FoundClass(key=key, pixels=pixels, name=name or f"class {key}", color=color))
    _leave_out(classes, total, coloured=coloured, named=set(names))
    _paint(classes)
    return FoundLabels(classes=classes)


def _values(path: Path, plane: RasterPlane, grid: GeoBox) -> "Counter[float]":
    counts: Counter[float] = Counter()
    for window in sampled_strips(grid):
        strip = plane.read(window)
        values, pixels = np.unique(strip[np.isfinite(strip)], return_counts=True)
        for value, n in zip(values.tolist(), pixels.tolist(), strict=True):
            counts[value] += n
        if len(counts) > 64 * MOST or any(value != int(value) for value in counts):
            raise SceneError(
                f"labels {path}",
                "it holds too many different values to be classes",
                "give a raster of class values; as a picture, one without losses (PNG, not JPEG); if this is "
                "a band of the scene, put the pattern of its bands in quotes: 'bands/*.tif'",
            )
    return counts


def _leave_out(classes: list[FoundClass], total: int, *, coloured: bool, named: set[int]) -> None:
    """Say of values that seldom mean a class why they are left out."""
    for c in classes:
        if coloured:
            if c.pixels < 1e-3 * total:
                c.left_out = "very rare: an artefact?"
        elif c.key == 0 and len(classes) > 2 and 0 not in named:
            c.left_out = "0 mostly means unlabelled"
        elif c.key == NODATA_CLASS and len(classes) > 2 and NODATA_CLASS not in named:
            c.left_out = "255 mostly means unlabelled"
    kept = [c for c in classes if not c.left_out]
    for c in sorted(kept, key=lambda c: -c.pixels)[MOST:]:
        c.left_out = f"one of more than {MOST}"


def _from_features(seen: SeenScenes) -> FoundLabels:
    features = look_at_features(seen)
    classes = [
        FoundClass(key=key, pixels=pixels, name=str(key), color=features.colours.get(key, ""))
        for key, pixels in features.counts.items()
    ]
    background = None
    if features.background is not None:
        background = FoundClass(key="", pixels=features.background, name="other", color="")
    if features.options.get("attribute") is None:
        classes[0].name = seen.pairs[0].labels.stem if len(seen.pairs) == 1 else "inside"
    _paint([*classes, *([background] if background else [])])
    return FoundLabels(classes=classes, options=features.options, notes=features.notes, background=background)


def _paint(classes: Iterable[FoundClass]) -> None:
    """Give a colour to every class without one."""
    free = iter(_COLOURS * 15)
    for c in classes:
        c.color = c.color or next(free)


def _number(classes: list[FoundClass]) -> None:
    """Give classes the values of the maps to be made: those of the labels where they can be had."""
    plain = all(isinstance(c.key, int) and 0 <= c.key < NODATA_CLASS for c in classes)
    for number, c in enumerate(classes, start=1):
        c.value = int(c.key) if plain else number
