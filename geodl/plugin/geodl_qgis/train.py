"""A model of one's own labels."""

from pathlib import Path

from geodl_qgis import command
from geodl_qgis.algorithm import GeodlAlgorithm
from qgis.core import (
    QgsProcessingOutputHtml,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
)

REPORT = "report.html"


class TrainAlgorithm(GeodlAlgorithm):
    """``geodl train``."""

    NAME = "train"
    TITLE = "Train a model"
    HELP = (
        "Learns a model from the scenes and labels that a recipe names, and shows its report.\n\n"
        "'geodl train --init landcover scene.tif labels.gpkg > recipe.yaml' fills one in from your data.\n"
        "A training that was cancelled goes on when it is started again, unless it is told to begin anew."
    )

    def initAlgorithm(self, config=None):  # noqa: N802, ARG002
        """Declare parameters and outputs."""
        self.addParameter(QgsProcessingParameterFile("RECIPE", "Recipe", extension="yaml"))
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", "Model folder"))
        self.add_advanced(
            QgsProcessingParameterEnum("DEVICE", "Device", list(command.DEVICES), defaultValue=0),
            QgsProcessingParameterFile(
                "CACHE", "Folder for decoded scenes", QgsProcessingParameterFile.Folder, optional=True
            ),
            QgsProcessingParameterBoolean("RESTART", "Begin anew", False),
        )
        self.addOutput(QgsProcessingOutputHtml("REPORT", "Report"))

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Run the command and show its report."""
        values = {
            **self.texts(parameters, context, ("RECIPE", "OUTPUT", "CACHE")),
            **self.choices(parameters, context, {"DEVICE": command.DEVICES}),
            "RESTART": self.parameterAsBool(parameters, "RESTART", context),
        }
        self.run_geodl(command.train(values), feedback)
        return {"OUTPUT": values["OUTPUT"], "REPORT": str(Path(values["OUTPUT"]) / REPORT)}
