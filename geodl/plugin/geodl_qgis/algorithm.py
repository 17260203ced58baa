"""What all algorithms share: the run of the command, and the layers that it leaves in QGIS."""

import os
from pathlib import Path

from geodl_qgis import process, results
from geodl_qgis.settings import EXECUTABLE, SetupError, environment, find_executable
from processing.core.ProcessingConfig import ProcessingConfig
from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingParameterDefinition,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QIcon

POLYGONS = "{} polygons"  # name of the vector layer that has the name of the raster


class GeodlAlgorithm(QgsProcessingAlgorithm):
    """Base of the algorithms. A subclass sets the three texts, `initAlgorithm` and `processAlgorithm`."""

    NAME = ""
    TITLE = ""
    HELP = ""

    def createInstance(self):  # noqa: N802
        """Return a fresh one, as Processing wants for each run."""
        return type(self)()

    def name(self):
        """Return the second part of the id: ``geodl:predict``."""
        return self.NAME

    def displayName(self):  # noqa: N802
        """Return what the toolbox shows."""
        return self.TITLE

    def shortHelpString(self):  # noqa: N802
        """Return what stands beside the dialogue."""
        return self.HELP

    def icon(self):
        """Return the icon of the toolbox."""
        return QIcon(str(Path(__file__).with_name("icon.svg")))

    def run_geodl(self, arguments, feedback):
        """Run the command, pass on what it says and how far it is, and return its lines."""

        def say(line):
            percent = process.progress_of(line)
            if percent is not None:
                feedback.setProgress(percent)
            if line.startswith("progress "):
                return
            if line.startswith("error:"):
                feedback.reportError(line)
            else:
                feedback.pushConsoleInfo(line)

        try:
            command = [find_executable(ProcessingConfig.getSetting(EXECUTABLE)), *arguments]
            feedback.pushCommandInfo(" ".join(command))
            return process.run(command, say, feedback.isCanceled, environment(os.environ))
        except (SetupError, process.RunError) as error:
            raise QgsProcessingException(str(error)) from error

    def add_advanced(self, *definitions):
        """Add parameters that the dialogue hides until they are asked for."""
        for definition in definitions:
            definition.setFlags(definition.flags() | QgsProcessingParameterDefinition.FlagAdvanced)
            self.addParameter(definition)

    def texts(self, parameters, context, names):
        """Return the values of parameters that are texts, by name."""
        return {name: self.parameterAsString(parameters, name, context).strip() for name in names}

    def choices(self, parameters, context, table):
        """Return the values of parameters that are choices; `table` names what each chooses from."""
        return {
            name: chosen[self.parameterAsEnum(parameters, name, context)] for name, chosen in table.items()
        }


def file_of(layer, what):
    """Return the path of the file that a raster layer shows.

    Raises
    ------
    QgsProcessingException
        It shows no file of this computer: a service, or a layer that lives in memory alone.
    """
    path = layer.source().split("|")[0] if layer is not None else ""
    if not Path(path).is_file():
        name = path or "nothing"
        raise QgsProcessingException(
            f"{what}: {name} is no file on this computer: save it as a GeoTIFF first"
        )
    return path


def load_product(folder, context):
    """Have the map and the vector layers of a product loaded, with the styles that lie beside them."""
    raster, geopackage = results.map_of(folder), results.geopackage_of(folder)
    if raster is not None:
        _keep(QgsRasterLayer(str(raster), raster.stem), raster.stem, context)
    if geopackage is not None:
        for name in results.layers_of(geopackage):
            layer = QgsVectorLayer(f"{geopackage}|layername={name}", name, "ogr")
            layer.loadDefaultStyle()
            alike = raster is not None and name == raster.stem
            _keep(layer, POLYGONS.format(name) if alike else name, context)
    return {"MAP": raster and str(raster), "VECTORS": geopackage and str(geopackage)}


def _keep(layer, title, context):
    """Leave a layer in the store from which Processing takes it when the run is over."""
    if not layer.isValid():
        raise QgsProcessingException(f"{layer.source()}: QGIS cannot open it")
    context.temporaryLayerStore().addMapLayer(layer)
    details = QgsProcessingContext.LayerDetails(title, context.project(), title)
    context.addLayerToLoadOnCompletion(layer.id(), details)
