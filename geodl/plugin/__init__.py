"""The source of the QGIS plugin, which no other part of geodl imports.

``python -m geodl.plugin geodl-qgis.zip`` packs it for QGIS. The folder `geodl_qgis` is a package of its own:
it runs inside QGIS, beside QGIS's libraries, and knows geodl only as a command that it starts.
"""
