"""Items of a print layout as QGIS stores them: `QgsLayoutItem::readXml` and its kinds. Lengths are mm."""

import base64
from typing import NamedTuple
from xml.etree import ElementTree as Xml

from geodl.publish.project.description import Bounds
from geodl.publish.project.words import BREAK, plain, uuid_of

FONT = "Sans Serif"
INK, GREY = "#1a1a1a", "#5a5a5a"
MAP_ID = uuid_of("layout", "map")

# `QgsLayoutItemRegistry::ItemType`
_PAGE, _MAP, _PICTURE, _LABEL, _LEGEND, _SCALE_BAR = 65638, 65639, 65640, 65641, 65642, 65646

_ARROW = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 60 90" width="60" height="90">
<path d="M30 22 L48 86 L30 72 L12 86 Z" fill="#ffffff" stroke="#1a1a1a" stroke-width="2"/>
<path d="M30 22 L30 72 L12 86 Z" fill="#1a1a1a"/>
<path d="M23 17 V2 L37 17 V2" fill="none" stroke="#1a1a1a" stroke-width="3"/>
</svg>"""


class Box(NamedTuple):
    """A place on the page: from the left, from the top, width, height."""

    left: float
    top: float
    width: float
    height: float


def page_item(width: float, height: float) -> Xml.Element:
    """Return the page."""
    return _item(_PAGE, "page", Box(0, 0, width, height), level=0, background=True)


def map_item(box: Box, extent: Bounds) -> Xml.Element:
    """Return the map, which shows the layers that are ticked; `extent` has the proportions of `box`."""
    root = _item(_MAP, "map", box, level=1, frame=True, background=True)
    root.attrib.update(
        {"drawCanvasItems": "true", "keepLayerSet": "false", "followPreset": "false", "mapRotation": "0"}
    )
    names = ("xmin", "ymin", "xmax", "ymax")
    corners = {name: f"{value:.12g}" for name, value in zip(names, extent, strict=True)}
    Xml.SubElement(root, "Extent", corners)
    Xml.SubElement(root, "LayerSet")
    return root


def label_item(
    name: str, text: str, box: Box, *, size: float, bold: bool = False, color: str = INK
) -> Xml.Element:
    """Return a text; `size` is in points."""
    root = _item(_LABEL, name, box, level=2)
    root.attrib.update(
        {
            "labelText": plain(text),
            "htmlState": "0",
            "halign": "1",
            "valign": "32",
            "marginX": "0",
            "marginY": "0",
        }
    )
    Xml.SubElement(root, "LabelFont", description=_font(size, bold=bold), style="")
    Xml.SubElement(root, "FontColor", _channels(color))
    return root


def legend_item(box: Box, title: str, tree: Xml.Element, *, size: float, columns: int = 1) -> Xml.Element:
    """Return the legend of the layers in `tree`; it breaks lines where `words.BREAK` stands.

    `size` is that of the letters in points; symbols and the space between lines follow it.
    """
    share = size / 9
    root = _item(_LEGEND, "legend", box, level=3)
    root.attrib.update(
        {
            "title": plain(title), "titleAlignment": "1", "wrapChar": BREAK, "map_uuid": MAP_ID,
            "resizeToContents": "1", "columnCount": str(columns), "columnSpace": "2", "boxSpace": "0",
            "symbolWidth": f"{7 * share:.3g}", "symbolHeight": f"{4 * share:.3g}",
            "lineSpacing": "1", "fontColor": INK,
            "rasterBorder": "1", "rasterBorderColor": "74,74,74,255", "rasterBorderWidth": "0.1",
            "splitLayer": "1" if columns > 1 else "0", "equalColumnWidth": "0", "legendFilterByAtlas": "0",
        }
    )  # fmt: skip
    styles = Xml.SubElement(root, "styles")
    for name, points, bold, margins in (
        ("title", 11, True, {"marginBottom": "2"}),
        ("group", size, True, {"marginTop": "2"}),
        ("subgroup", size, True, {"marginTop": "3"}),
        ("symbol", size, False, {"marginTop": f"{1.6 * share:.3g}"}),
        ("symbolLabel", size, False, {"marginTop": f"{1.6 * share:.3g}", "marginLeft": f"{2 * share:.3g}"}),
    ):
        style = Xml.SubElement(styles, "style", name=name, alignment="1", indent="0", attrib=margins)
        Xml.SubElement(style, "styleFont", description=_font(points, bold=bold), style="")
    root.append(tree)
    return root


def arrow_item(box: Box) -> Xml.Element:
    """Return a north arrow that turns with the true north of the map."""
    root = _item(_PICTURE, "north arrow", box, level=4)
    drawing = base64.b64encode(_ARROW.encode()).decode()
    root.attrib.update(
        {"file": f"base64:{drawing}", "mode": "0", "resizeMode": "0", "anchorPoint": "4", "northMode": "1",
         "northOffset": "0", "pictureRotation": "0", "mapUuid": MAP_ID}
    )  # fmt: skip
    return root


def scale_item(box: Box, *, segment: float = 1, unit: str = "m", numeric: bool = False) -> Xml.Element:
    """Return a scale bar of two segments, each `segment` long in ``m`` or ``km``; or the scale as a ratio."""
    root = _item(_SCALE_BAR, "scale" if numeric else "scale bar", box, level=5)
    root.attrib.update(
        {
            "style": "Numeric" if numeric else "Single Box",
            "unitType": unit if unit == "km" else "meters", "unitLabel": unit,
            "numUnitsPerSegment": f"{segment:g}", "numMapUnitsPerScaleBarUnit": "1", "numSegments": "2",
            "numSegmentsLeft": "0", "segmentSizeMode": "0", "height": "2", "boxContentSpace": "0",
            "labelBarSpace": "1.5", "labelVerticalPlacement": "0", "labelHorizontalPlacement": "0",
            "alignment": "0", "outlineWidth": "0.2", "lineJoinStyle": "miter", "lineCapStyle": "square",
            "minBarWidth": "20", "maxBarWidth": "60", "mapUuid": MAP_ID,
        }
    )  # fmt: skip
    Xml.SubElement(
        root, "text-style", fontFamily=FONT, fontSize="8", fontSizeUnit="Point", textColor="26,26,26,255",
        textOpacity="1", fontWeight="50",
    )  # fmt: skip
    form = Xml.SubElement(Xml.SubElement(root, "numericFormat", id="basic"), "Option", type="Map")
    for name, kind, value in (
        ("decimals", "int", "0" if numeric else "6"),
        ("rounding_type", "int", "0"),
        ("show_thousand_separator", "bool", "true"),
        ("show_trailing_zeros", "bool", "false"),
    ):
        Xml.SubElement(form, "Option", name=name, type=kind, value=value)
    for name, color in (("fillColor", INK), ("fillColor2", "#ffffff"), ("strokeColor", INK)):
        Xml.SubElement(root, name, _channels(color))
    return root


def _item(
    kind: int, name: str, box: Box, *, level: int, frame: bool = False, background: bool = False
) -> Xml.Element:
    position = f"{box.left:g},{box.top:g},mm"
    uuid = uuid_of("layout", name)
    root = Xml.Element(
        "LayoutItem", type=str(kind), id=name, uuid=uuid, templateUuid=uuid, position=position,
        positionOnPage=position, size=f"{box.width:g},{box.height:g},mm", zValue=str(level), visibility="1",
        frame="true" if frame else "false", background="true" if background else "false", opacity="1",
        itemRotation="0", referencePoint="0", blendMode="0", positionLock="false", excludeFromExports="0",
        outlineWidthM="0.2,mm", frameJoinStyle="miter", groupUuid="",
    )  # fmt: skip
    Xml.SubElement(root, "FrameColor", _channels(GREY))
    Xml.SubElement(root, "BackgroundColor", _channels("#ffffff"))
    return root


def _font(size: float, *, bold: bool) -> str:
    """`QFont::toString` of Qt 5: family, points, pixels, hint, weight, and five switches."""
    return f"{FONT},{size:g},-1,5,{75 if bold else 50},0,0,0,0,0"


def _channels(color: str) -> dict[str, str]:
    red, green, blue = (str(int(color[start : start + 2], 16)) for start in (1, 3, 5))
    return {"red": red, "green": green, "blue": blue, "alpha": "255"}
