"""One scene, from its pixels to rows: predicted, made vectors of, compared with what is there."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from geodl.assess.vectors import (
    NetworkAssessment,
    NetworkOptions,
    ObjectAssessment,
    ObjectOptions,
    assess_vectors,
)
from geodl.cli import main as geodl
from geodl.models.bundle import Model
from geodl.task import TASKS
from tests.benchmarks.objects.baseline import simple_layer
from tests.benchmarks.objects.picture import OUTSIDE, Files
from tests.benchmarks.objects.places import PLACES, Place
from tests.benchmarks.objects.rows import Row

LEAST_AREA = 20.0
"""Square metres: smaller buildings count on neither side, as in the contests of SpaceNet."""
BUFFER = 3.0
"""Metres, and pixels that the network sees, within which a road counts as found."""
BOUNDARY = 1.0
"""Metres inside the outlines that boundary IoU looks at."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What one way makes of a scene."""

    way: str
    path: Path
    """Polygons or lines."""
    grid: Path
    """The map that it was made of."""
    surface: np.ndarray
    """Its pixels: bool, shape (rows, columns)."""


def measure(name: str, model: Model, data: Path, work: Path) -> list[Row]:
    """Predict a scene and compare both ways with the truth.

    Parameters
    ----------
    name : str
        Row of `PLACES`, of the model's task.
    model : Model
    data : Path
        Folder of real data.
    work : Path
        Keeps scenes with their truth, and the products of each model; what is there is used again.
    """
    place, started = PLACES[name], time.process_time()
    files = place.files(data, work / "scenes" / name)
    out = work / model.hash[:12] / name
    product = predicted(place, files, model, out)
    seconds = time.process_time() - started
    return [
        Row(
            place=name,
            task=place.task,
            model=model.spec.name,
            hash=model.hash[:12],
            way=layer.way,
            seen=place.is_in(model.spec.training),
            pixel=place.pixel,
            seconds=round(seconds, 1),
            values={key: round(value, 4) for key, value in compared(place, files, layer).items()},
        )
        for layer in ways(place, product, model)
    ]


def predicted(place: Place, files: Files, model: Model, out: Path) -> Path:
    """Run `geodl predict` on a whole scene, or take up what it made before."""
    arguments = ["predict", files.scene, "--model", model.folder, "--out", out, "--device", "cpu"]
    arguments += ["--probabilities", "--products", "map,confidence"]
    if place.resample:
        arguments += ["--resample", place.pixel]
    _run(arguments)
    return out / files.scene.stem


def ways(place: Place, product: Path, model: Model) -> Iterator[Layer]:
    """Yield the layer of `geodl vectorize`, and what a threshold makes of the same probabilities."""
    task = place.task
    raster, layer = product / f"{TASKS[task].raster}.tif", product.parent / f"{task}.gpkg"
    layer.unlink(missing_ok=True)
    confidence = product / "confidence.tif"
    _run(["vectorize", raster, "--task", task, "--confidence", confidence, "--out", layer])
    with rasterio.open(raster) as file:
        surface = file.read(1, masked=True)
    yield Layer(way="geodl", path=layer, grid=raster, surface=(surface > 0).filled(False))
    simple = product.parent / f"{task}-simple.gpkg"
    bands = [number for number, c in enumerate(model.spec.classes, start=1) if c.value != 0]
    mask = simple_layer(task, product / "probability.tif", bands, simple)
    yield Layer(way="threshold", path=simple, grid=raster, surface=mask)


def _run(arguments: list[object]) -> None:
    geodl([str(argument) for argument in arguments], standalone_mode=False)


def compared(place: Place, files: Files, layer: Layer) -> dict[str, float]:
    """Compare a layer with the truth, pixel by pixel and object by object."""
    pixels = {"pixel_iou": pixel_iou(layer.surface, files.surface, layer.grid)}
    options: dict[str, Any]
    if place.task == "buildings":
        options = {"min_area": LEAST_AREA, "objects": ObjectOptions(iou=(0.5,), boundary=BOUNDARY)}
    else:
        options = {"network": NetworkOptions(buffers=(BUFFER, BUFFER * place.pixel))}
    found = assess_vectors(layer.path, files.truth, area_of_interest=files.area, **options)
    return pixels | (_of_objects(found) if isinstance(found, ObjectAssessment) else _of_network(found))


def pixel_iou(surface: np.ndarray, truth: Path, grid: Path) -> float:
    """Intersection over union of pixels, on the grid of a map that may be another than that of the truth."""
    with rasterio.open(grid) as wanted, rasterio.open(truth) as file:
        options = {"crs": wanted.crs, "transform": wanted.transform, "nodata": OUTSIDE}
        options |= {"width": wanted.width, "height": wanted.height, "resampling": Resampling.nearest}
        with WarpedVRT(file, **options) as warped:
            value = warped.read(1)
    known, there = value != OUTSIDE, value == 1
    either = np.count_nonzero(known & (there | surface))
    return float(np.count_nonzero(there & surface) / either) if either else float("nan")


def _of_objects(found: ObjectAssessment) -> dict[str, float]:
    matches = found.accuracies[0]
    return {
        "objects": found.map_objects.count,
        "truth": found.reference_objects.count,
        "precision": matches.precision,
        "recall": matches.recall,
        "f1": matches.f1,
        "iou_of_matches": matches.mean_iou,
        "boundary_iou": found.boundary_iou,
        "turning_degrees": found.turning_angle_error,
        "corners": found.map_objects.vertices_per_object,
    }


def _of_network(found: NetworkAssessment) -> dict[str, float]:
    metres, pixels = found.relaxed
    return {
        "km": found.map_size.metres / 1000,
        "truth_km": found.reference_size.metres / 1000,
        "precision_3m": metres.precision,
        "recall_3m": metres.recall,
        "f1_3m": metres.f1,
        "f1_3px": pixels.f1,
        "apls": found.paths.apls,
        "apls_missing": found.paths.reference_to_map,
        "apls_invented": found.paths.map_to_reference,
        "parts": found.map_size.parts,
    }
