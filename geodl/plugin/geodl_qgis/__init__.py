"""QGIS plugin: the geodl command as algorithms of the Processing toolbox."""


def classFactory(interface):  # noqa: N802 - the name that QGIS calls
    """Return the plugin; QGIS calls it with its interface, which is None in `qgis_process`."""
    from geodl_qgis.plugin import GeodlPlugin

    return GeodlPlugin(interface)
