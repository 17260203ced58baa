"""On which line of a YAML file a key stands."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

_MOST = 100_000
"""Values of a recipe."""

Keys = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Positions:
    """Lines of a file by the way to a key: ``("sources", 0, "labels")``.

    Parameters
    ----------
    path : Path
        The file.
    lines : dict
        Line, counted from 1, of every key and list entry.
    twice : list
        Keys that are written more than once in one place: the way, the first and the second line.
    """

    path: Path
    lines: dict[Keys, int] = field(default_factory=dict)
    twice: list[tuple[Keys, int, int]] = field(default_factory=list)

    def line(self, keys: Sequence[str | int]) -> int | None:
        """Line of a key, or of the nearest one around it that is in the file."""
        for length in range(len(keys), 0, -1):
            found = self.lines.get(tuple(keys[:length]))
            if found is not None:
                return found
        return None

    def describe(self, keys: Sequence[str | int]) -> str:
        """``"line 12, sources.0.labels"``."""
        line, name = self.line(keys), ".".join(map(str, keys))
        return name if line is None else f"line {line}, {name}"


def positions_of(path: Path, text: str) -> Positions:
    """Find the lines of all keys of a YAML text.

    Raises
    ------
    yaml.YAMLError
        The text is no YAML, or its aliases make more of it than a recipe can be.
    """
    positions = Positions(path=path)
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if _extent(root, {}) > _MOST:
        raise yaml.YAMLError("its aliases repeat each other without end; write the values out")
    for keys, line in _walk(root, (), set()):
        if keys in positions.lines:
            positions.twice.append((keys, positions.lines[keys], line))
        else:
            positions.lines[keys] = line
    return positions


def _extent(node: yaml.Node | None, known: dict[int, float]) -> float:
    """Count the nodes once every alias is filled in: infinitely many where one contains itself."""
    if node is None or id(node) in known:
        return known.get(id(node), 0)
    known[id(node)] = math.inf
    below: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        below = [each for pair in node.value for each in pair]
    elif isinstance(node, yaml.SequenceNode):
        below = node.value
    known[id(node)] = 1 + sum(_extent(each, known) for each in below)
    return known[id(node)]


def _walk(node: yaml.Node | None, keys: Keys, seen: set[int]) -> Iterator[tuple[Keys, int]]:
    """Yield every key below a node with its line; what an alias repeats is entered once."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))  # aliases of aliases would double what there is to see at every level
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            way = (*keys, str(key.value))
            yield way, key.start_mark.line + 1
            yield from _walk(value, way, seen)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            way = (*keys, number)
            yield way, value.start_mark.line + 1
            yield from _walk(value, way, seen)
