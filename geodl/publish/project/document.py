"""The project file: a zip archive with one document, written without the clock."""

import zipfile
from pathlib import Path
from xml.etree import ElementTree as Xml

from geodl.publish.files import writing
from geodl.publish.project.description import Bounds, MapProject
from geodl.publish.project.layers import crs_element, layer_element
from geodl.publish.project.layout import layout_element
from geodl.publish.project.tree import tree_element
from geodl.publish.project.words import plain
from geodl.publish.qgis import DOCTYPE

VERSION = "3.22.0"  # the oldest QGIS that it was tried with; a later one takes an older project as its own
_MARKUP = str.maketrans("<>&", "‹›＆")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # zip knows no earlier time


def write_project(project: MapProject, path: str | Path) -> Path:
    """Write a project as ``.qgz``.

    Raises
    ------
    ProductError
        The file cannot be written.
    """
    path = Path(path)
    entry = zipfile.ZipInfo(f"{path.stem}.qgs", date_time=_EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    entry.create_system = 3  # else the system that writes it would show
    with writing(path), zipfile.ZipFile(path, "w") as archive:
        archive.writestr(entry, document(project).encode())
    return path


def document(project: MapProject) -> str:
    """Return the XML of a project."""
    title = _unmarked(project.title)
    root = Xml.Element("qgis", version=VERSION, projectname=title)
    Xml.SubElement(root, "title").text = title
    Xml.SubElement(root, "projectCrs").append(crs_element(project.crs))
    groups = [group for group in project.groups if group.layers]
    layers = [layer for group in groups for layer in group.every()]
    root.append(tree_element(groups))
    root.append(_canvas(project))
    Xml.SubElement(root, "projectlayers").extend(map(layer_element, layers))
    root.append(_properties(project))
    root.append(_metadata(project))
    Xml.SubElement(root, "Layouts").append(layout_element(project, layers))
    view = Xml.SubElement(Xml.SubElement(root, "ProjectViewSettings"), "DefaultViewExtent")
    for name, value in _corners(project.extent):
        view.set(name, value)
    view.append(crs_element(project.crs))
    Xml.indent(root)
    return DOCTYPE + Xml.tostring(root, encoding="unicode") + "\n"


def _canvas(project: MapProject) -> Xml.Element:
    root = Xml.Element("mapcanvas", name="theMapCanvas", annotationsVisible="1")
    Xml.SubElement(root, "units").text = _units(project)
    extent = Xml.SubElement(root, "extent")
    for name, value in _corners(project.extent):
        Xml.SubElement(extent, name).text = value
    Xml.SubElement(root, "rotation").text = "0"
    Xml.SubElement(root, "destinationsrs").append(crs_element(project.crs))
    return root


def _units(project: MapProject) -> str:
    if project.crs is None:
        return "unknown"
    return "degrees" if project.crs.is_geographic else "meters"


def _properties(project: MapProject) -> Xml.Element:
    root = Xml.Element("properties")
    settings = (
        ("Paths", "Absolute", "bool", "false"),
        ("SpatialRefSys", "ProjectionsEnabled", "int", "0" if project.crs is None else "1"),
        ("Measurement", "DistanceUnits", "QString", "meters"),
        ("Measurement", "AreaUnits", "QString", "m2"),
    )
    for scope, key, kind, value in settings:
        section = root.find(scope)
        section = Xml.SubElement(root, scope) if section is None else section
        Xml.SubElement(section, key, type=kind).text = value
    return root


def _metadata(project: MapProject) -> Xml.Element:
    root = Xml.Element("projectMetadata")
    Xml.SubElement(root, "type").text = "project"
    Xml.SubElement(root, "title").text = _unmarked(project.title)
    Xml.SubElement(root, "abstract").text = _unmarked("\n".join((project.subtitle, *project.source)).strip())
    if project.licence:
        Xml.SubElement(root, "license").text = _unmarked(project.licence)
    return root


def _unmarked(text: str) -> str:
    """Return text without markup: Qt copies title and abstract of a project into an SVG as they are.

    >>> _unmarked("a < b & c")
    'a ‹ b ＆ c'
    """
    return plain(text).translate(_MARKUP)


def _corners(extent: Bounds) -> tuple[tuple[str, str], ...]:
    names = ("xmin", "ymin", "xmax", "ymax")
    return tuple((name, f"{value:.12g}") for name, value in zip(names, extent, strict=True))
