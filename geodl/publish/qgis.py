"""QGIS styles (QML) for maps, vector layers and confidence.

Documents are built as trees, so class names cannot break out of their attributes. The elements are those
of QGIS 3: `QgsPalettedRasterRenderer`, `QgsSingleBandPseudoColorRenderer`, `QgsCategorizedSymbolRenderer`,
`QgsSingleSymbolRenderer`.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from xml.etree import ElementTree as Xml

from geodl.models.spec import ClassSpec

DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
VERSION = "3.28.0"
OUTLINE = "#4a4a4a"
ROAD = "#ffe08a"

# Confidence 0..1: QGIS applies the band's scale of 0.01 before it colours. Dark where the map is doubtful.
RAMP = ((0.0, "#440154"), (0.25, "#3b528b"), (0.5, "#21918c"), (0.75, "#5ec962"), (1.0, "#fde725"))


def raster_style(classes: Sequence[ClassSpec], *, hidden: Collection[int] = ()) -> str:
    """QML of a class raster: one palette entry per class; those of the values in `hidden` are transparent."""
    root, pipe = _raster_document()
    renderer = Xml.SubElement(
        pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1", nodataColor=""
    )
    palette = Xml.SubElement(renderer, "colorPalette")
    for c in classes:
        alpha = "0" if c.value in hidden else "255"
        label = harmless(c.name)
        Xml.SubElement(palette, "paletteEntry", value=str(c.value), label=label, color=c.color, alpha=alpha)
    return _text(root)


def imagery_style(
    bands: Sequence[int], stretch: Sequence[tuple[float, float]], *, opacity: int | None = None
) -> str:
    """QML of imagery.

    Parameters
    ----------
    bands : sequence of int
        Red, green and blue as GDAL counts them, from 1; or a single one, which is shown in grey.
    stretch : sequence of (float, float)
        For each of them the values that are shown dark and bright, after the scale of the band.
    opacity : int, optional
        The band that says how opaque pixels are.
    """
    root, pipe = _raster_document()
    colored = len(bands) == 3
    renderer = Xml.SubElement(
        pipe,
        "rasterrenderer",
        type="multibandcolor" if colored else "singlebandgray",
        opacity="1",
        alphaBand="-1" if opacity is None else str(opacity),
        nodataColor="",
    )
    limits = Xml.SubElement(renderer, "minMaxOrigin")
    for tag, text in (
        ("limits", "CumulativeCut"),
        ("extent", "WholeRaster"),
        ("statAccuracy", "Estimated"),
        ("cumulativeCutLower", "0.02"),
        ("cumulativeCutUpper", "0.98"),
    ):
        Xml.SubElement(limits, tag).text = text
    if not colored:
        renderer.set("grayBand", str(bands[0]))
        renderer.set("gradient", "BlackToWhite")
    names = ("red", "green", "blue") if colored else ("",)
    for name, band, (low, high) in zip(names, bands, stretch, strict=True):
        if colored:
            renderer.set(f"{name}Band", str(band))
        enhancement = Xml.SubElement(
            renderer, f"{name}ContrastEnhancement" if colored else "contrastEnhancement"
        )
        for tag, text in (
            ("minValue", f"{low:.10g}"),
            ("maxValue", f"{high:.10g}"),
            ("algorithm", "StretchToMinimumMaximum"),
        ):
            Xml.SubElement(enhancement, tag).text = text
    return _text(root)


def confidence_style(maximum: float = 1.0, *, doubt: bool = False, band: int = 1) -> str:
    """QML of a confidence raster from 0 to `maximum`, as QGIS sees it after the band's scale.

    With `doubt` high values, those of the entropy, have the colours of low confidence.
    """
    root, pipe = _raster_document()
    renderer = Xml.SubElement(
        pipe,
        "rasterrenderer",
        type="singlebandpseudocolor",
        band=str(band),
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
            label=harmless(c.name),
            render="true",
        )
        _fill_symbol(symbols, str(index), c)
    Xml.SubElement(root, "blendMode").text = "0"
    Xml.SubElement(root, "layerGeometryType").text = "2"
    return _text(root)


def line_style() -> str:
    """QML of a layer of roads: a light line with a dark edge; all edges first, so that roads join."""
    root, symbol = _single_symbol("line", "1")
    for level, color, width in ((0, OUTLINE, "0.9"), (1, ROAD, "0.55")):
        options = (
            ("line_color", _rgba(color)),
            ("line_style", "solid"),
            ("line_width", width),
            ("line_width_unit", "MM"),
            ("capstyle", "round"),
            ("joinstyle", "round"),
        )
        _symbol_layer(symbol, "SimpleLine", options, level=level)
    return _text(root)


def point_style() -> str:
    """QML of a layer of nodes: small circles."""
    root, symbol = _single_symbol("marker", "0")
    options = (
        ("name", "circle"),
        ("color", _rgba("#ffffff")),
        ("outline_color", _rgba(OUTLINE)),
        ("outline_style", "solid"),
        ("outline_width", "0.2"),
        ("outline_width_unit", "MM"),
        ("size", "1.2"),
        ("size_unit", "MM"),
    )
    _symbol_layer(symbol, "SimpleMarker", options)
    return _text(root)


def layer_style(geometry_type: str, classes: Sequence[ClassSpec] = ()) -> str | None:
    """QML for a vector layer of an OGC geometry type; None for polygons without classes."""
    kind = geometry_type.removeprefix("Multi")
    if kind == "Polygon":
        return polygon_style(classes) if classes else None
    return line_style() if kind == "LineString" else point_style()


def harmless(text: str) -> str:
    """Return text that QGIS shows as it is: print layouts compute what stands between ``[%`` and ``%]``.

    >>> harmless("[% 1 + 1 %]") == "[% 1 + 1 %]", harmless("water")
    (False, 'water')
    """
    return text.replace("[%", "[\N{ZERO WIDTH NON-JOINER}%")


def write_style(text: str, path: str | Path) -> Path:
    """Write a style; QGIS finds it by itself as ``landcover.qml`` beside ``landcover.tif``."""
    path = Path(path)
    path.write_bytes(text.encode())
    return path


def _fill_symbol(symbols: Xml.Element, name: str, c: ClassSpec) -> None:
    options = (
        ("color", _rgba(c.color)),
        ("style", "solid"),
        ("outline_color", _rgba(OUTLINE)),
        ("outline_style", "solid"),
        ("outline_width", "0.1"),
        ("outline_width_unit", "MM"),
        ("joinstyle", "bevel"),
    )
    _symbol_layer(_symbol(symbols, name, "fill"), "SimpleFill", options)


def _single_symbol(kind: str, geometry: str) -> tuple[Xml.Element, Xml.Element]:
    """Document of a layer whose features all look alike, and its symbol."""
    root = Xml.Element("qgis", version=VERSION, styleCategories="Symbology")
    renderer = Xml.SubElement(
        root, "renderer-v2", type="singleSymbol", enableorderby="0", forceraster="0", symbollevels="1"
    )
    symbol = _symbol(Xml.SubElement(renderer, "symbols"), "0", kind)
    Xml.SubElement(root, "blendMode").text = "0"
    Xml.SubElement(root, "layerGeometryType").text = geometry
    return root, symbol


def _symbol(symbols: Xml.Element, name: str, kind: str) -> Xml.Element:
    return Xml.SubElement(
        symbols, "symbol", name=name, type=kind, alpha="1", clip_to_extent="1", force_rhr="0"
    )


def _symbol_layer(
    symbol: Xml.Element, kind: str, options: Sequence[tuple[str, str]], *, level: int = 0
) -> None:
    layer = Xml.SubElement(
        symbol, "layer", {"class": kind, "enabled": "1", "locked": "0", "pass": str(level)}
    )
    tree = Xml.SubElement(layer, "Option", type="Map")
    for option, value in options:
        Xml.SubElement(tree, "Option", name=option, value=value, type="QString")


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
