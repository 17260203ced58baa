"""Road centrelines and a network to route on, from a raster of any size.

The skeleton (`skeleton.py`) of a mask without the islands that part no road (`islands.py`) is made window by
window, traced strip by strip (`trace.py`) and smoothed (`lines.py`); memory holds a strip, and the network.
What follows works on the network alone: spurs and specks go, junctions become one node (`clean.py`) where
their roads meet (`junctions.py`), dead ends keep to the axis of their road (`ends.py`), and gaps are bridged:
between ends (`bridge.py`), and between an end and the side of another road (`mouths.py`), where the ground
allows it (`obstacles.py`). Roads that cross at a small angle cross at one place (`crossings.py`), lanes that
touch do not cross (`lanes.py`). Lengths and widths are in metres, tolerances in pixels or in multiples of the
road's width.
"""

from collections.abc import Mapping

import numpy as np

from geodl.vector.batch import Batches
from geodl.vector.options import VectorOptions
from geodl.vector.roads.bridge import bridge_gaps
from geodl.vector.roads.clean import drop_specks, merge_junctions, prune_spurs
from geodl.vector.roads.crossings import join_crossings
from geodl.vector.roads.ends import straighten_ends
from geodl.vector.roads.ground import Ground
from geodl.vector.roads.junctions import straighten_junctions
from geodl.vector.roads.lanes import part_lanes
from geodl.vector.roads.lines import smooth_lines
from geodl.vector.roads.mask import RoadRows, road_value
from geodl.vector.roads.mouths import open_mouths
from geodl.vector.roads.network import Network, smooth_roads
from geodl.vector.roads.obstacles import passable_ground
from geodl.vector.roads.skeleton import STRIP_ROWS, WINDOW_COLUMNS, skeleton_rows
from geodl.vector.roads.table import road_layers
from geodl.vector.roads.trace import trace_paths
from geodl.vector.source import ClassRaster, ConfidenceRaster

SIMPLIFY = 0.5  # pixels
SURFACE = 100.0  # square metres: a connected part with less road is a car park's aisle or an error


def road_network(
    raster: ClassRaster,
    *,
    confidence: ConfidenceRaster | None = None,
    names: Mapping[int, str] | None = None,
    options: VectorOptions | None = None,
    strip_rows: int = STRIP_ROWS,
    window_columns: int = WINDOW_COLUMNS,
) -> Batches:
    """Yield the edges and the nodes of the road network in a raster.

    Parameters
    ----------
    raster : ClassRaster
        Road is the class that `options` name, else the one called road, else 1 where it occurs, else
        every value but 0 and nodata.
    confidence : ConfidenceRaster, optional
        Confidence of each pixel on the same grid.
    names : mapping of int to str, optional
        Class names.
    options : VectorOptions, optional
        ``simplify`` in pixels, by default 0.5; ``min_area`` in square metres of road surface, length times
        width, below which a connected part of the network is left out, by default 100.
    strip_rows, window_columns : int
        How much of the raster is thinned at a time, for tests: the result does not depend on it.

    Yields
    ------
    FeatureBatch
        Layer ``edges``, LineStrings: ``id`` (1, 2, ...), ``u`` and ``v`` (the nodes at the start and the end
        of the line, u <= v), ``key`` (0, 1, ... among edges between the same nodes), ``name`` of the class,
        ``length_m`` (geodesic), ``width_m`` (twice the median distance from the centreline to the edge of the
        road) and, with `confidence`, ``confidence`` (mean along the centreline, 0..1, NaN where unknown).
        Layer ``nodes``, Points: ``id`` (1, 2, ... row by row), ``degree`` (number of edge ends). Where the
        raster has no place on the earth lengths and widths are ``length_px`` and ``width_px``. Coordinates
        are those of the raster's CRS.

    Raises
    ------
    OptionError
        An option means nothing for roads.
    SceneError
        The raster cannot be read, or its middle has no place on the earth.
    """
    names, options = names or {}, options or VectorOptions()
    options.refuse(("connectivity", "regularize"), "roads")
    ground, value = Ground.of(raster), road_value(raster, names, options)
    skeleton = skeleton_rows(
        RoadRows(raster, value),
        raster.shape,
        ground,
        confidence,
        strip_rows=strip_rows,
        window_columns=window_columns,
    )
    width, pixel = raster.shape[1], ground.pixel
    lines = [line for paths in trace_paths(skeleton, width) for line in smooth_lines(paths, width, ground)]
    network = Network.of_lines(lines)
    prune_spurs(network, pixel, ground.of_pixels(np.array([[width - 1, raster.shape[0] - 1]]))[0])
    merge_junctions(network, pixel)
    straighten_ends(network)
    passable = passable_ground(raster, ground, names)
    bridge_gaps(network, pixel, passable)
    open_mouths(network, pixel, passable)
    join_crossings(network)
    part_lanes(network)
    straighten_junctions(network, pixel)
    smooth_roads(network, pixel)
    drop_specks(network, SURFACE if options.min_area is None else options.min_area)
    yield from road_layers(
        network,
        ground,
        name="road" if value is None else names.get(value, "road"),
        confidence=confidence is not None,
        simplify=(SIMPLIFY if options.simplify is None else options.simplify) * pixel,
    )
