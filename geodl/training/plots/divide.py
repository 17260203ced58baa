"""Which part of the decoded scenes is for learning and which for checking, written as labels for either.

Scenes on one grid show one place at several times: they are divided alike, or the network would learn
by heart the ground that it is checked on. For the same reason scenes that overlap stay together when
whole scenes are held out, and blocks held out of one scene are not learnt from in another. Scenes whose
role the recipe names are left as they are; what they share is told.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from geodl.assess.labels import IGNORE
from geodl.errors import RecipeError
from geodl.training.plots.decode import Decoded
from geodl.training.plots.marks import BlockMarks, Marks, PolygonMarks, with_neighbours
from geodl.training.plots.pairs import Pair
from geodl.training.plots.places import overlapping, overlaps, same_grid
from geodl.training.plots.plot import Plot, create_array, open_array, strips
from geodl.training.plots.points import hold_out_squares
from geodl.training.plots.shared import shared_ground
from geodl.training.recipe import Recipe, Source
from geodl.training.split import block_counts, choose_blocks, choose_folds


def divide(recipe: Recipe, pairs: list[Pair], scenes: list[Decoded], folder: Path, *, gap: int) -> list[Plot]:
    """Write the labels for training and for validation of every scene.

    Parameters
    ----------
    recipe : Recipe
        Its `split` and `seed` say how scenes of role ``auto`` are divided.
    pairs, scenes : list of Pair, list of Decoded
        The scenes in the same order.
    folder : Path
        Receives one folder per scene.
    gap : int
        Pixels between training and validation where the recipe does not say.

    Raises
    ------
    RecipeError
        Where the scenes cannot be divided as the recipe asks.
    """
    gap = gap if recipe.split.gap is None else recipe.split.gap
    roles: list[str] = [pair.source.role for pair in pairs]
    auto = [number for number, role in enumerate(roles) if role == "auto"]
    marks: dict[int, Marks] = {}
    if recipe.split.by == "blocks":
        tables = [number for number in auto if pairs[number].source.table is not None]
        marks = {number: hold_out_squares(recipe, scenes[number].folder) for number in tables}
        auto = [number for number in auto if number not in marks]
    if auto and recipe.split.by == "scene":
        for number, held_out in zip(auto, _by_scene(recipe, [scenes[n] for n in auto]), strict=True):
            roles[number] = "validation" if held_out else "train"
    elif auto and recipe.split.by == "polygons":
        path = _polygons(recipe)
        marks = {number: PolygonMarks(path, scenes[number].grid) for number in auto}
    elif auto:
        blocks = _by_blocks(recipe, [scenes[n] for n in auto], gap)
        marks.update(zip(auto, blocks, strict=True))
    plots = []
    for number, (scene, role) in enumerate(zip(scenes, roles, strict=True)):
        place = folder / f"{number:05d}"
        place.mkdir(parents=True)
        if number in marks:
            _write_both(scene, place, marks[number], gap)
        else:
            shutil.copyfile(scene.folder / "labels.npy", place / f"{role}.npy")
        plots.append(_plot(scene, place, len(recipe.classes), pairs[number].source))
    shares = shared_ground(pairs, scenes, plots)
    return [replace(plot, shared=share) for plot, share in zip(plots, shares, strict=True)]


def _plot(scene: Decoded, place: Path, classes: int, source: Source) -> Plot:
    return Plot(
        name=scene.name,
        scene=scene.folder,
        folder=place,
        height=scene.height,
        width=scene.width,
        scale=scene.scale,
        offset=scene.offset,
        train=_count(place / "train.npy", classes),
        validation=_count(place / "validation.npy", classes),
        weight=source.weight,
        paste=source.paste,
    )


def _write_both(scene: Decoded, place: Path, marks: Marks, gap: int) -> None:
    labels = open_array(scene.folder / "labels.npy")
    train, held_out = (
        create_array(place / f"{role}.npy", labels.shape, labels.dtype) for role in ("train", "validation")
    )
    for window in strips(scene.height, scene.width):
        part = np.asarray(labels[window.slices])
        held_out[window.slices] = np.where(marks.inside(window), part, IGNORE)
        train[window.slices] = np.where(marks.near(window, gap), IGNORE, part)


def _by_blocks(recipe: Recipe, scenes: list[Decoded], gap: int) -> list[Marks]:
    """Hold out blocks; what overlaps with those of a scene on another grid is not learnt from either."""
    places = same_grid(scenes)
    chosen = _chosen_blocks(recipe, scenes, places)
    blocks = [BlockMarks(chosen=chosen[place], block=recipe.split.block) for place in places]
    neighbours: list[list[int]] = [[] for _ in scenes]
    for one, other in overlaps(scenes):
        if places[one] != places[other]:
            neighbours[one].append(other)
            neighbours[other].append(one)
    grids = [scene.grid for scene in scenes]
    return [with_neighbours(n, blocks, grids, neighbours[n], gap) for n in range(len(scenes))]


def _chosen_blocks(recipe: Recipe, scenes: list[Decoded], places: list[int]) -> list[np.ndarray]:
    """Choose blocks of each place, or over all places where there are folds; bool, one array per place."""
    split = recipe.split
    counts: list[np.ndarray] = []
    for place in range(max(places) + 1):
        members = [scene for scene, where in zip(scenes, places, strict=True) if where == place]
        labels = [open_array(scene.folder / "labels.npy") for scene in members]
        counts.append(np.sum([block_counts(one, split.block, len(recipe.classes)) for one in labels], axis=0))
    chosen = [choose_blocks(each, split.validation, recipe.seed) for each in counts]
    if split.folds is not None:
        flat = np.concatenate([each.reshape(-1, each.shape[-1]) for each in counts])
        held_out = _fold(recipe, flat, "labelled blocks")
        ends = np.cumsum([each.shape[0] * each.shape[1] for each in counts])[:-1]
        parts = np.split(held_out, ends)
        chosen = [part.reshape(each.shape[:2]) for part, each in zip(parts, counts, strict=True)]
    for scene, place in zip(scenes, places, strict=True):
        if split.folds is None and not chosen[place].any():
            raise RecipeError(
                recipe.where("split", "block"),
                f"scene {scene.name} of {scene.height} x {scene.width} pixels cannot be divided into "
                f"blocks of {split.block}",
                "set split.block smaller, split.by to scene, or roles 'train' and 'validation'",
            )
    return chosen


def _fold(recipe: Recipe, counts: np.ndarray, what: str) -> np.ndarray:
    """Mark what one fold holds out; bool, one for each row of counts (pixels by class)."""
    split = recipe.split
    assert split.folds is not None
    labelled = int(np.count_nonzero(counts.sum(axis=1)))
    if labelled < split.folds:
        raise RecipeError(
            recipe.where("split", "folds"),
            f"{labelled} {what} cannot make {split.folds} folds",
            "ask for fewer folds, or set split.block smaller",
        )
    return choose_folds(counts, split.folds, recipe.seed) == (split.fold or 0)


def _by_scene(recipe: Recipe, scenes: list[Decoded]) -> list[bool]:
    """Whether each scene is held out; scenes that overlap are held out together."""
    places = overlapping(scenes)
    counts = np.zeros((max(places) + 1, len(recipe.classes)), dtype=np.int64)
    for scene, place in zip(scenes, places, strict=True):
        counts[place] += _count(scene.folder / "labels.npy", len(recipe.classes))
    if recipe.split.folds is None:
        chosen = choose_blocks(counts, recipe.split.validation, recipe.seed)
    else:
        chosen = _fold(recipe, counts, "labelled places")
    if not chosen.any():
        raise RecipeError(
            recipe.where("split", "by"),
            "there are fewer than two places with labels, so no scene can be held out",
            "add scenes, or divide by blocks",
        )
    return [bool(chosen[place]) for place in places]


def _polygons(recipe: Recipe) -> Path:
    path = recipe.data_root / str(recipe.split.polygons)
    if not path.is_file():
        raise RecipeError(
            recipe.where("split", "polygons"), f"{path} does not exist", "name a vector file of polygons"
        )
    return path


def _count(path: Path, classes: int) -> tuple[int, ...]:
    if not path.exists():
        return (0,) * classes
    labels = open_array(path)
    total = np.zeros(IGNORE + 1, dtype=np.int64)
    for window in strips(*labels.shape):
        total += np.bincount(labels[window.slices].ravel(), minlength=IGNORE + 1)
    return tuple(int(n) for n in total[:classes])
