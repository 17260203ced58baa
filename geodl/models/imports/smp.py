"""Folders of segmentation-models-pytorch's ``save_pretrained``: ``config.json`` and ``model.safetensors``."""

import json
from pathlib import Path
from typing import Any, get_args

from torch import Tensor

from geodl.errors import ModelError
from geodl.models.imported_parameters import SMP_ARGUMENTS, SmpParameters
from geodl.models.imports.found import Found
from geodl.models.imports.tensors import read_safetensors, with_prefix

CONFIG, WEIGHTS = "config.json", "model.safetensors"
NETWORKS = get_args(SmpParameters.model_fields["network"].annotation)
# Arguments that had other names before version 0.5.
_RENAMED = {"decoder_use_batchnorm": "decoder_use_norm", "psp_use_batchnorm": "psp_use_norm"}
_IDLE: tuple[Any, ...] = (None, {}, [])  # values that ask for nothing
# Activations that make probabilities of scores, as geodl does itself.
_SOFTMAX, _SIGMOID = (None, "identity", "softmax", "softmax2d"), (None, "identity", "sigmoid", "logsigmoid")
_LARGEST = 1024**2  # bytes of config.json


def read_smp(folder: Path) -> Found:
    """Read such a folder.

    Raises
    ------
    ModelError
        A file is missing or damaged, or the network has parts that geodl does not build.
    """
    what = f"source {folder}"
    path = folder / CONFIG
    try:
        if path.stat().st_size > _LARGEST:
            raise ModelError(what, f"{CONFIG} is larger than {_LARGEST} bytes", "it is no such folder")
        config = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(what, f"{CONFIG} cannot be read ({error})", "save the network again") from error
    name = config.get("_model_class") if isinstance(config, dict) else None
    if not isinstance(name, str) or name not in NETWORKS:
        raise ModelError(what, f"{CONFIG} names the network {name!r}", f"geodl builds {', '.join(NETWORKS)}")
    return found_smp(name, config, read_safetensors(folder / WEIGHTS), what, "segmentation-models-pytorch")


def found_smp(name: str, config: dict[str, Any], tensors: dict[str, Tensor], what: str, origin: str) -> Found:
    """Describe a network of segmentation-models-pytorch by the arguments of its constructor.

    Raises
    ------
    ModelError
        An argument changes the network in a way that geodl does not build.
    """
    bands, outputs = config.get("in_channels", 3), config.get("classes", 1)
    if type(bands) is not int or type(outputs) is not int or min(bands, outputs) < 1:
        raise ModelError(what, f"in_channels {bands!r} and classes {outputs!r} are no numbers", "mend them")
    activation = config.get("activation")
    if activation not in (_SIGMOID if outputs == 1 else _SOFTMAX) or activation == "logsigmoid":
        raise ModelError(
            what,
            f"its activation is {activation!r} over {outputs} outputs",
            "geodl maps one class per pixel: train with softmax over classes, or sigmoid over one",
        )
    config = {_RENAMED.get(key, key): value for key, value in config.items()}
    arguments = {key: value for key, value in config.items() if key in SMP_ARGUMENTS}
    told = {"in_channels", "classes", "activation", "encoder_weights", "_model_class"}
    for key, value in config.items():
        if key not in SMP_ARGUMENTS | told and value not in _IDLE:
            raise ModelError(what, f"its argument {key} is {value!r}", "geodl does not build such networks")
    parameters: dict[str, Any] = {"network": name, "arguments": arguments}
    if outputs == 1:
        parameters["one_score"] = True
        tensors = with_prefix(tensors, "network.")
    return Found(
        architecture="smp",
        parameters=parameters,
        bands=bands,
        classes=max(2, outputs),
        tensors=tensors,
        origin=origin,
    )
