"""Layers as QGIS stores them in a project: `QgsMapLayer::readLayerXml`."""

from xml.etree import ElementTree as Xml

import pyproj
from rasterio.crs import CRS

from geodl.publish.project.description import Layer
from geodl.publish.project.words import BREAK, breakable, identifier, legal, plain

_LEGEND_WIDTH = 30  # letters of a line in the legend of the print layout


def layer_id(layer: Layer) -> str:
    """Return the id of a layer in its project."""
    return identifier("layer", layer.source, layer.title)


def provider_of(layer: Layer) -> str:
    """Return what QGIS reads a layer with."""
    return "gdal" if layer.geometry is None else "ogr"


def layer_element(layer: Layer) -> Xml.Element:
    """Return the ``maplayer`` of a layer."""
    scale = layer.smallest_scale
    root = Xml.Element(
        "maplayer",
        type="raster" if layer.geometry is None else "vector",
        styleCategories="AllStyleCategories",
        hasScaleBasedVisibilityFlag="0" if scale is None else "1",
        minScale="100000000" if scale is None else f"{scale:g}",
        maxScale="0",
    )
    if layer.geometry is not None:
        root.set("geometry", layer.geometry)
    for tag, text in (
        ("id", layer_id(layer)),
        ("datasource", legal(layer.source)),
        ("layername", plain(layer.title)),
    ):
        Xml.SubElement(root, tag).text = text
    Xml.SubElement(root, "srs").append(crs_element(layer.crs))
    provider = Xml.SubElement(root, "provider")
    provider.text = provider_of(layer)
    if layer.geometry is not None:
        provider.set("encoding", "UTF-8")
    if layer.style is not None:
        root.extend(_styled(layer.style, layer.opacity))
    if layer.geometry is not None:
        Xml.SubElement(root, "layerOpacity").text = f"{layer.opacity:g}"
    return root


def legend_lines(layer: Layer) -> int:
    """Return how many lines of a legend a layer takes."""
    if layer.style is None:
        return 1
    root = Xml.fromstring(layer.style.encode())  # noqa: S314 - a style that geodl has written
    labels = [entry.get("label", "") for entry in _entries(root)]
    return max(1, sum(1 + breakable(label, _LEGEND_WIDTH).count(BREAK) for label in labels))


def _entries(root: Xml.Element) -> list[Xml.Element]:
    return [*root.iter("paletteEntry"), *root.iter("category")]


def crs_element(crs: CRS | None) -> Xml.Element:
    """Return the ``spatialrefsys`` of a CRS; of none an empty one, which QGIS takes for an unknown CRS."""
    root = Xml.Element("spatialrefsys")
    if crs is None:
        return root
    known = pyproj.CRS.from_wkt(crs.to_wkt())
    authority = known.to_authority(min_confidence=100)
    for tag, text in (
        ("wkt", known.to_wkt()),
        ("authid", "" if authority is None else ":".join(authority)),
        ("description", known.name),
        ("geographicflag", "true" if known.is_geographic else "false"),
    ):
        Xml.SubElement(root, tag).text = plain(text)
    return root


def _styled(style: str, opacity: float) -> list[Xml.Element]:
    """Return what a QML says, fit for the legend of a print layout; rasters get their opacity here."""
    root = Xml.fromstring(style.encode())  # noqa: S314 - a style that geodl has written
    for renderer in root.iter("rasterrenderer"):
        renderer.set("opacity", f"{opacity:g}")
    for entry in _entries(root):
        entry.set("label", breakable(entry.get("label", ""), _LEGEND_WIDTH))
    return list(root)
