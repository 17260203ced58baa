"""What a project shows, in plain values."""

from dataclasses import dataclass
from typing import NamedTuple

from rasterio.crs import CRS


class Bounds(NamedTuple):
    """A rectangle in the CRS of the project."""

    left: float
    bottom: float
    right: float
    top: float


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer of a project."""

    title: str
    """What users read; any text."""
    source: str
    """Where QGIS finds it, as seen from the folder of the project: ``./map.tif``,
    ``./map.gpkg|layername=roads``."""
    style: str | None = None
    """QML, as `geodl.publish.qgis` makes it; without one QGIS chooses."""
    geometry: str | None = None
    """``Polygon``, ``Line`` or ``Point`` of a vector layer; None: a raster."""
    crs: CRS | None = None
    visible: bool = True
    opacity: float = 1.0
    """0 to 1."""
    smallest_scale: float | None = None
    """Denominator of the map scale beyond which the layer is not drawn: 40000 for 1:40 000."""
    in_legend: bool = False
    """Whether the legend of the print layout names it."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Layers under one heading, the upper ones first."""

    title: str
    layers: tuple["Layer | Group", ...]
    visible: bool = True
    expanded: bool = True

    def every(self) -> tuple[Layer, ...]:
        """Return all layers, those of inner groups included, the upper ones first."""
        found: tuple[Layer, ...] = ()
        for item in self.layers:
            found += (item,) if isinstance(item, Layer) else item.every()
        return found


@dataclass(frozen=True, kw_only=True)
class MapProject:
    """A finished map."""

    title: str
    subtitle: str = ""
    """Second line of the print layout: the scene and its date."""
    source: tuple[str, ...] = ()
    """Lines that say where the map comes from."""
    licence: str = ""
    legend: str = "Legend"
    """Heading of the legend."""
    crs: CRS | None = None
    extent: Bounds
    """What is seen at first, in the CRS of the project."""
    groups: tuple[Group, ...]
    """The upper ones first; empty ones are left out."""
