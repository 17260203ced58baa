"""With what, and on what, a model was made."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import geodl

PACKAGES = ("torch", "lightning", "segmentation-models-pytorch", "numpy", "rasterio", "xarray")


def versions() -> dict[str, str]:
    """Versions of geodl, Python and the libraries that a result may depend on, by name."""
    found = {"geodl": geodl.__version__, "Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    if torch.version.cuda:
        found["CUDA of torch"] = torch.version.cuda
    return {**found, "system": f"{platform.system()} {platform.release()} {platform.machine()}"}


def device_name(device: torch.device) -> str:
    """Name the hardware: ``"NVIDIA A10"``, or the processor with the number of threads used."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    count = f"{threads} thread{'s' * (threads > 1)} of {os.cpu_count() or 1}"
    return f"{_processor()}, {count}"


def _processor(listing: Path = Path("/proc/cpuinfo")) -> str:
    if listing.is_file():
        for line in listing.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return " ".join(value.split())
    return platform.processor() or platform.machine()
