"""Opens projects with real QGIS, without a screen, and says what it found: run by a Python that has QGIS.

``python3 open_project.py PROJECT FOLDER [PROJECT FOLDER ...]`` writes ``found.json``, ``map.png``,
``layout.png`` and ``layout.svg`` into the folder of each. It imports nothing of geodl: that Python has
none of its libraries.
"""

import json
import os
import sys
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"

if __name__ == "__main__":  # whoever collects tests has no QGIS
    from qgis.core import (
        QgsApplication,
        QgsLayerTreeModel,
        QgsLayoutExporter,
        QgsLayoutItemScaleBar,
        QgsMapRendererParallelJob,
        QgsMapSettings,
        QgsProject,
        QgsRasterLayer,
        QgsRenderContext,
        QgsUnitTypes,
        QgsVectorLayer,
    )
    from qgis.PyQt.QtCore import QSize

UNSEEN = "\N{ZERO WIDTH SPACE}"


def main(places: list[str]) -> None:
    """Open, describe and draw each project."""
    application = QgsApplication([], False)
    application.initQgis()
    for project, folder in zip(places[::2], places[1::2], strict=True):
        Path(folder).mkdir(exist_ok=True)
        _describe(Path(project).resolve(), Path(folder))
    application.exitQgis()


def _describe(project_file: Path, folder: Path) -> None:
    project = QgsProject.instance()
    found = {"read": project.read(str(project_file))}
    view = project.viewSettings().defaultViewExtent()
    found |= {
        "title": project.title(),
        "crs": project.crs().authid(),
        "extent": [view.xMinimum(), view.yMinimum(), view.xMaximum(), view.yMaximum()],
        "layers": [_layer(project, node) for node in project.layerTreeRoot().findLayers()],
        "alone": _alone(project_file.parent),
        "layouts": [layout.name() for layout in project.layoutManager().layouts()],
    }
    _draw_map(project, folder / "map.png")
    found["layout"] = _draw_layout(project, folder)
    (folder / "found.json").write_text(json.dumps(found, indent=1, ensure_ascii=False), encoding="utf-8")
    project.clear()


def _alone(folder):
    """Renderers of the files of a product that are opened without the project: their own styles."""
    styled = [file for file in folder.glob("*.tif") if file.with_suffix(".qml").exists()]
    rasters = {file.name: QgsRasterLayer(str(file), "raster") for file in styled}
    vectors = {file.name: QgsVectorLayer(str(file), "vector", "ogr") for file in folder.glob("*.gpkg")}
    return {name: layer.renderer().type() for name, layer in {**rasters, **vectors}.items()}


def _layer(project, node):
    layer, parent = node.layer(), node.parent()
    told = {
        "name": layer.name(),
        "group": parent.name(),
        "visible": node.isVisible(),
        "valid": layer.isValid(),
        "crs": layer.crs().authid(),
        "source": layer.source(),
        "kind": "raster" if isinstance(layer, QgsRasterLayer) else "vector",
    }
    if layer.isValid():
        told["renderer"] = layer.renderer().type()
        told["scale"] = layer.minimumScale() if layer.hasScaleBasedVisibility() else None
        model = QgsLayerTreeModel(project.layerTreeRoot())
        nodes = model.layerOriginalLegendNodes(node)
        told["legend"] = [str(item.data(0)).replace(UNSEEN, "") for item in nodes]
        told |= _raster(layer) if told["kind"] == "raster" else {"features": layer.featureCount()}
    return told


def _raster(layer):
    renderer, told = layer.renderer(), {"opacity": layer.renderer().opacity()}
    if renderer.type() == "paletted":
        told["classes"] = [
            [int(one.value), one.label.replace(UNSEEN, ""), one.color.name(), one.color.alpha()]
            for one in renderer.classes()
        ]
    if renderer.type() == "multibandcolor":
        told["bands"] = [renderer.redBand(), renderer.greenBand(), renderer.blueBand()]
        stretches = [getattr(renderer, f"{color}ContrastEnhancement")() for color in ("red", "green", "blue")]
        told["stretch"] = [[one.minimumValue(), one.maximumValue()] for one in stretches]
        told["limits"] = (
            layer.renderer().minMaxOrigin().limitsString(layer.renderer().minMaxOrigin().limits())
        )
    return told


def _draw_map(project, file):
    settings = QgsMapSettings()
    settings.setLayers([node.layer() for node in project.layerTreeRoot().findLayers() if node.isVisible()])
    settings.setDestinationCrs(project.crs())
    settings.setExtent(project.viewSettings().defaultViewExtent())
    settings.setOutputSize(QSize(1000, 800))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(str(file))


def _draw_layout(project, folder):
    layouts = project.layoutManager().layouts()
    if not layouts:
        return None
    exporter = QgsLayoutExporter(layouts[0])
    picture, drawing = QgsLayoutExporter.ImageExportSettings(), QgsLayoutExporter.SvgExportSettings()
    picture.dpi = 120
    drawing.textRenderFormat = QgsRenderContext.TextFormatAlwaysText
    return {
        "image": exporter.exportToImage(str(folder / "layout.png"), picture) == QgsLayoutExporter.Success,
        "svg": exporter.exportToSvg(str(folder / "layout.svg"), drawing) == QgsLayoutExporter.Success,
        "bar": next((_bar(item) for item in layouts[0].items() if _is_bar(item)), None),
        "items": sorted(item.id() for item in layouts[0].items() if hasattr(item, "id") and item.id()),
    }


def _is_bar(item):
    return isinstance(item, QgsLayoutItemScaleBar) and item.id() == "scale bar"


def _bar(item):
    """Length of a segment in metres as it is labelled, and as it is drawn."""
    labelled = item.unitsPerSegment() * (1000 if item.unitLabel() == "km" else 1)
    drawn = item.unitsPerSegment() * QgsUnitTypes.fromUnitToUnitFactor(
        item.units(), QgsUnitTypes.DistanceMeters
    )
    return [labelled, drawn]


if __name__ == "__main__":
    main(sys.argv[1:])
