"""A project that QGIS opens as a finished map: ``map.qgz`` beside the files of a product.

It is plain XML, written without QGIS. Elements and attributes are those that QGIS 3.22 reads
(``QgsProject::readProjectFile``, ``QgsMapLayer::readLayerXml``, ``QgsPrintLayout::readXml``); later
versions read the same. Nothing in it depends on the clock or on chance: the same layers make the same bytes.

`MapProject` says what is shown, `layers_of_folder` finds the layers in a product folder, `write_project`
writes the file.
"""

from geodl.publish.project.description import Bounds, Group, Layer, MapProject
from geodl.publish.project.document import write_project
from geodl.publish.project.folder import layers_of_folder
from geodl.publish.project.layout import metres_per_unit
from geodl.publish.project.places import path_from
from geodl.publish.project.stack import StackBand, write_stack

__all__ = [
    "Bounds",
    "Group",
    "Layer",
    "MapProject",
    "StackBand",
    "layers_of_folder",
    "metres_per_unit",
    "path_from",
    "write_project",
    "write_stack",
]
