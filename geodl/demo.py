"""``geodl demo``: the sample scenes through the bundled models."""

import re
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import rasterio
import xarray as xr

from geodl.errors import OptionError, first_line
from geodl.job import RunOptions, connect, run_scene
from geodl.match import fits
from geodl.models.bundle import bundled_models, load_model
from geodl.models.spec import ModelSpec
from geodl.report import block_progress
from geodl.scene import open_pair, open_scene
from geodl.scene.pair import stack_dates
from geodl.shipped import shipped
from geodl.task import TASKS, Task


def run_demo(out: Path, scenes: Path) -> Iterator[str]:
    """Map every scene of a folder, and every two dates of a place, with the first bundled model that fits.

    Dates of a place are files whose names differ in the year at their end. Where ``truth/<scene>_<task>.tif``
    or ``.gpkg`` lies beside the scenes (of two dates ``<place>_<task>``), the product is compared with it.

    Parameters
    ----------
    out : pathlib.Path
        Folder of the products: ``<task>/<scene>``.
    scenes : pathlib.Path
        Folder with GeoTIFF scenes.

    Yields
    ------
    str
        Lines for the user: where each product is, and how good it is.

    Raises
    ------
    OptionError
        If the folder has no scene, or one that no bundled model fits.
    """
    files = sorted(scenes.glob("*.tif"))
    if not files:
        raise OptionError(f"--scenes {scenes}", "it holds no .tif file", "name a folder with GeoTIFF scenes")
    with connect() as client:
        for place, scene in _subjects(files):
            for spec in _fitting(scene):
                task = TASKS[spec.task]
                with block_progress(f"{scene.name}, {task.title.lower()}") as progress:
                    model, options = load_model(spec.name), RunOptions()
                    product = run_scene(
                        scene, model, out / task.name, options, client=client, progress=progress
                    )
                yield f"{product}  ({spec.name})"
                yield from _compared(product, task, spec, scenes / "truth" / f"{place}_{task.name}")
    yield f"each folder under {out} has map.qgz, to open in QGIS, and report.html, for any browser"


def _subjects(files: list[Path]) -> Iterator[tuple[str, xr.DataArray]]:
    """Yield each scene, then each two dates of a place, with the name that their truth begins with."""
    for file in files:
        yield file.stem, open_scene(file)
    dated = [(found[1], file) for file in files if (found := re.fullmatch(r"(.+)_\d{4}", file.stem))]
    for (place, before), (later_place, after) in pairwise(dated):
        if place == later_place:
            yield place, stack_dates(open_pair(before, after))


def _fitting(scene: xr.DataArray) -> list[ModelSpec]:
    """Return one model for each task that some model can do on the scene.

    Raises
    ------
    OptionError
        There is none for a single scene; two dates may well have none.
    """
    found: dict[str, ModelSpec] = {}
    for spec in bundled_models():
        if spec.task not in found and fits(scene, spec) is None:
            found[spec.task] = spec
    if not found and "dates" not in scene.attrs:
        raise OptionError(f"scene {scene.name}", "no bundled model fits it", "geodl info tells why")
    return [found[name] for name in TASKS if name in found]


def _compared(product: Path, task: Task, spec: ModelSpec, truth: Path) -> Iterator[str]:
    """Say how good a product is, where its truth (a file without its suffix) is known in the same terms."""
    raster, vectors = (truth.with_name(truth.name + suffix) for suffix in (".tif", ".gpkg"))
    if raster.exists() and _classes(raster) == {c.value: c.name for c in spec.classes}:
        from geodl.assess.compare import assess

        result = assess(product / f"{task.raster}.tif", raster).to_dict()
        overall, mean_iou = result["overall_accuracy"], result["mean_iou"]
        yield f"  against its truth: overall accuracy {overall:.3f}, mean IoU {mean_iou:.3f}"
    elif vectors.exists():
        from geodl.assess.vectors import assess_vectors

        yield f"  against its truth: {assess_vectors(product / f'{task.raster}.gpkg', vectors).summary()}"


def _classes(truth: Path) -> dict[int, str]:
    """Class names by value, from the tags ``CLASS_1`` ... of a truth raster."""
    with rasterio.open(truth, driver="GTiff") as file:
        tags = file.tags()
    return {int(key[6:]): name for key, name in tags.items() if re.fullmatch(r"CLASS_\d+", key)}


def sample_scenes() -> Path:
    """Return the folder of the sample scenes that came with geodl.

    Raises
    ------
    OptionError
        If geodl was installed without them.
    """
    folder = shipped("sample_scenes")
    if not any(folder.glob("*.tif")):
        raise OptionError(
            "geodl demo", "this installation has no sample scenes", "name a folder with --scenes"
        )
    return folder


def copy_scenes(scenes: Path, folder: Path) -> Path:
    """Copy the sample scenes and their truth into a folder, to try commands on them.

    Raises
    ------
    OptionError
        If the folder is there already, or cannot be written.
    """
    if folder.exists():
        raise OptionError(f"--copy {folder}", "it exists", "name a folder that does not")
    try:
        shutil.copytree(scenes, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    except OSError as error:
        raise OptionError(f"--copy {folder}", first_line(error), "name another folder") from error
    return folder
