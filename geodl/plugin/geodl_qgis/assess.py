"""How well a map agrees with labels."""

from geodl_qgis import command, results
from geodl_qgis.algorithm import GeodlAlgorithm, file_of
from qgis.core import (
    QgsProcessing,
    QgsProcessingException,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterString,
    QgsProcessingUtils,
    QgsVectorLayer,
)

FORMATS = ["gpkg", "geojson", "shp", "fgb", "parquet"]  # that geodl reads
FIGURES = {"overall_accuracy": "OVERALL_ACCURACY", "mean_iou": "MEAN_IOU", "kappa": "KAPPA"}
TEXTS = ("ATTRIBUTE", "MAPPING", "BACKGROUND", "BOUNDARY")
KINDS = [QgsProcessing.TypeRaster, QgsProcessing.TypeVectorAnyGeometry]


class AssessAlgorithm(GeodlAlgorithm):
    """``geodl assess``."""

    NAME = "assess"
    TITLE = "Assess a map"
    HELP = (
        "Compares a class raster with labels (raster, polygons, lines, points), or a vector layer with"
        " another: footprints object by object, lines as a network.\n\n"
        "Attribute: the column that holds the class of vector labels. Mapping says what its values mean:"
        " water=1,wood=2. The log tells the figures of each class."
    )

    def initAlgorithm(self, config=None):  # noqa: N802, ARG002
        """Declare parameters and outputs."""
        self.addParameter(QgsProcessingParameterMapLayer("MAP", "Map", types=KINDS))
        self.addParameter(QgsProcessingParameterMapLayer("REFERENCE", "Labels", types=KINDS))
        self.addParameter(QgsProcessingParameterString("ATTRIBUTE", "Attribute of the class", optional=True))
        self.addParameter(QgsProcessingParameterFileDestination("JSON", "Figures", "JSON files (*.json)"))
        self.add_advanced(
            QgsProcessingParameterString("MAPPING", "What its values mean: water=1,wood=2", optional=True),
            QgsProcessingParameterString("BACKGROUND", "Class outside of all labels", optional=True),
            QgsProcessingParameterString("BOUNDARY", "Also along outlines: 3px or 25m", optional=True),
            QgsProcessingParameterFileDestination(
                "PNG", "Confusion matrix", "PNG files (*.png)", optional=True, createByDefault=False
            ),
        )
        for name, title in FIGURES.items():
            self.addOutput(QgsProcessingOutputNumber(title, name.replace("_", " ")))

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Run the command and return its main figures."""
        values = self.texts(parameters, context, (*TEXTS, "JSON", "PNG"))
        for name, option in (("MAP", "LAYER"), ("REFERENCE", "REFERENCE_LAYER")):
            layer = self.parameterAsLayer(parameters, name, context)
            values[name], values[option] = _file_and_layer(layer, name, context, feedback)
        self.run_geodl(command.assess(values), feedback)
        figures = results.figures_of(values["JSON"])
        told = {title: figures[name] for name, title in FIGURES.items() if name in figures}
        return {"JSON": values["JSON"], "PNG": values["PNG"] or None, **told}


def _file_and_layer(layer, name, context, feedback):
    """Return the file of a layer and, of a vector layer, its name inside; layers of no file become one."""
    if not isinstance(layer, QgsVectorLayer):
        return file_of(layer, name), None
    exported = QgsProcessingUtils.convertToCompatibleFormat(
        layer, False, name.lower(), FORMATS, "gpkg", context, feedback
    )
    path, _, rest = exported.partition("|")
    if not path:
        raise QgsProcessingException(f"{name}: {layer.name()} cannot be saved for geodl")
    names = [part.removeprefix("layername=") for part in rest.split("|") if part.startswith("layername=")]
    return path, names[0] if names else None
