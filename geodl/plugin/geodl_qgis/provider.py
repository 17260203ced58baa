"""The provider: the algorithms, and the setting that says where geodl is installed."""

from pathlib import Path

from geodl_qgis.assess import AssessAlgorithm
from geodl_qgis.maps import ChangeAlgorithm, PredictAlgorithm
from geodl_qgis.settings import EXECUTABLE
from geodl_qgis.train import TrainAlgorithm
from geodl_qgis.vectorize import VectorizeAlgorithm
from processing.core.ProcessingConfig import ProcessingConfig, Setting
from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

ALGORITHMS = (PredictAlgorithm, ChangeAlgorithm, VectorizeAlgorithm, AssessAlgorithm, TrainAlgorithm)


class GeodlProvider(QgsProcessingProvider):
    """What the toolbox shows under the heading geodl."""

    def id(self):
        """Return the first part of the algorithms' ids: ``geodl:predict``."""
        return "geodl"

    def name(self):
        """Return the heading."""
        return "geodl"

    def icon(self):
        """Return the icon beside the heading."""
        return QIcon(str(Path(__file__).with_name("icon.svg")))

    def load(self):
        """Add the setting, then the algorithms."""
        ProcessingConfig.settingIcons[self.name()] = self.icon()
        title = "geodl command, or the folder of its Python environment (empty: the one on the PATH)"
        ProcessingConfig.addSetting(Setting(self.name(), EXECUTABLE, title, "", valuetype=Setting.FILE))
        ProcessingConfig.readSettings()
        self.refreshAlgorithms()
        return True

    def unload(self):
        """Take the setting away."""
        ProcessingConfig.removeSetting(EXECUTABLE)

    def loadAlgorithms(self):  # noqa: N802
        """Add one instance of each algorithm."""
        for algorithm in ALGORITHMS:
            self.addAlgorithm(algorithm())
