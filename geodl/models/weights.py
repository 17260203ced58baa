"""The header of a safetensors file, checked in plain Python before a tensor is read.

The format (https://github.com/huggingface/safetensors#format) is eight bytes with the length of a
JSON header, the header with dtype, shape and byte range of each tensor, and the bytes. It holds no
code. What is left for a hostile file is to lie about sizes; nothing here allocates what it claims.
"""

import json
from dataclasses import dataclass
from math import prod
from typing import Any

from geodl.errors import ModelError

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
