"""Where to compute, and in which precision."""

import torch

from geodl.errors import OptionError


def resolve_device(device: str) -> torch.device:
    """Return the device a word stands for.

    Raises
    ------
    OptionError
        If it is no device of this machine.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise OptionError(f"device {device!r}", "unknown", "use auto, cpu or cuda") from error
    if place.type not in ("cpu", "cuda") or (place.type == "cuda" and not torch.cuda.is_available()):
        raise OptionError(f"device {device!r}", "this machine has none", "use --device cpu")
    return place


def resolve_precision(word: str, device: torch.device) -> torch.dtype:
    """Return the dtype to compute in: bf16 where the hardware multiplies in it, else float32."""
    if word != "auto":
        return torch.bfloat16 if word == "bf16" else torch.float32
    if device.type == "cuda":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        able = bool(torch.cpu.get_capabilities().get("avx512_bf16"))
    return torch.bfloat16 if able else torch.float32
