"""Which scene belongs to which labels: the patterns of a recipe, matched against the disk."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from geodl.errors import RecipeError
from geodl.scene.pair import SUFFIXES, rasters_in
from geodl.training.recipe import Recipe, Source
from geodl.training.recipe.portable import folder_of


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The files of one scene, the file with its labels, and the entry of the recipe they come from."""

    scene: tuple[Path, ...]
    labels: Path
    source: Source
    after: tuple[Path, ...] = ()
    """The files of the later date, for change."""
    masks: tuple[Path, ...] = ()
    """What is 0 where the dates of a series are hidden, in the order of `scene`."""
    unlabelled: bool = False
    """Whether there is no label file, and the recipe takes all of the scene for background."""


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
            match
            for pattern in source.patterns
            for match in _match(root, pattern, recipe.where("sources", number, "scenes"))
        ]
        together = tuple(file for match in found for file in _files(match.path))
        seen = []
        one = not found[0].path.is_dir() if source.series else source.stack
        for match in found[:1] if one else found:
            scene = together if one else _files(match.path)
            labels = scene[0] if source.table is not None else root / match.fill(source.labels)
            masks = _masks(recipe, number, match, len(scene))
            after = () if source.after is None else _files(root / match.fill(source.after))
            if any(not file.is_file() for file in after):
                raise RecipeError(
                    recipe.where("sources", number, "after"),
                    f"{after[0]} does not exist",
                    f"it belongs to {match.path}; mend the pattern",
                )
            unlabelled = not source.labelled or not labels.is_file()
            if unlabelled and source.labelled and source.missing == "refuse":
                raise RecipeError(
                    recipe.where("sources", number, "labels"),
                    f"{labels} does not exist",
                    f"it belongs to {scene[0]}; where no file means that nothing is there, say "
                    "`missing: background`; where nobody has looked, `missing: leave_out`",
                )
            seen.append(
                Pair(
                    scene=scene, labels=labels, source=source, after=after, masks=masks, unlabelled=unlabelled
                )
            )
        if source.labelled and all(pair.unlabelled for pair in seen):
            raise RecipeError(
                recipe.where("sources", number, "labels"),
                f"no scene has a label file; {seen[0].labels} does not exist",
                "mend the pattern",
            )
        left_out = source.labelled and source.missing == "leave_out"
        pairs += [pair for pair in seen if not (pair.unlabelled and left_out)]
    return pairs


@dataclass(frozen=True, kw_only=True)
class _Match:
    """A file or folder that a pattern of the recipe matches."""

    path: Path
    name: str
    """Its path from the first wildcard of the pattern on, without suffix."""
    star: str | None
    """What the first ``*`` of the pattern stands for."""

    def fill(self, pattern: str) -> str:
        """Put what is known of the scene into a pattern of another file."""
        known = {"stem": self.path.stem, "folder": str(self.path.parent), "name": self.name}
        if self.star is not None:
            known["*"] = self.star
        return re.sub(r"\{(stem|folder|name|\*)\}", lambda found: known.get(found[1], found[0]), pattern)


def _masks(recipe: Recipe, number: int, match: _Match, dates: int) -> tuple[Path, ...]:
    source, where = recipe.sources[number], recipe.where("sources", number, "masks")
    if source.masks is None:
        return ()
    found = _match(recipe.root_of(source), match.fill(source.masks), where)
    if len(found) != dates and not source.stack:
        raise RecipeError(
            where, f"{len(found)} masks for the {dates} files of {match.path}", "give one mask for each file"
        )
    return tuple(each.path for each in found)


def _files(path: Path) -> tuple[Path, ...]:
    return tuple(map(Path, rasters_in(path))) if path.is_dir() else (path,)


def _match(root: Path, pattern: str, where: str) -> list[_Match]:
    """Find the files and folders that match."""
    if Path(pattern).is_absolute():
        root, pattern = Path("/"), pattern.lstrip("/")
    found = sorted(path for path in root.glob(pattern) if path.is_file() or _is_scene(path))
    if not found:
        raise RecipeError(where, f"nothing matches {pattern!r} in {root}", "set data_root or the pattern")
    fixed = 0
    for part in Path(pattern).parts[:-1]:
        if re.search(r"[*?\[]", part):
            break
        fixed += 1
    skipped = len(root.parts) + fixed
    return [
        _Match(
            path=path,
            name=Path(*path.parts[skipped:]).with_suffix("").as_posix(),
            star=_star(pattern, path.relative_to(root).as_posix()),
        )
        for path in found
    ]


def _is_scene(path: Path) -> bool:
    return path.is_dir() and any(file.suffix.lower() in SUFFIXES for file in path.iterdir())


def _star(pattern: str, path: str) -> str | None:
    """Return what the first ``*`` of a pattern stands for; None where it has none.

    >>> _star("oscd/*/imgs_1", "oscd/paris/imgs_1"), _star("s2_*_2023.*", "s2_7_2023.tif")
    ('paris', '7')
    """
    wildcard = re.compile(r"\*\*/|\*|\?|\[[^\]]*\]")
    text, last, starred = "", 0, False
    for piece in wildcard.finditer(pattern):
        text += re.escape(pattern[last : piece.start()])
        last = piece.end()
        if piece[0] == "**/":
            text += "(?:.*/)?"
        elif piece[0] == "*":
            text += "[^/]*" if starred else "(?P<star>[^/]*)"
            starred = True
        else:
            text += "[^/]"
    match = re.fullmatch(text + re.escape(pattern[last:]), path)
    return match["star"] if match and starred else None


def scene_names(pairs: list[Pair]) -> list[str]:
    """Name scenes for people: by their file, and where files of one name differ by folder, by that too.

    Examples
    --------
    >>> source = Source(scenes="*", labels="x")
    >>> paths = [Path("a/t1/img/p1.tif"), Path("a/t2/img/p1.tif"), Path("a/t2/img/p2.tif")]
    >>> scene_names([Pair(scene=(path,), labels=path, source=source) for path in paths])
    ['t1/p1', 't2/p1', 'p2']
    """
    paths = [pair.scene[0] if len(pair.scene) == 1 else pair.scene[0].parent for pair in pairs]
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
    return sorted(
        {folder_of(pair.scene[0], recipe.root_of(pair.source), pair.source.patterns) for pair in pairs}
    )
