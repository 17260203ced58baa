"""How much ground polygons cover, whatever belongs to which polygon."""

import numpy as np
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def covered_areas(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Areas that the one, the other, and both of two layers of polygons cover; shape (3,).

    >>> one, two = shapely.box(0, 0, 2, 1), shapely.box(1, 0, 3, 1)
    >>> covered_areas(np.array([one, two]), np.array([two])).tolist()
    [3.0, 2.0, 2.0]
    """
    one, other = apart(one), apart(other)
    first, second = shapely.STRtree(other).query(one, predicate="intersects")
    both = shapely.area(shapely.intersection(one[first], other[second]))
    return np.array([shapely.area(one).sum(), shapely.area(other).sum(), both.sum()])


def apart(polygons: np.ndarray) -> np.ndarray:
    """Unite those polygons that overlap: much quicker than a union of all where few do."""
    polygons = shapely.get_parts(polygons)  # also of what a cut left as polygons and lines together
    polygons = polygons[(shapely.get_dimensions(polygons) == 2) & ~shapely.is_empty(polygons)]
    first, second = shapely.STRtree(polygons).query(polygons)
    pairs = first < second
    first, second = first[pairs], second[pairs]
    overlap = shapely.relate_pattern(polygons[first], polygons[second], "2********")
    first, second = first[overlap], second[overlap]
    if not len(first):
        return polygons
    count = len(polygons)
    links = coo_array((np.ones(len(first)), (first, second)), shape=(count, count))
    group = connected_components(links, directed=False)[1]
    sizes = np.bincount(group)
    united = [shapely.union_all(polygons[group == number]) for number in np.flatnonzero(sizes > 1)]
    return np.concatenate([polygons[sizes[group] == 1], united])
