"""Tensors by name, without a word about the network: of torchvision, or of any row of `MODELS`."""

from pathlib import Path

from torch import Tensor

from geodl.errors import ModelError
from geodl.models.imports.found import Found
from geodl.models.imports.tensors import only_tensors, read_checkpoint, read_safetensors, with_prefix
from geodl.models.imports.wishes import Wishes

_ORIGIN = "a state dict"
_REMEDY = "name the network with --architecture and --parameters"


def read_state_dict(path: Path, wishes: Wishes) -> Found:
    """Read a ``.pth``, ``.pt`` or ``.safetensors`` file.

    Networks of torchvision are known by the names of their tensors; for others `wishes` say the architecture.

    Raises
    ------
    ModelError
        The file cannot be read without running what it holds, or it is not known which network it is.
    """
    what = f"source {path}"
    values = read_safetensors(path) if path.suffix == ".safetensors" else read_checkpoint(path)
    tensors = only_tensors(values, what)
    if wishes.architecture is not None and wishes.architecture != "torchvision":
        return _as_asked(tensors, wishes)
    network = str(wishes.parameters.get("network") or _torchvision_network(tensors, what))
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("aux_classifier.")}
    outputs = len(_last(kept, "classifier"))
    parameters: dict[str, object] = {"network": network}
    if outputs == 1:
        parameters["one_score"] = True
    prefix = "network.network." if outputs == 1 else "network."
    return Found(
        architecture="torchvision",
        parameters=parameters,
        bands=_first(kept, "backbone").shape[1],
        classes=max(2, outputs),
        tensors=with_prefix(kept, prefix),
        origin="a torchvision state dict",
    )


def _as_asked(tensors: dict[str, Tensor], wishes: Wishes) -> Found:
    assert wishes.architecture is not None
    if wishes.parameters.get("one_score") and not all(name.startswith("network.") for name in tensors):
        tensors = with_prefix(tensors, "network.")
    if not wishes.bands or not wishes.classes:
        raise ModelError(
            f"architecture {wishes.architecture!r}",
            "tensors do not say what goes in and out",
            "name them with --bands and --classes",
        )
    return Found(
        architecture=wishes.architecture,
        parameters=wishes.parameters,
        bands=len(wishes.bands),
        classes=len(wishes.classes),
        tensors=tensors,
        origin=_ORIGIN,
    )


def _torchvision_network(tensors: dict[str, Tensor], what: str) -> str:
    """Tell torchvision's networks by names that only they have."""
    if not any(name.startswith("backbone.") for name in tensors):
        if any(
            name in tensors for name in ("fc.weight", "head.weight", "classifier.weight", "head.fc.weight")
        ):
            raise ModelError(
                what,
                "it classifies whole images and knows no class of a pixel",
                "train a segmentation network with it as encoder instead",
            )
        raise ModelError(what, f"its tensors ({next(iter(tensors))}, ...) do not say which network", _REMEDY)
    if "backbone.layer3.22.conv1.weight" in tensors:
        backbone = "resnet101"
    elif "backbone.layer3.0.conv1.weight" in tensors:
        backbone = "resnet50"
    else:
        backbone = "mobilenet_v3_large"
    if any(name.startswith("classifier.cbr.") for name in tensors):
        return f"lraspp_{backbone}"
    atrous = any(name.startswith("classifier.0.convs.") for name in tensors)
    return f"{'deeplabv3' if atrous else 'fcn'}_{backbone}"


def _first(tensors: dict[str, Tensor], part: str) -> Tensor:
    return next(t for name, t in tensors.items() if name.startswith(f"{part}.") and t.ndim == 4)


def _last(tensors: dict[str, Tensor], part: str) -> Tensor:
    found = [t for name, t in tensors.items() if name.startswith(f"{part}.") and t.ndim == 4]
    if not found:
        raise ModelError(f"tensors of {part}", "there are none", _REMEDY)
    return found[-1]
