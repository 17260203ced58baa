"""How outlines of polygons differ: the ground beside them, their vertices."""

import numpy as np
import shapely


def inner_band(polygons: np.ndarray, width: float) -> np.ndarray:
    """Return what of each polygon lies within `width` metres of its outline; may be all of it.

    The ground that boundary IoU looks at: Cheng, Girshick, Dollár, Berg and Kirillov, *Boundary IoU:
    Improving Object-Centric Image Segmentation Evaluation* (CVPR 2021,
    doi:10.1109/CVPR46437.2021.01508).
    """
    return shapely.difference(polygons, shapely.buffer(polygons, -width))


def vertices(polygons: np.ndarray) -> np.ndarray:
    """Count the corners of polygons, holes included; the closing point of a ring is no corner.

    >>> vertices(np.array([shapely.box(0, 0, 1, 1)]))
    array([4])
    """
    parts, polygon = shapely.get_parts(polygons, return_index=True)
    _, part = shapely.get_rings(parts, return_index=True)
    return shapely.get_num_coordinates(polygons) - np.bincount(polygon[part], minlength=len(polygons))
