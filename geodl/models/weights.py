"""Weights as a safetensors file, its header checked in plain Python before a tensor is read.

The format (https://github.com/huggingface/safetensors#format) is eight bytes with the length of a
JSON header, the header with dtype, shape and byte range of each tensor, and the bytes. It holds no
code. What is left for a hostile file is to lie about sizes; nothing here allocates what it claims.
"""

import json
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from geodl.errors import ModelError
from geodl.models.spec import ModelSpec
from geodl.models.table import build_network

if TYPE_CHECKING:
    import torch
    from torch import nn

MAX_HEADER_BYTES = 4 * 1024**2
# Weights are float32 or stored as float16; batch norm counts its batches in int64.
_ITEM_BYTES = {"F32": 4, "F16": 2, "I64": 8}


@dataclass(frozen=True, kw_only=True)
class TensorEntry:
    """One tensor of the file: `dtype` as safetensors writes it (``F32``), and its `shape`."""

    dtype: str
    shape: tuple[int, ...]


def read_header(content: bytes, what: str) -> dict[str, TensorEntry]:
    """Read and check the header of the safetensors file `content`.

    Parameters
    ----------
    content : bytes
        The whole file.
    what : str
        How to name the file in an error.

    Returns
    -------
    dict of str to TensorEntry
        By tensor name, in the order of the file.

    Raises
    ------
    ModelError
        The header is too long, no valid JSON, or claims bytes that overlap, leave gaps or are not there.
    """
    try:
        return _entries(content)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ModelError(what, f"damaged weights: {error}", "fetch or train the model again") from None


def expected_tensors(spec: ModelSpec) -> dict[str, TensorEntry]:
    """Names, dtypes and shapes of the architecture's weights, from a build that allocates none."""
    import torch
    from torch.overrides import TorchFunctionMode

    random = (torch.Tensor.normal_, torch.Tensor.uniform_)

    class NothingDrawn(TorchFunctionMode):
        # Random numbers in no memory would load torch's compiler, a second's work. Drop-path rates are
        # read with linspace(...).item() while the network is built, which no such tensor can answer.
        def __torch_function__(self, function, types, args=(), kwargs=None):
            kwargs = dict(kwargs or {})
            if function in random:
                return args[0]
            if function is torch.linspace:
                kwargs.setdefault("device", "cpu")
            return function(*args, **kwargs)

    names = {torch.float32: "F32", torch.int64: "I64"}
    with torch.device("meta"), NothingDrawn():
        state = build_network(spec).state_dict()
    return {
        name: TensorEntry(dtype=names.get(t.dtype, str(t.dtype)), shape=tuple(t.shape))
        for name, t in state.items()
    }


def check_fit(found: dict[str, TensorEntry], expected: dict[str, TensorEntry], what: str) -> None:
    """Compare the tensors of a file with those of an architecture.

    Raises
    ------
    ModelError
        One is missing, left over, or of another shape or kind of number; float16 may stand for float32.
    """
    problems = [f"{name!r} is missing" for name in expected if name not in found]
    problems += [f"{name!r} is not part of it" for name in found if name not in expected]
    for name in expected.keys() & found.keys():
        if found[name].shape != expected[name].shape:
            problems.append(f"{name!r} has shape {found[name].shape}, not {expected[name].shape}")
        elif (found[name].dtype == "I64") != (expected[name].dtype == "I64"):
            problems.append(f"{name!r} has dtype {found[name].dtype}, not {expected[name].dtype}")
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ModelError(
            what,
            f"the weights do not fit the architecture: tensor {problems[0]}{more}",
            "bands, classes, architecture and parameters in model.json must be those of the training",
        )


def serialise(network: "nn.Module", *, half: bool, what: str) -> bytes:
    """Return the weights and buffers of a network as the content of a safetensors file.

    Raises
    ------
    ModelError
        A number is not finite, or does not fit float16 where `half` asks for it.
    """
    import torch
    from safetensors.torch import save

    state: dict[str, Any] = {}
    for name, value in network.state_dict().items():
        tensor = value.detach().cpu().contiguous().clone()
        if tensor.is_floating_point():
            tensor = tensor.to(torch.float16 if half else torch.float32)
            if not torch.isfinite(tensor).all():
                reason = "overflows float16" if half and torch.isfinite(value).all() else "is not finite"
                raise ModelError(
                    what,
                    f"tensor {name!r} {reason}",
                    "save with half=False, or train with a smaller learning rate",
                )
        state[name] = tensor
    return save(state)


def deserialise(content: bytes) -> "dict[str, torch.Tensor]":
    """Return the tensors of a checked safetensors file, float16 as float32."""
    from safetensors.torch import load

    return {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in load(content).items()
    }


def _entries(content: bytes) -> dict[str, TensorEntry]:
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(MAX_HEADER_BYTES, len(content) - 8):
        raise ValueError(f"the header claims {length} bytes, the file has {len(content)}")
    header = json.loads(content[8 : 8 + length])
    if not isinstance(header, dict):
        raise TypeError("the header is not a JSON object")
    header.pop("__metadata__", None)
    ranges = [(*_byte_range(name, entry), name) for name, entry in header.items()]
    position = 0
    for start, stop, name in sorted(ranges):
        if start != position:
            raise ValueError(f"tensor {name!r} begins at byte {start}, {position} was expected")
        position = stop
    if position != len(content) - 8 - length:
        raise ValueError(f"tensors fill {position} bytes, the file holds {len(content) - 8 - length}")
    return {
        name: TensorEntry(dtype=entry["dtype"], shape=tuple(entry["shape"])) for name, entry in header.items()
    }


def _byte_range(name: str, entry: Any) -> tuple[int, int]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"the entry of tensor {name!r} is malformed")
    if entry["dtype"] not in _ITEM_BYTES:
        raise ValueError(f"tensor {name!r} has dtype {entry['dtype']!r}; {', '.join(_ITEM_BYTES)} are read")
    numbers = [*entry["shape"], *entry["data_offsets"]]
    # bool is an int to Python, but `true` is no size.
    if (
        any(type(number) is not int or not 0 <= number < 2**48 for number in numbers)
        or len(entry["shape"]) > 8
    ):
        raise ValueError(f"shape or offsets of tensor {name!r} are out of range")
    start, stop = entry["data_offsets"]
    if stop - start != prod(entry["shape"]) * _ITEM_BYTES[entry["dtype"]]:
        raise ValueError(f"tensor {name!r} of shape {entry['shape']} does not fit its {stop - start} bytes")
    return start, stop
