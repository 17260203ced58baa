"""Which scenes show the same ground."""

from collections.abc import Iterator

from pyproj import Transformer

from geodl.training.plots.decode import Decoded

_Box = tuple[float, float, float, float]


def same_grid(scenes: list[Decoded]) -> list[int]:
    """Give every scene the number of its place: one for all scenes on one grid, own ones for photographs."""
    keys = [
        (number,) if scene.crs is None else (scene.crs, scene.transform, scene.height, scene.width)
        for number, scene in enumerate(scenes)
    ]
    return _numbered(keys)


def overlapping(scenes: list[Decoded]) -> list[int]:
    """Give every scene the number of its place: the same for scenes joined by a chain of overlaps."""
    place = list(range(len(scenes)))
    for one, other in overlaps(scenes):
        if place[one] != place[other]:
            place = [place[one] if number == place[other] else number for number in place]
    return _numbered(place)


def overlaps(scenes: list[Decoded]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of scenes that share ground; photographs share none."""
    boxes = [_ground(scene) for scene in scenes]
    for one, a in enumerate(boxes):
        for other, b in enumerate(boxes[:one]):
            if a is not None and b is not None and _overlap(a, b):
                yield other, one


def _numbered(keys: list) -> list[int]:
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return [numbers[key] for key in keys]


def _ground(scene: Decoded) -> _Box | None:
    """West, south, east and north of a scene in degrees; None for photographs."""
    if scene.crs is None:
        return None
    to_degrees = Transformer.from_crs(scene.crs, "EPSG:4326", always_xy=True)
    west, south, east, north = to_degrees.transform_bounds(*scene.grid.boundingbox.bbox)
    # A scene across the 180th meridian goes on beyond it, rather than around the globe.
    return west, south, east + 360 if east < west else east, north


def _overlap(a: _Box, b: _Box) -> bool:
    """Tell whether two boxes share more than a border: a hundredth of the smaller side of either."""
    return all(
        min(a[high], b[high]) - max(a[low], b[low]) > 0.01 * min(a[high] - a[low], b[high] - b[low])
        for low, high in ((0, 2), (1, 3))
    )
