"""Where to compute, and in which precision."""

import torch

from geodl.errors import OptionError


def resolve_device(device: str) -> torch.device:
    """Return the device that a word stands for; ``"auto"`` is a GPU where there is one.

    Raises
    ------
    OptionError
        If it is no device of this machine.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:
        raise OptionError(
            f"--device {device}", str(error).splitlines()[0], "use --device auto or --device cpu"
        ) from error
    if place.type not in ("cpu", "cuda"):
        raise OptionError(
            f"--device {device}", "nothing is computed there", "use --device auto or --device cpu"
        )
    return place


def multiplies_bf16(device: torch.device) -> bool:
    """Whether the hardware multiplies in bfloat16 itself, where emulation would be slow."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities()
    return any(able.get(name) for name in ("avx512_bf16", "amx_bf16"))
