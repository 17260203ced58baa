"""The parts that break most often: torch with its GPU, GDAL and PROJ with their data, the bundled models."""

import math
import os
import shutil
from pathlib import Path

from geodl.doctor.finding import Check, Finding

RASTER_DRIVERS = ("GTiff", "COG", "JP2OpenJPEG", "PNG", "JPEG")
VECTOR_DRIVERS = ("GPKG", "GeoJSON", "FlatGeobuf")
FOREIGN = ("GDAL_DATA", "PROJ_LIB", "PROJ_DATA", "GDAL_DRIVER_PATH")
"""Variables with which one GDAL is made to read the data of another."""
_TORCH = "install torch for this machine as https://pytorch.org/get-started says, then geodl again"


def _torch() -> Finding:
    import torch

    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "the processor only"
    layer = torch.nn.Conv2d(1, 1, 3, bias=False)
    torch.nn.init.ones_(layer.weight)
    with torch.inference_mode():
        total = float(layer(torch.ones(1, 1, 3, 3)))
    if total != 9:
        found = f"{torch.__version__}: a sum of nine ones is {total}"
        return Finding(name="torch", state="fail", found=found, cure=_TORCH)
    return Finding(name="torch", state="ok", found=f"{torch.__version__}, built for {built}")


def _gpu() -> Finding:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
        free, whole = torch.cuda.mem_get_info()
        found = f"{', '.join(names)}; {free / 1e9:.1f} of {whole / 1e9:.1f} GB free"
        if float(torch.ones(8, device="cuda").sum()) != 8:
            return Finding(name="gpu", state="fail", found=f"{found}; it computes nonsense", cure=_TORCH)
        return Finding(name="gpu", state="ok", found=found)
    driver = Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None
    if not driver:
        return Finding(name="gpu", state="ok", found="none; networks run on the processor")
    if torch.version.cuda is None:
        found = "there is an NVIDIA driver, but this torch is built for the processor only"
        return Finding(name="gpu", state="warn", found=found, cure=_TORCH)
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and hidden.strip() in ("", "-1"):
        found = f"hidden by CUDA_VISIBLE_DEVICES={hidden}"
        return Finding(name="gpu", state="warn", found=found, cure="unset CUDA_VISIBLE_DEVICES")
    found = f"there is an NVIDIA driver, but torch with CUDA {torch.version.cuda} cannot use it"
    cure = "look with nvidia-smi; a newer driver, or a torch for an older CUDA"
    return Finding(name="gpu", state="warn", found=found, cure=cure)


def _torchvision() -> Finding:
    try:
        import torchvision
    except (ImportError, OSError, RuntimeError) as error:
        found = f"does not load with this torch: {error}".splitlines()[0]
        cure = "install torch and torchvision from one place, in one command: https://pytorch.org/get-started"
        return Finding(name="torchvision", state="fail", found=found, cure=cure)
    return Finding(name="torchvision", state="ok", found=torchvision.__version__)


def _gdal() -> list[Finding]:
    import pyogrio
    import rasterio
    from rasterio.drivers import raster_driver_extensions

    known = set(raster_driver_extensions().values()) | {"COG"}
    with rasterio.Env() as env:
        known |= set(env.drivers())
    writable = {name for name, mode in pyogrio.list_drivers(write=True).items() if "w" in mode}
    missing = [name for name in RASTER_DRIVERS if name not in known]
    missing += [name for name in VECTOR_DRIVERS if name not in writable]
    found = (
        f"{rasterio.__gdal_version__} in rasterio {rasterio.__version__}, "
        f"{pyogrio.__gdal_version_string__} in pyogrio {pyogrio.__version__}"
    )
    findings = [Finding(name="gdal", state="ok", found=found)]
    if missing:
        said, cure = f"without {', '.join(missing)}", "pip install --force-reinstall rasterio pyogrio"
        findings = [Finding(name="gdal", state="fail", found=f"{found}; {said}", cure=cure)]
    return findings + [
        Finding(name=variable, state="warn", found=os.environ[variable], cure=f"unset {variable}")
        for variable in FOREIGN
        if variable in os.environ
    ]


def _proj() -> Finding:
    import pyproj
    import rasterio.warp

    place, known = (500_000.0, 0.0), (9.0, 0.0)  # the middle of zone 32, on the equator
    ours = pyproj.Transformer.from_crs(32632, 4326, always_xy=True).transform(*place)
    (x,), (y,) = rasterio.warp.transform("EPSG:32632", "EPSG:4326", [place[0]], [place[1]])
    found = f"{pyproj.proj_version_str} in pyproj {pyproj.__version__}"
    if not all(math.dist(known, answer) < 1e-9 for answer in (ours, (x, y))):
        cure = "unset PROJ_LIB and PROJ_DATA; pip install --force-reinstall pyproj rasterio"
        found = f"{found}; {known} is taken for {ours} and {(x, y)}"
        return Finding(name="proj", state="fail", found=found, cure=cure)
    return Finding(name="proj", state="ok", found=found)


def _models() -> Finding:
    from geodl.models.bundle import bundled_models, load_model

    names = [spec.name for spec in bundled_models()]
    if not names:
        cure = "pip install --force-reinstall --no-deps geodl"
        return Finding(name="models", state="fail", found="none is bundled", cure=cure)
    for name in names:
        load_model(name)  # compares the checksums
    return Finding(name="models", state="ok", found=f"{', '.join(names)}: whole")


PARTS: dict[str, Check] = {
    "torch": _torch,
    "gpu": _gpu,
    "torchvision": _torchvision,
    "gdal": _gdal,
    "proj": _proj,
    "models": _models,
}
