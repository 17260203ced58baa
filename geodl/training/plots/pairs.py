"""Which scene belongs to which labels: the patterns of a recipe, matched against the disk."""

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from geodl.errors import RecipeError
from geodl.training.recipe import Recipe, Source


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The files of one scene, the file with its labels, and the entry of the recipe they come from."""

    scene: tuple[Path, ...]
    labels: Path
    source: Source
    unlabelled: bool = False
    """Whether there is no such label file, and the recipe takes all of the scene for background."""


def find_pairs(recipe: Recipe) -> list[Pair]:
    """List the scenes and label files of a recipe, in the order of the recipe and of their names.

    Raises
    ------
    RecipeError
        Where a pattern matches nothing, or a label file is missing that the recipe needs.
    """
    pairs: list[Pair] = []
    for number, source in enumerate(recipe.sources):
        root = recipe.root_of(source)
        found = [
            (path, name)
            for pattern in source.patterns
            for path, name in _match(root, pattern, recipe.where("sources", number, "scenes"))
        ]
        paths = tuple(path for path, _ in found)
        seen = []
        for scene, name in [(paths, found[0][1])] if source.stack else [((p,), name) for p, name in found]:
            labels = root / _labels_of(source.labels, scene[0], name)
            unlabelled = not labels.is_file()
            if unlabelled and source.missing == "refuse":
                raise RecipeError(
                    recipe.where("sources", number, "labels"),
                    f"{labels} does not exist",
                    f"it belongs to {scene[0]}; where no file means that nothing is there, say "
                    "`missing: background`; where nobody has looked, `missing: leave_out`",
                )
            seen.append(Pair(scene=scene, labels=labels, source=source, unlabelled=unlabelled))
        if all(pair.unlabelled for pair in seen):
            raise RecipeError(
                recipe.where("sources", number, "labels"),
                f"no scene has a label file; {seen[0].labels} does not exist",
                "mend the pattern",
            )
        pairs += [pair for pair in seen if not (pair.unlabelled and source.missing == "leave_out")]
    return pairs


def _labels_of(pattern: str, scene: Path, name: str) -> str:
    known = {"stem": scene.stem, "folder": str(scene.parent), "name": name}
    return re.sub(r"\{(stem|folder|name)\}", lambda match: known[match[1]], pattern)


def _match(root: Path, pattern: str, where: str) -> list[tuple[Path, str]]:
    """Files that match, each with what stands for the pattern from its first wildcard on, less suffix."""
    if Path(pattern).is_absolute():
        root, pattern = Path("/"), pattern.lstrip("/")
    found = sorted(path for path in root.glob(pattern) if path.is_file())
    if not found:
        raise RecipeError(where, f"nothing matches {pattern!r} in {root}", "set data_root or the pattern")
    fixed = 0
    for part in Path(pattern).parts[:-1]:
        if re.search(r"[*?\[]", part):
            break
        fixed += 1
    skipped = len(root.parts) + fixed
    return [(path, Path(*path.parts[skipped:]).with_suffix("").as_posix()) for path in found]


def scene_names(pairs: list[Pair]) -> list[str]:
    """Name scenes for people: by their file, and where files of one name differ by folder, by that too.

    Examples
    --------
    >>> source = Source(scenes="*", labels="x")
    >>> paths = [Path("a/t1/img/p1.tif"), Path("a/t2/img/p1.tif"), Path("a/t2/img/p2.tif")]
    >>> scene_names([Pair(scene=(path,), labels=path, source=source) for path in paths])
    ['t1/p1', 't2/p1', 'p2']
    """
    paths = [pair.scene[0] for pair in pairs]
    stems = Counter(path.stem for path in paths)
    names = []
    for path in paths:
        parts: list[str] = []
        if stems[path.stem] > 1:
            alike = [other.parts[:-1] for other in paths if other.stem == path.stem]
            shared = set.intersection(*map(set, alike))
            parts = [part for part in path.parts[:-1] if part not in shared]
        names.append("/".join([*parts, path.stem]))
    return names


def folders(recipe: Recipe, role: str) -> list[str]:
    """Folders with scenes for a role, ``train`` or ``validation``, relative to the root of their source."""
    pairs = [pair for pair in find_pairs(recipe) if pair.source.role in (role, "auto")]
    return sorted({os.path.relpath(pair.scene[0].parent, recipe.root_of(pair.source)) for pair in pairs})
