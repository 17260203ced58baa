"""`import_model`: a source of any kind becomes a model folder."""

from pathlib import Path
from typing import TYPE_CHECKING

from geodl.errors import ModelError
from geodl.models.bundle import Model, save_model
from geodl.models.imports.found import Found, describe
from geodl.models.imports.onnx_file import read_onnx
from geodl.models.imports.smp import CONFIG, read_smp
from geodl.models.imports.state_dict import read_state_dict
from geodl.models.imports.torchgeo import read_torchgeo
from geodl.models.imports.wishes import Wishes
from geodl.models.spec import ONNX, ModelSpec
from geodl.models.table import build_network, onnx_network

if TYPE_CHECKING:
    from torch import nn

TENSORS = (".ckpt", ".pth", ".pt", ".bin", ".safetensors")


def import_model(source: str | Path, out: str | Path, wishes: Wishes | None = None) -> Model:
    """Make a model folder of a network that another program saved.

    Parameters
    ----------
    source : str or Path
        A folder of segmentation-models-pytorch's ``save_pretrained``, a ``.ckpt`` of torchgeo, an ``.onnx``
        file, or a state dict (``.pth``, ``.pt``, ``.safetensors``).
    out : str or Path
        The model folder.
    wishes : Wishes, optional
        What the source does not say.

    Returns
    -------
    Model
        It gives what the source gives.

    Raises
    ------
    ModelError
        The source cannot be read without running what it holds, is not understood, or says too little.
    """
    source, wishes = Path(source), wishes or Wishes()
    found = _read(source, wishes)
    spec = describe(found, wishes, source)
    return save_model(out, spec, _network(found, spec, source))


def _read(source: Path, wishes: Wishes) -> Found:
    what = f"source {source}"
    if source.is_dir():
        if (source / CONFIG).is_file():
            return read_smp(source)
        raise ModelError(what, f"{CONFIG} is missing", "name a folder that save_pretrained() wrote")
    if not source.is_file():
        raise ModelError(what, "there is no such file or folder", "check its name")
    if source.suffix == ".onnx":
        return read_onnx(source, wishes)
    if source.suffix == ".ckpt" and wishes.architecture is None:
        return read_torchgeo(source)
    if source.suffix in TENSORS:
        return read_state_dict(source, wishes)
    known = ", ".join((".onnx", *TENSORS))
    raise ModelError(what, f"nothing is known about {source.suffix!r} files", f"give one of {known}")


def _network(found: Found, spec: ModelSpec, source: Path) -> "nn.Module":
    if spec.architecture == ONNX:
        return onnx_network(found.content, spec)
    network = build_network(spec)
    try:
        network.load_state_dict(found.tensors, strict=True)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        raise ModelError(
            f"source {source}",
            f"its weights do not fit architecture {spec.architecture!r} ({' '.join(lines[1:2]) or lines[0]})",
            "name the network with --architecture and --parameters, its bands and its classes",
        ) from error
    return network.eval()
