"""Maps of one scene, and of what changed between two dates."""

from geodl_qgis import command, results
from geodl_qgis.algorithm import GeodlAlgorithm, file_of, load_product
from qgis.core import (
    QgsProcessingOutputRasterLayer,
    QgsProcessingOutputVectorLayer,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

USUAL = [command.PRODUCTS.index(name) for name in ("map", "confidence", "vectors", "project", "page")]
TEXTS = ("MODEL", "BANDS", "SCALE", "SENSOR", "RESAMPLE", "CRS", "MEMORY")


class PredictAlgorithm(GeodlAlgorithm):
    """``geodl predict SCENE``."""

    NAME = "predict"
    TITLE = "Map a scene"
    HELP = (
        "Maps a raster with a model, and loads the styled map and its polygons.\n\n"
        "Model: a name that 'geodl models list' shows (landcover-vhr, ...), or a model folder.\n"
        "Bands, scale and sensor say what the file does not say itself; the message of an error names the one"
        " that is missing.\n"
        "A run that was cancelled goes on where it stopped when it is started again."
    )
    SCENES: tuple = (("SCENE", "Scene"),)  # parameters and what the dialogue calls them
    MODEL = "landcover-vhr"  # what the dialogue proposes

    def initAlgorithm(self, config=None):  # noqa: N802, ARG002
        """Declare parameters and outputs."""
        for name, title in self.SCENES:
            self.addParameter(QgsProcessingParameterRasterLayer(name, title))
        self.addParameter(QgsProcessingParameterString("MODEL", "Model: name or folder", self.MODEL))
        self.addParameter(
            QgsProcessingParameterEnum(
                "PRODUCTS", "Products", list(command.PRODUCTS), allowMultiple=True, defaultValue=USUAL
            )
        )
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", "Folder of the products"))
        self.declare_advanced()
        self.addOutput(QgsProcessingOutputRasterLayer("MAP", "Map"))
        self.addOutput(QgsProcessingOutputVectorLayer("VECTORS", "Vector layer"))

    def declare_advanced(self):
        """Declare what few need."""
        self.add_advanced(
            _text("BANDS", "Names of the bands in file order: blue,green,red,nir"),
            _text("SCALE", "To reflectance: FACTOR or FACTOR,OFFSET; none: plain numbers"),
            _text("SENSOR", "Sensor: sentinel-2-l2a, naip, ..."),
            _text("RESAMPLE", "Read at this pixel size, in metres"),
            _text("CRS", "Coordinate system of a file that names none: EPSG:32632"),
            _text("MEMORY", "Memory to keep within: 4GB"),
            QgsProcessingParameterEnum("DEVICE", "Device", list(command.DEVICES), defaultValue=0),
            QgsProcessingParameterBoolean("PROBABILITIES", "Also the probability of every class", False),
        )

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Run the command and load its product."""
        lines = self.run_geodl(command.predict(self.values(parameters, context)), feedback)
        folder = results.product_of(lines)
        loaded = {} if folder is None else load_product(folder, context)
        return {"OUTPUT": self.parameterAsString(parameters, "OUTPUT", context), **loaded}

    def values(self, parameters, context):
        """Return what the user has filled in, by parameter."""
        scenes = {
            name: file_of(self.parameterAsRasterLayer(parameters, name, context), title)
            for name, title in self.SCENES
        }
        products = self.parameterAsEnums(parameters, "PRODUCTS", context)
        return {
            **scenes,
            **self.texts(parameters, context, (*TEXTS, "OUTPUT")),
            **self.choices(parameters, context, {"DEVICE": command.DEVICES}),
            "PRODUCTS": [command.PRODUCTS[number] for number in products],
            "PROBABILITIES": self.parameterAsBool(parameters, "PROBABILITIES", context),
        }


class ChangeAlgorithm(PredictAlgorithm):
    """``geodl predict BEFORE AFTER``."""

    NAME = "change"
    TITLE = "Map change between two dates"
    HELP = (
        "Maps what has changed between two rasters of the same place, with a model of the task change, and"
        " loads the styled map and its polygons.\n\n"
        "Coregister measures how far the second date lies off and mends it; normalise matches its values to"
        " those of the first.\nWithout dates, they are read from the names of the files."
    )
    SCENES = (("BEFORE", "Before"), ("AFTER", "After"))
    MODEL = ""

    def declare_advanced(self):
        """Declare what few need, the pair's own first."""
        self.add_advanced(
            QgsProcessingParameterEnum("COREGISTER", "Coregister", list(command.COREGISTER), defaultValue=0),
            QgsProcessingParameterEnum("NORMALISE", "Normalise", list(command.NORMALISE), defaultValue=0),
            _text("DATES", "When they were taken: 2023-07-14,2024"),
        )
        super().declare_advanced()

    def values(self, parameters, context):
        """Return what the user has filled in, by parameter."""
        pairing = {"COREGISTER": command.COREGISTER, "NORMALISE": command.NORMALISE}
        return {
            **super().values(parameters, context),
            **self.choices(parameters, context, pairing),
            **self.texts(parameters, context, ("DATES",)),
        }


def _text(name, title):
    return QgsProcessingParameterString(name, title, optional=True)
