"""The plugin as QGIS loads it: it brings one provider of Processing algorithms."""

from geodl_qgis.provider import GeodlProvider
from qgis.core import QgsApplication


class GeodlPlugin:
    """Adds the provider to Processing, and takes it away again."""

    def __init__(self, interface):
        self.interface = interface
        self.provider = None

    def initProcessing(self):  # noqa: N802
        """Add the provider; `qgis_process` calls this alone."""
        self.provider = GeodlProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self):  # noqa: N802
        """Add the provider when QGIS starts with its windows."""
        self.initProcessing()

    def unload(self):
        """Take the provider away."""
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
