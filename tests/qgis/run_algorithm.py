"""Runs one algorithm of the plugin inside real QGIS and says what it would load: for a Python that has QGIS.

``python3 run_algorithm.py PLUGINS GEODL ALGORITHM PARAMETERS`` prints JSON; the arguments are the folder that
holds the plugin, the geodl command, ``predict`` and the like, and JSON.
"""

import json
import sys
from typing import Any

if __name__ == "__main__":  # whoever collects tests has no QGIS
    sys.path[:1] = [sys.argv[1], "/usr/share/qgis/python/plugins"]
    from geodl_qgis import classFactory
    from processing.core.Processing import Processing
    from processing.core.ProcessingConfig import ProcessingConfig
    from qgis.core import (
        QgsApplication,
        QgsProcessingContext,
        QgsProcessingException,
        QgsProcessingFeedback,
        QgsProject,
        QgsVectorLayer,
    )


def main(geodl: str, name: str, parameters: dict[str, Any]) -> None:
    """Run it as the toolbox does."""
    application = QgsApplication([], False)
    application.initQgis()
    Processing.initialize()
    plugin = classFactory(None)
    plugin.initProcessing()
    ProcessingConfig.setSettingValue("GEODL_EXECUTABLE", geodl)
    context, feedback, percents = QgsProcessingContext(), QgsProcessingFeedback(False), []
    context.setProject(QgsProject.instance())
    feedback.progressChanged.connect(percents.append)
    algorithm = application.processingRegistry().createAlgorithmById(f"geodl:{name}")
    error, outputs = None, {}
    try:
        results = algorithm.run(parameters, context, feedback, catchExceptions=False)[0]
        outputs = {key: value for key, value in results.items() if isinstance(value, str | float)}
    except QgsProcessingException as raised:
        error = str(raised)
    found = {
        "error": error,
        "outputs": outputs,
        "percents": percents,
        "log": feedback.textLog(),
        "loaded": {
            details.name: describe(context.getMapLayer(key))
            for key, details in context.layersToLoadOnCompletion().items()
        },
    }
    print(json.dumps(found))
    plugin.unload()


def describe(layer: Any) -> dict[str, Any]:
    """Return how a layer is drawn, and the class names in its legend."""
    renderer = layer.renderer()
    if isinstance(layer, QgsVectorLayer):
        labels = [category.label() for category in renderer.categories()]
    else:
        labels = [entry.label for entry in renderer.classes()]
    return {"renderer": renderer.type(), "labels": labels}


if __name__ == "__main__":
    main(sys.argv[2], sys.argv[3], json.loads(sys.argv[4]))
