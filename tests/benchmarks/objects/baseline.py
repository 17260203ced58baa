"""What everybody can make of the same probabilities: a threshold, then outlines or a skeleton of pixels."""

from pathlib import Path

import geopandas
import networkx
import numpy as np
import rasterio
import shapely
from affine import Affine

from tests.benchmarks.objects.picture import outlines

HALF = 50  # percent


def above_half(probability: Path, classes: list[int]) -> tuple[np.ndarray, Affine, str]:
    """Tell where bands of a file of percentages, numbered from 1, are more than half together.

    Returns
    -------
    mask : bool array, shape (rows, columns)
        False where nothing is known.
    transform, crs
        Of the file.
    """
    with rasterio.open(probability) as file:
        percent = file.read(classes, masked=True)
        return (percent.sum(axis=0) > HALF).filled(False), file.transform, file.crs.to_wkt()


def simple_layer(task: str, probability: Path, classes: list[int], out: Path) -> np.ndarray:
    """Write the layer that a few lines of Python make of a probability raster; returns its pixels."""
    mask, transform, crs = above_half(probability, classes)
    make = outlines if task == "buildings" else centrelines
    out.unlink(missing_ok=True)
    make(mask, transform, crs).to_file(out, layer=task)
    return mask


def centrelines(
    surface: np.ndarray, transform: Affine, crs: str, spur: float = 0.0
) -> geopandas.GeoDataFrame:
    """Make lines of a surface of roads with `skimage.morphology.skeletonize` and `sknw.build_sknw`.

    Parameters
    ----------
    surface : bool array, shape (rows, columns)
    transform, crs
        Of the pixels.
    spur : float
        Dead ends that are shorter go, in pixels.
    """
    import sknw
    from skimage.morphology import skeletonize

    graph = sknw.build_sknw(skeletonize(surface).astype(np.uint16), multi=True, ring=True)
    _prune(graph, spur, surface.shape)
    lines = []
    for u, v, course in graph.edges(data="pts"):
        points = np.concatenate([[graph.nodes[u]["o"]], course, [graph.nodes[v]["o"]]])[:, ::-1] + 0.5
        lines.append(shapely.LineString(np.stack(transform * points.T, axis=1)))
    return geopandas.GeoDataFrame(geometry=lines, crs=crs)


def _prune(graph: networkx.MultiGraph, spur: float, shape: tuple[int, int]) -> None:
    """Take off short dead ends at junctions, but those that leave the picture."""
    last = np.array(shape) - 2
    short = [
        (u, v, key)
        for u, v, key, length in graph.edges(keys=True, data="weight")
        if length < spur
        for end, junction in ((u, v), (v, u))
        if graph.degree(end) == 1 and graph.degree(junction) > 2
        if not ((graph.nodes[end]["o"] <= 1) | (graph.nodes[end]["o"] >= last)).any()
    ]
    graph.remove_edges_from(short)
