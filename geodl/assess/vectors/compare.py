"""Vector layers against vector layers: footprints, or networks, by what the files hold."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geodl.assess.vectors.apls import PathOptions, path_similarity
from geodl.assess.vectors.layer import Layer, ground_around, open_layer
from geodl.assess.vectors.network import Junctions, read_network
from geodl.assess.vectors.network_result import NetworkAssessment, NetworkSize, RelaxedAccuracy
from geodl.assess.vectors.object_result import ObjectAssessment
from geodl.assess.vectors.objects import ObjectOptions, assess_objects
from geodl.assess.vectors.relaxed import near_share
from geodl.errors import OptionError, SceneError


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """What is told of lines.

    Parameters
    ----------
    buffers : tuple of float
        Distances in metres within which lines count as found.
    junctions : {"crossings", "vertices"}
        Where lines meet; see `geodl.assess.vectors.network.network_of`.
    paths : PathOptions
        How ways are compared.
    """

    buffers: tuple[float, ...] = (3.0,)
    junctions: Junctions = "crossings"
    paths: PathOptions = field(default_factory=PathOptions)

    def __post_init__(self) -> None:
        if not self.buffers or not all(0 < value < np.inf for value in self.buffers):
            shown = ", ".join(f"{value:g}m" for value in self.buffers)
            raise OptionError(f"--buffer {shown}", "is no distance", "give for instance 3m")


def assess_vectors(
    map_path: str | Path,
    reference: str | Path,
    *,
    layer: str | None = None,
    reference_layer: str | None = None,
    area_of_interest: str | Path | None = None,
    min_area: float = 0.0,
    objects: ObjectOptions | None = None,
    network: NetworkOptions | None = None,
) -> ObjectAssessment | NetworkAssessment:
    """Compare a vector layer with a reference: polygons as objects, lines as a network.

    Parameters
    ----------
    map_path, reference : str or Path
        Vector files, each in any CRS. Polygons are read piece by piece, lines all at once.
    layer, reference_layer : str, optional
        Layers of the two; by default ``edges`` where there is one, else the only one that fits.
    area_of_interest : str or Path, optional
        Polygons outside of which nothing counts. What lies across their border is clipped on both sides,
        as the tiles of SpaceNet clip their labels.
    min_area : float
        Polygons below it, in m², do not count on either side; SpaceNet leaves out less than 20 m².
    objects : ObjectOptions, optional
        For polygons.
    network : NetworkOptions, optional
        For lines.

    Raises
    ------
    OptionError
        An option is impossible, or is for polygons where there are lines, or the other way round.
    SceneError
        A file cannot be read or has no CRS, the reference is empty, the two hold different kinds of
        geometries or lie in different places.
    """
    if min_area < 0:
        raise OptionError(f"--min-area {min_area:g}", "is below 0", "give square metres")
    truth = open_layer(reference, reference_layer)
    mapped = open_layer(map_path, layer, truth.kind)
    _check(mapped, truth)
    if truth.kind == "lines" and (objects is not None or min_area):
        raise OptionError(
            f"layer {reference}",
            "holds lines",
            "leave out --iou, --boundary and --min-area: for polygons only",
        )
    if truth.kind == "polygons" and network is not None:
        raise OptionError(
            f"layer {reference}",
            "holds polygons",
            "leave out --buffer and --junctions: they are for lines only",
        )
    ground = ground_around(*truth.middle)
    area = None if area_of_interest is None else _area(area_of_interest, ground)
    mapped, truth = mapped.on(ground, area, min_area), truth.on(ground, area, min_area)
    _check_places(mapped, truth, area_of_interest)
    if truth.kind == "polygons":
        footprints = assess_objects(mapped, truth, objects or ObjectOptions())
        _check_left(reference, footprints.reference_objects.count)
        return footprints
    lines = assess_networks(mapped, truth, network or NetworkOptions())
    _check_left(reference, lines.reference_size.edges)
    return lines


def assess_networks(mapped: Layer, reference: Layer, how: NetworkOptions) -> NetworkAssessment:
    """Compare two layers of lines in the same metric CRS."""
    made, wanted = read_network(mapped, how.junctions), read_network(reference, how.junctions)
    buffers = np.array(how.buffers)
    precision = near_share(made.edges, wanted.edges, buffers).tolist()
    recall = near_share(wanted.edges, made.edges, buffers).tolist()
    relaxed = (
        RelaxedAccuracy(buffer=buffer, precision=p, recall=r)
        for buffer, p, r in zip(how.buffers, precision, recall, strict=True)
    )
    return NetworkAssessment(
        map=str(mapped.path),
        reference=str(reference.path),
        map_size=NetworkSize.of(made),
        reference_size=NetworkSize.of(wanted),
        relaxed=tuple(relaxed),
        paths=path_similarity(made, wanted, how.paths),
    )


def _check(mapped: Layer, reference: Layer) -> None:
    if reference.box is None:
        raise SceneError(
            f"layer {reference.path}", "has no features: nothing can be compared with it", "give another"
        )
    if mapped.kind != reference.kind:
        raise SceneError(
            f"layer {mapped.path}",
            f"holds {mapped.kind}, the reference {reference.path} {reference.kind}",
            "compare footprints with footprints and lines with lines; another layer is named with --layer, "
            "--reference-layer",
        )


def _check_left(reference: str | Path, count: int) -> None:
    if not count:
        raise SceneError(
            f"layer {reference}",
            "has nothing left to compare with",
            "check --area-of-interest and --min-area",
        )


def _check_places(mapped: Layer, reference: Layer, area: str | Path | None) -> None:
    """Refuse layers whose bounds have nothing in common."""
    bounds = shapely.box(*reference.bounds)
    if mapped.box is not None and not bounds.intersects(shapely.box(*mapped.bounds)):
        raise SceneError(
            f"layer {mapped.path}",
            f"lies around {_place(mapped)}, the reference {reference.path} around {_place(reference)}",
            "give layers of the same place, and check that each has its right CRS",
        )
    if reference.area is not None and not bounds.intersects(reference.area):
        raise SceneError(
            f"area of interest {area}",
            f"does not touch the reference {reference.path}, which lies around {_place(reference)}",
            "give an area of the same place, and check its CRS",
        )


def _place(layer: Layer) -> str:
    longitude, latitude = layer.middle
    return f"longitude {longitude:.4f}, latitude {latitude:.4f}"


def _area(path: str | Path, ground: Any) -> Any:
    """Polygons of a file as one, in metres."""
    layer = open_layer(path, kind="polygons")
    if layer.kind != "polygons" or layer.box is None:
        raise SceneError(f"area of interest {path}", "holds no polygons", "draw the area as polygons")
    return shapely.union_all(layer.on(ground).read().geometry)
