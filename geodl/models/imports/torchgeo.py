"""Checkpoints of torchgeo's ``SemanticSegmentationTask``, written by Lightning (``.ckpt``)."""

from pathlib import Path
from typing import Any

from geodl.errors import ModelError
from geodl.models.imports.found import Found
from geodl.models.imports.smp import found_smp
from geodl.models.imports.tensors import read_checkpoint, with_prefix, without_prefix

# `model` of the task -> network of segmentation-models-pytorch, as the task builds it.
_NETWORKS = {
    "unet": "Unet",
    "deeplabv3+": "DeepLabV3Plus",
    "upernet": "UPerNet",
    "segformer": "Segformer",
    "dpt": "DPT",
}
_ORIGIN = "a torchgeo checkpoint"


def read_torchgeo(path: Path) -> Found:
    """Read such a checkpoint.

    Raises
    ------
    ModelError
        The file holds anything but tensors and plain values, or is none of this task.
    """
    what = f"source {path}"
    checkpoint = read_checkpoint(path)
    settings = checkpoint.get("hyper_parameters") if isinstance(checkpoint, dict) else None
    state = checkpoint.get("state_dict") if isinstance(checkpoint, dict) else None
    if not isinstance(settings, dict) or not isinstance(state, dict) or "model" not in settings:
        raise ModelError(
            what,
            "it is no checkpoint of torchgeo's SemanticSegmentationTask",
            "save the network's state_dict() and name its --architecture",
        )
    if settings.get("task", "multiclass") == "multilabel":
        raise ModelError(what, "its classes may overlap", "geodl maps one class per pixel")
    outputs = settings.get("num_classes") or settings.get("num_labels") or 1
    tensors = without_prefix(state, "model.")
    if settings["model"] == "fcn":
        parameters: dict[str, Any] = {"filters": settings["num_filters"]}
        if outputs == 1:
            parameters["one_score"] = True
            tensors = with_prefix(tensors, "network.")
        return Found(
            architecture="fcn",
            parameters=parameters,
            bands=settings["in_channels"],
            classes=max(2, outputs),
            tensors=tensors,
            origin=_ORIGIN,
        )
    if settings["model"] not in _NETWORKS:
        known = ", ".join((*_NETWORKS, "fcn"))
        raise ModelError(what, f"its model is {settings['model']!r}", f"geodl builds {known}")
    config = {
        "encoder_name": settings.get("backbone"),
        "in_channels": settings.get("in_channels"),
        "classes": outputs,
    }
    return found_smp(_NETWORKS[settings["model"]], config, tensors, what, _ORIGIN)
