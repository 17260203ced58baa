"""Small honest pieces that many tests share: a scene on disk, a model with few weights, real data."""

import os
import signal
from pathlib import Path

# Tests of a few pixels gain nothing from a second computing thread, and when another program holds a
# core, the barriers between two threads cost many times the work itself. Read when torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import settings

# The same examples on every machine; HYPOTHESIS_PROFILE=default looks for new ones.
settings.register_profile("fixed", derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

# Where tests run side by side, or in the background, SIGINT is ignored: tests of Ctrl+C need it, and the
# processes that they start inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data():
    """Folder of real labelled imagery; tests that need it are skipped without it."""
    folder = Path(os.environ.get("GEODL_REAL_DATA", ROOT / ".." / "shared" / "data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no real imagery at {folder}; name its folder with GEODL_REAL_DATA")
    return folder


def make_spec(**changes):
    """A description of a small local network: 3 bands, 4 classes, tile 96, halo 28, stride 4."""
    from geodl.models.spec import BandSpec, ClassSpec, ModelSpec

    colors = ("#2b6cb0", "#22643a", "#a7c957", "#c1440e")
    names = ("water", "forest", "grassland", "built-up")
    fields = {
        "name": "tiny",
        "title": "Tiny test model",
        "task": "landcover",
        "architecture": "unet_compact",
        "parameters": {"widths": (4, 8, 8), "blocks": 1},
        "bands": [
            BandSpec(name=n, mean=0.15 + 0.05 * i, std=0.1) for i, n in enumerate(("red", "green", "nir"))
        ],
        "units": "reflectance",
        "pixel_size": 10.0,
        "classes": [
            ClassSpec(value=v, name=n, color=c) for v, n, c in zip((1, 2, 3, 7), names, colors, strict=True)
        ],
        "tile": 96,
        "halo": 28,  # its receptive field reaches 26 pixels beyond a cell of the stride
        "stride": 4,
        "stitch": "crop",
    }
    return ModelSpec(**{**fields, **changes})


def make_model(folder, spec, seed=0, scale=3):
    """Save a network of random weights whose class map is not constant."""
    import torch

    from geodl.models.bundle import load_model, save_model
    from geodl.models.table import build_network

    torch.manual_seed(seed)
    network = build_network(spec)
    with torch.no_grad():
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.uniform_(-0.2, 0.2)
        for parameter in list(network.parameters())[-2:]:
            parameter.mul_(scale)
    save_model(folder, spec, network)
    return load_model(folder)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("models") / "tiny", make_spec())


@pytest.fixture(scope="session")
def blend_model(tmp_path_factory):
    spec = make_spec(name="tiny-blend", stitch="blend", tile=64, halo=16)
    return make_model(tmp_path_factory.mktemp("models") / "blend", spec)


def write_scene(
    path, height=230, width=310, *, seed=0, nodata=0, transform=None, crs="EPSG:32632", hole=True, **profile
):
    """A GeoTIFF of three bands of reflectance x 10000: smooth patterns, noise, and a corner without data."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / (17 + 5 * b) + b) * np.cos(y / (23 - 4 * b)) for b in range(3)]
    pixels = (
        (2000 + 900 * np.stack(waves) + rng.normal(0, 150, (3, height, width))).clip(1, 9000).astype("uint16")
    )
    if hole and nodata is not None:
        pixels[:, (x + y) < min(height, width) // 3] = nodata
    fields = {
        "driver": "GTiff", "count": 3, "dtype": "uint16", "height": height, "width": width, "nodata": nodata,
        "crs": crs, "transform": transform or Affine(10, 0, 600000, 0, -10, 5200000),
    }  # fmt: skip
    if min(height, width) >= 64:
        fields |= {"tiled": True, "blockxsize": 64, "blockysize": 64}
    with rasterio.open(path, "w", **{**fields, **profile}) as file:
        file.write(pixels)
        file.descriptions = ("red", "green", "nir")
        file.scales = (0.0001,) * 3
        file.offsets = (0.0,) * 3
        for band in (1, 2, 3):
            file.set_band_unit(band, "reflectance")
    return path


@pytest.fixture(scope="session")
def scene_file(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("scenes") / "valley.tif")


def whole_scene_probabilities(scene, model):
    """The network run once over the whole scene, continued by reflection: what stitching must equal."""
    import torch

    from geodl.scene import valid_mask
    from geodl.tiles import reflect

    spec = model.spec
    pixels = scene.sel(band=spec.band_names).compute().values
    valid = valid_mask(scene).compute().values
    height, width = valid.shape
    margin = spec.halo
    stop = [margin + -(-(n + margin) // spec.stride) * spec.stride - margin for n in (height, width)]
    rows, cols = reflect(-margin, stop[0], height), reflect(-margin, stop[1], width)
    values = pixels[:, rows[:, None], cols] * np.float32(
        scene.attrs["scale"] if np.isscalar(scene.attrs["scale"]) else scene.attrs["scale"][0]
    )
    mean, std = (
        np.array([getattr(b, k) for b in spec.bands], np.float32)[:, None, None] for k in ("mean", "std")
    )
    inputs = np.where(valid[rows[:, None], cols], (values - mean) / std, 0).astype(np.float32)
    with torch.inference_mode():
        scores = model.network()(torch.from_numpy(inputs)[None]) / spec.temperature
        scores = scores.softmax(1)[0].numpy()
    return scores[:, margin : margin + height, margin : margin + width], valid


@pytest.fixture
def small_chunks(monkeypatch):
    """Every cell is a chunk, so that a small scene has many blocks."""
    monkeypatch.setattr("geodl.tiles.CHUNK", 1)
