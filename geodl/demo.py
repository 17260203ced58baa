"""``geodl demo``: the sample scenes through the bundled models."""

import re
from collections.abc import Iterator
from pathlib import Path

import rasterio

from geodl.errors import OptionError
from geodl.job import RunOptions, connect, run_scene
from geodl.match import fits
from geodl.models.bundle import bundled_models, load_model
from geodl.report import block_progress
from geodl.scene import open_scene


def run_demo(out: Path, scenes: Path) -> Iterator[str]:
    """Map every scene of a folder with the first bundled model that fits it.

    Where ``truth/<scene>_<task>.tif`` lies beside the scenes and has the model's classes, the map is
    compared with it.

    Parameters
    ----------
    out : pathlib.Path
        Folder of the products, one folder per scene.
    scenes : pathlib.Path
        Folder with GeoTIFF scenes.

    Yields
    ------
    str
        Lines for the user: where each product is, and how good the map is.

    Raises
    ------
    OptionError
        If the folder has no scene, or none that a bundled model fits.
    """
    files = sorted(scenes.glob("*.tif"))
    if not files:
        raise OptionError(f"--scenes {scenes}", "it holds no .tif file", "name a folder with GeoTIFF scenes")
    specs = bundled_models()
    with connect() as client:
        for file in files:
            scene = open_scene(file)
            spec = next((spec for spec in specs if fits(scene, spec) is None), None)
            if spec is None:
                raise OptionError(f"scene {file}", "no bundled model fits it", "geodl info tells why")
            with block_progress(str(scene.name)) as progress:
                product = run_scene(
                    scene, load_model(spec.name), out, RunOptions(), client=client, progress=progress
                )
            yield f"{product}  ({spec.name})"
            truth = scenes / "truth" / f"{file.stem}_{spec.task}.tif"
            if truth.exists() and _classes(truth) == {c.value: c.name for c in spec.classes}:
                yield f"  {_compare(product / f'{spec.task}.tif', truth)}"
    yield f"open the folders under {out} in QGIS: the rasters and the GeoPackages carry their styles"


def _classes(truth: Path) -> dict[int, str]:
    """Class names by value, from the tags ``CLASS_1`` ... of a truth raster."""
    with rasterio.open(truth, driver="GTiff") as file:
        tags = file.tags()
    return {int(key[6:]): name for key, name in tags.items() if re.fullmatch(r"CLASS_\d+", key)}


def _compare(map_file: Path, truth: Path) -> str:
    from geodl.assess.compare import assess

    result = assess(map_file, truth).to_dict()
    overall, mean_iou = result["overall_accuracy"], result["mean_iou"]
    return f"against its truth: overall accuracy {overall:.3f}, mean IoU {mean_iou:.3f}"


def sample_scenes() -> Path:
    """Return the folder of sample scenes of this checkout.

    Raises
    ------
    OptionError
        If geodl was installed without them.
    """
    folder = Path(__file__).resolve().parents[1] / "sample_scenes"
    if not any(folder.glob("*.tif")):
        raise OptionError("geodl demo", "this installation has no sample scenes",
                          "run it in a checkout, or name a folder with --scenes")  # fmt: skip
    return folder
