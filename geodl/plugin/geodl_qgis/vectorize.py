"""Vector layers of any class or probability raster."""

from geodl_qgis import command
from geodl_qgis.algorithm import GeodlAlgorithm, file_of
from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterEnum,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
)

REAL = QgsProcessingParameterNumber.Double
NUMBERS = ("SIMPLIFY", "MIN_AREA", "THRESHOLD")


class VectorizeAlgorithm(GeodlAlgorithm):
    """``geodl vectorize``."""

    NAME = "vectorize"
    TITLE = "Vectorize a class raster"
    HELP = (
        "Turns a class raster into polygons that share their borders, into footprints of buildings with"
        " straight walls, or into a network of roads. The raster may come from any program.\n\n"
        "With a threshold the raster holds probabilities, and the object is where they reach it."
    )

    def initAlgorithm(self, config=None):  # noqa: N802, ARG002
        """Declare parameters and outputs."""
        self.addParameter(QgsProcessingParameterRasterLayer("RASTER", "Class or probability raster"))
        self.addParameter(QgsProcessingParameterEnum("TASK", "It shows", list(command.TASKS), defaultValue=0))
        self.addParameter(
            QgsProcessingParameterRasterLayer("CONFIDENCE", "Confidence on the same grid", optional=True)
        )
        self.addParameter(
            QgsProcessingParameterVectorDestination(
                "OUTPUT", "Vector layer", QgsProcessing.TypeVectorAnyGeometry
            )
        )
        self.add_advanced(
            _number("SIMPLIFY", "Tolerance of outlines, in pixels"),
            _number("MIN_AREA", "Smallest feature, in square metres"),
            _number("THRESHOLD", "Threshold of probability"),
            QgsProcessingParameterString("CLASS", "Class that is the object: value or name", optional=True),
            QgsProcessingParameterEnum(
                "REGULARIZE",
                "Straight walls (buildings)",
                ["as usual", *command.REGULARIZE[1:]],
                defaultValue=0,
            ),
        )

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Run the command; Processing loads the layer where it was asked for."""
        values = {
            "RASTER": file_of(self.parameterAsRasterLayer(parameters, "RASTER", context), "Raster"),
            "OUTPUT": self.parameterAsOutputLayer(parameters, "OUTPUT", context),
            **self.choices(parameters, context, {"TASK": command.TASKS, "REGULARIZE": command.REGULARIZE}),
            **self.texts(parameters, context, ("CLASS",)),
        }
        if parameters.get("CONFIDENCE") is not None:
            confidence = self.parameterAsRasterLayer(parameters, "CONFIDENCE", context)
            values["CONFIDENCE"] = file_of(confidence, "Confidence")
        for name in NUMBERS:
            if parameters.get(name) is not None:
                values[name] = self.parameterAsDouble(parameters, name, context)
        self.run_geodl(command.vectorize(values), feedback)
        return {"OUTPUT": values["OUTPUT"]}


def _number(name, title):
    return QgsProcessingParameterNumber(name, title, REAL, defaultValue=None, optional=True, minValue=0)
