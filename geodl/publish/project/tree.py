"""The layer tree of a project, and the one of its legend: `QgsLayerTree::readXml`."""

from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from geodl.publish.project.description import Group, Layer
from geodl.publish.project.layers import layer_id, provider_of
from geodl.publish.project.words import breakable, legal, plain

_LEGEND_WIDTH = 30


def tree_element(groups: Sequence[Group]) -> Xml.Element:
    """Return the tree of groups and layers, the upper ones first."""
    root = Xml.Element("layer-tree-group")
    for group in groups:
        _add_group(root, group)
    return root


def legend_element(layers: Sequence[Layer]) -> Xml.Element:
    """Return the tree of a legend: the layers that it names, without groups.

    The title of a single layer of classes is left out: that of the legend says the same.
    """
    root = Xml.Element("layer-tree-group")
    for layer in layers:
        title = breakable(plain(layer.title), _LEGEND_WIDTH)
        found = _add_layer(root, layer, name=title)
        options = Xml.SubElement(Xml.SubElement(found, "customproperties"), "Option", type="Map")
        settings = {"cached_name": title, "legend/title-label": title}
        if len(layers) == 1 and any(entry in (layer.style or "") for entry in ("<category", "<paletteEntry")):
            settings["legend/title-style"] = "hidden"
        for name, value in settings.items():
            Xml.SubElement(options, "Option", name=name, type="QString", value=value)
    return root


def _add_group(parent: Xml.Element, group: Group) -> None:
    root = Xml.SubElement(
        parent,
        "layer-tree-group",
        name=plain(group.title),
        checked=_checked(group.visible),
        expanded="1" if group.expanded else "0",
    )
    for item in group.layers:
        if isinstance(item, Group):
            _add_group(root, item)
        else:
            _add_layer(root, item, name=plain(item.title))


def _add_layer(parent: Xml.Element, layer: Layer, *, name: str) -> Xml.Element:
    return Xml.SubElement(
        parent,
        "layer-tree-layer",
        id=layer_id(layer),
        name=name,
        source=legal(layer.source),
        providerKey=provider_of(layer),
        checked=_checked(layer.visible),
        expanded="1" if layer.in_legend else "0",
    )


def _checked(visible: bool) -> str:
    return "Qt::Checked" if visible else "Qt::Unchecked"
