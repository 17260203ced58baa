"""How QGIS shows the points of a sample: a form with the classes as a list, and what is still to do.

The elements are those of a QGIS 3 style: `fieldConfiguration` with the edit widgets `ValueMap`, `TextEdit`
and `Hidden`, and a `QgsCategorizedSymbolRenderer`.
"""

from collections.abc import Mapping
from xml.etree import ElementTree as Xml

DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
VERSION = "3.28.0"

# Value of the expression below, label, colour of the ring.
_STATES = (("1", "to be interpreted", "227,26,28,255"), ("0", "interpreted", "51,160,44,255"))


def form_style(classes: Mapping[int, str]) -> str:
    """QML of the points: `reference` chosen from class names, rings that change colour when it is.

    Parameters
    ----------
    classes : mapping of int to str
        Class names by value, in the order of the list.
    """
    root = Xml.Element(
        "qgis",
        version=VERSION,
        styleCategories="Symbology|Fields|Forms",
        readOnly="0",
        hasScaleBasedVisibilityFlag="0",
    )
    fields = Xml.SubElement(root, "fieldConfiguration")
    _widget(fields, "fid", "Hidden")
    _widget(fields, "id", "TextEdit", IsMultiline="false", UseHtml="false")
    choices = _widget(fields, "reference", "ValueMap")
    entries = Xml.SubElement(choices, "Option", name="map", type="List")
    for text, name in [
        *((str(value), name) for value, name in classes.items()),
        (_NULL, "(not interpreted)"),
    ]:
        entry = Xml.SubElement(entries, "Option", type="Map")
        Xml.SubElement(entry, "Option", name=_clean(name), type="QString", value=text)
    _widget(fields, "note", "TextEdit", IsMultiline="true", UseHtml="false")
    aliases = Xml.SubElement(root, "aliases")
    for index, (field, alias) in enumerate(_ALIASES.items()):
        Xml.SubElement(aliases, "alias", index=str(index), field=field, name=alias)
    _renderer(root)
    editable = Xml.SubElement(root, "editable")
    for field in _ALIASES:
        Xml.SubElement(editable, "field", name=field, editable="1" if field in _ANSWERS else "0")
    Xml.SubElement(root, "editorlayout").text = "generatedlayout"
    Xml.SubElement(root, "previewExpression").text = '"id"'
    Xml.SubElement(root, "layerGeometryType").text = "0"
    Xml.indent(root)
    return DOCTYPE + Xml.tostring(root, encoding="unicode") + "\n"


# What QGIS writes for NULL in a value list: `QgsValueMapFieldFormatter::NULL_VALUE`.
_NULL = "{2839923C-8B7D-419E-B84B-CA2FE9B80EC7}"
_ALIASES = {"fid": "", "id": "point", "reference": "class on the ground", "note": "remark"}
_ANSWERS = {"reference", "note"}


def _widget(fields: Xml.Element, name: str, kind: str, **options: str) -> Xml.Element:
    """Configure the widget of a field; returns the element that holds its options."""
    field = Xml.SubElement(fields, "field", name=name, configurationFlags="None")
    config = Xml.SubElement(Xml.SubElement(field, "editWidget", type=kind), "config")
    held = Xml.SubElement(config, "Option", type="Map")
    for option, value in options.items():
        Xml.SubElement(held, "Option", name=option, type="bool", value=value)
    return held


def _renderer(root: Xml.Element) -> None:
    renderer = Xml.SubElement(
        root,
        "renderer-v2",
        type="categorizedSymbol",
        attr='CASE WHEN "reference" IS NULL THEN 1 ELSE 0 END',
        enableorderby="0",
        forceraster="0",
        symbollevels="0",
    )
    categories, symbols = Xml.SubElement(renderer, "categories"), Xml.SubElement(renderer, "symbols")
    for index, (value, label, color) in enumerate(_STATES):
        Xml.SubElement(
            categories,
            "category",
            symbol=str(index),
            value=value,
            type="long",
            label=label,
            render="true",
        )
        symbol = Xml.SubElement(symbols, "symbol", name=str(index), type="marker", alpha="1")
        layer = Xml.SubElement(
            symbol, "layer", {"class": "SimpleMarker", "enabled": "1", "locked": "0", "pass": "0"}
        )
        options = Xml.SubElement(layer, "Option", type="Map")
        for option, text in (
            ("name", "circle"),
            ("color", "0,0,0,0"),  # hollow: what is below must be seen
            ("outline_color", color),
            ("outline_style", "solid"),
            ("outline_width", "0.6"),
            ("outline_width_unit", "MM"),
            ("size", "4"),
            ("size_unit", "MM"),
        ):
            Xml.SubElement(options, "Option", name=option, value=text, type="QString")


def _clean(name: str) -> str:
    """Class names come from files; XML 1.0 has no control characters."""
    return "".join(c for c in name if c.isprintable())
