"""QGIS styles (QML) for maps, polygons and confidence.

Documents are built as trees, so class names cannot break out of their attributes. The elements are those
of QGIS 3: `QgsPalettedRasterRenderer`, `QgsSingleBandPseudoColorRenderer`, `QgsCategorizedSymbolRenderer`.
"""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as Xml

from geodl.models.spec import ClassSpec

DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
VERSION = "3.28.0"
OUTLINE = "#4a4a4a"

# Confidence 0..1: QGIS applies the band's scale of 0.01 before it colours. Dark where the map is doubtful.
RAMP = ((0.0, "#440154"), (0.25, "#3b528b"), (0.5, "#21918c"), (0.75, "#5ec962"), (1.0, "#fde725"))


def raster_style(classes: Sequence[ClassSpec]) -> str:
    """QML of a class raster: one palette entry per class."""
    root, pipe = _raster_document()
    renderer = Xml.SubElement(
        pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1", nodataColor=""
    )
    palette = Xml.SubElement(renderer, "colorPalette")
    for c in classes:
        Xml.SubElement(palette, "paletteEntry", value=str(c.value), label=c.name, color=c.color, alpha="255")
    return _text(root)


def confidence_style(maximum: float = 1.0, *, doubt: bool = False) -> str:
    """QML of a confidence raster from 0 to `maximum`, as QGIS sees it after the band's scale.

    With `doubt` high values, those of the entropy, have the colours of low confidence.
    """
    root, pipe = _raster_document()
    renderer = Xml.SubElement(
        pipe,
        "rasterrenderer",
        type="singlebandpseudocolor",
        band="1",
        opacity="1",
        alphaBand="-1",
        nodataColor="",
        classificationMin="0",
        classificationMax=f"{maximum:g}",
    )
    shader = Xml.SubElement(
        Xml.SubElement(renderer, "rastershader"),
        "colorrampshader",
        colorRampType="INTERPOLATED",
        classificationMode="1",
        clip="0",
        minimumValue="0",
        maximumValue=f"{maximum:g}",
        labelPrecision="2",
    )
    colors = [color for _, color in RAMP]
    for (share, _), color in zip(RAMP, reversed(colors) if doubt else colors, strict=True):
        Xml.SubElement(
            shader, "item", value=f"{share * maximum:g}", label=f"{share:.0%}", color=color, alpha="255"
        )
    return _text(root)


def polygon_style(classes: Sequence[ClassSpec], *, attribute: str = "class") -> str:
    """QML of a polygon layer: one category per class value in `attribute`."""
    root = Xml.Element("qgis", version=VERSION, styleCategories="Symbology")
    renderer = Xml.SubElement(
        root,
        "renderer-v2",
        type="categorizedSymbol",
        attr=attribute,
        enableorderby="0",
        forceraster="0",
        symbollevels="0",
    )
    categories = Xml.SubElement(renderer, "categories")
    symbols = Xml.SubElement(renderer, "symbols")
    for index, c in enumerate(classes):
        Xml.SubElement(
            categories,
            "category",
            symbol=str(index),
            value=str(c.value),
            type="long",
            label=c.name,
            render="true",
        )
        _fill_symbol(symbols, str(index), c)
    Xml.SubElement(root, "blendMode").text = "0"
    Xml.SubElement(root, "layerGeometryType").text = "2"
    return _text(root)


def write_style(text: str, path: str | Path) -> Path:
    """Write a style; QGIS finds it by itself as ``landcover.qml`` beside ``landcover.tif``."""
    path = Path(path)
    path.write_bytes(text.encode())
    return path


def _fill_symbol(symbols: Xml.Element, name: str, c: ClassSpec) -> None:
    symbol = Xml.SubElement(
        symbols, "symbol", name=name, type="fill", alpha="1", clip_to_extent="1", force_rhr="0"
    )
    layer = Xml.SubElement(
        symbol, "layer", {"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"}
    )
    options = Xml.SubElement(layer, "Option", type="Map")
    for option, value in (
        ("color", _rgba(c.color)),
        ("style", "solid"),
        ("outline_color", _rgba(OUTLINE)),
        ("outline_style", "solid"),
        ("outline_width", "0.1"),
        ("outline_width_unit", "MM"),
        ("joinstyle", "bevel"),
    ):
        Xml.SubElement(options, "Option", name=option, value=value, type="QString")


def _raster_document() -> tuple[Xml.Element, Xml.Element]:
    root = Xml.Element("qgis", version=VERSION, styleCategories="Symbology", hasScaleBasedVisibilityFlag="0")
    pipe = Xml.SubElement(root, "pipe")
    Xml.SubElement(root, "blendMode").text = "0"
    return root, pipe


def _rgba(color: str) -> str:
    return ",".join(str(int(color[start : start + 2], 16)) for start in (1, 3, 5)) + ",255"


def _text(root: Xml.Element) -> str:
    Xml.indent(root)
    return DOCTYPE + Xml.tostring(root, encoding="unicode") + "\n"
