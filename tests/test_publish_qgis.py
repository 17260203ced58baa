"""QGIS styles: the elements QGIS reads, and class names that try to break out."""

from xml.etree import ElementTree as Xml

import pytest

from geodl.models.spec import ClassSpec
from geodl.publish import confidence_style, polygon_style, raster_style, write_style
from geodl.publish.qgis import layer_style, line_style, point_style

HOSTILE = ("<script>alert(1)</script>", "\" onload='x' &amp; ]]> -->", "=cmd|' /C calc'!A0", "été 水")
CLASSES = tuple(
    ClassSpec(value=value, name=name, color=f"#0{value}f0a{value}")
    for value, name in enumerate(HOSTILE, start=1)
)


def parse(text):
    assert text.startswith("<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n<qgis ")
    return Xml.fromstring(text)


def test_raster_palette():
    root = parse(raster_style(CLASSES))
    renderer = root.find("pipe/rasterrenderer")
    assert renderer.get("type") == "paletted"
    entries = [(e.get("value"), e.get("label"), e.get("color")) for e in renderer.iter("paletteEntry")]
    assert entries == [(str(c.value), c.name, c.color) for c in CLASSES]


def test_polygon_categories_point_to_their_symbols():
    root = parse(polygon_style(CLASSES))
    renderer = root.find("renderer-v2")
    assert (renderer.get("type"), renderer.get("attr")) == ("categorizedSymbol", "class")
    symbols = {s.get("name"): s for s in renderer.iter("symbol")}
    for category, c in zip(renderer.iter("category"), CLASSES, strict=True):
        assert (category.get("value"), category.get("label")) == (str(c.value), c.name)
        colour = symbols[category.get("symbol")].find("layer/Option/Option[@name='color']").get("value")
        assert colour == ",".join(map(str, (*c.rgb, 255)))


def test_confidence_ramp_spans_the_scaled_values():
    items = [float(i.get("value")) for i in parse(confidence_style()).iter("item")]
    assert items == [0, 0.25, 0.5, 0.75, 1]
    assert [float(i.get("value")) for i in parse(confidence_style(100)).iter("item")][-1] == 100


@pytest.mark.parametrize(
    ("text", "kind", "layers", "geometry"),
    [
        (line_style(), "line", ["SimpleLine", "SimpleLine"], "1"),
        (point_style(), "marker", ["SimpleMarker"], "0"),
    ],
)
def test_lines_and_points_have_one_symbol(text, kind, layers, geometry):
    root = parse(text)
    renderer = root.find("renderer-v2")
    assert renderer.get("type") == "singleSymbol"
    (symbol,) = renderer.find("symbols")
    assert (symbol.get("type"), symbol.get("name")) == (kind, "0")
    assert [layer.get("class") for layer in symbol.iter("layer")] == layers
    assert root.find("layerGeometryType").text == geometry


def test_the_dark_edges_of_all_roads_lie_below_the_light_lines():
    dark, light = parse(line_style()).iter("layer")
    assert int(dark.get("pass")) < int(light.get("pass"))
    wide, narrow = (
        float(layer.find("Option/Option[@name='line_width']").get("value")) for layer in (dark, light)
    )
    assert wide > narrow


def test_layers_are_styled_by_their_geometry():
    assert layer_style("MultiPolygon", CLASSES) == polygon_style(CLASSES)
    assert layer_style("Polygon") is None
    assert layer_style("LineString", CLASSES) == line_style()
    assert layer_style("MultiLineString") == line_style()
    assert layer_style("Point") == point_style()


@pytest.mark.parametrize("text", [raster_style(CLASSES), polygon_style(CLASSES)])
def test_hostile_names_stay_text(text):
    assert "<script" not in text
    assert not list(parse(text).iter("script"))


def test_styles_are_the_same_bytes_every_time(tmp_path):
    a, b = (write_style(raster_style(CLASSES), tmp_path / name).read_bytes() for name in ("a.qml", "b.qml"))
    assert a == b
    assert "été 水".encode() in a
