"""Files of tensors: safetensors, and torch's own, whose pickles may hold tensors and plain values only."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geodl.errors import ModelError, first_line
from geodl.models.weights import read_header


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises
    ------
    ModelError
        The file cannot be read, or is damaged.
    """
    from safetensors.torch import load

    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"file {path}", error.strerror or str(error), "name a file that can be read"
        ) from error
    read_header(content, f"file {path}")
    return load(content)


def read_checkpoint(path: Path) -> Any:
    """Read a file of ``torch.save``: tensors, numbers, text, and lists and dictionaries of them.

    Raises
    ------
    ModelError
        The file holds anything else, which could run code; or it cannot be read.
    """
    what = f"file {path}"
    if not path.is_file():
        raise ModelError(what, "there is no such file", "name a checkpoint")
    try:
        strange = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception as error:  # files of old forms and no such files at all, in many errors
        cause = f"torch cannot read it ({first_line(error)})"
        raise ModelError(what, cause, "save it again with a recent torch, or as safetensors") from error
    if strange:
        raise ModelError(
            what,
            f"it holds objects that could run code ({', '.join(sorted(map(str, strange))[:3])})",
            "save its weights alone: safetensors.torch.save_file(model.state_dict(), 'model.safetensors')",
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ModelError(what, f"it is damaged ({first_line(error)})", "fetch it again") from error


def only_tensors(values: Any, what: str) -> dict[str, Tensor]:
    """Return the tensors of a state dict, taken out of the places where programs keep them.

    Checkpoints keep them under ``state_dict`` or ``model``; data parallel training and compilation put a
    word before every name.

    Raises
    ------
    ModelError
        There are none.
    """
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(values, dict) and isinstance(values.get(key), dict):
            values = values[key]
            break
    named = {
        name: tensor for name, tensor in (values.items() if isinstance(values, dict) else ())
        if isinstance(tensor, Tensor)
    }  # fmt: skip
    if not named:
        raise ModelError(what, "it holds no tensors by name", "save the network's state_dict()")
    for prefix in ("module.", "_orig_mod.", "model."):
        if all(name.startswith(prefix) for name in named):
            named = without_prefix(named, prefix)
    return named


def without_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return those tensors whose name begins with `prefix`, by the rest of it."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return all tensors with `prefix` before their names."""
    return {prefix + name: tensor for name, tensor in tensors.items()}
