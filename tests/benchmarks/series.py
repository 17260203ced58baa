"""Accuracy of networks on series of many dates, beside a random forest on the same split.

``python -m tests.benchmarks.series convert FOLDER`` writes the Slovenian series as GeoTIFFs;
``python -m tests.benchmarks.series measure FOLDER [NAME ...]`` trains each recipe with three seeds, measures
both and prints a table in Markdown. The data are in the folder that ``GEODL_REAL_DATA`` names.
"""

import json
import os
import sys
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from geodl.training import Recipe, load_recipe, train
from geodl.training.floor import floor

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"
SEEDS = (0, 1, 2)
_CBERS = ["BAND13", "BAND14", "BAND15", "BAND16", "NDVI", "EVI"]
RUNS: dict[str, tuple[str, dict]] = {
    "Mato Grosso": ("series-matogrosso", {}),
    "Rondonia": ("series-rondonia", {}),
    "Barreiras": ("series-barreiras", {"bands": _CBERS}),
    "Barreiras, NDVI": ("series-barreiras", {}),
    "Slovenia, all steps as bands": ("series-slovenia", {}),
    "Slovenia, L-TAE": (
        "series-slovenia",
        {
            "architecture": "ltae",
            "parameters": {"context": 2},
            "optimisation": {"samples_per_epoch": 60, "batch": 1, "learning_rate": 0.006},
        },
    ),
}


def convert(data: Path, folder: Path) -> None:
    """Write the Slovenian NDVI as one GeoTIFF for each day, NaN under clouds, and the land use beside them.

    Two pictures of one day become one: the mean of what both see.
    """
    patch = np.load(data / "timeseries" / "eolearn_slovenia" / "eopatch.npz", allow_pickle=False)
    stamps = json.loads((data / "timeseries" / "eolearn_slovenia" / "timestamps.json").read_text())
    days = np.array([datetime.fromisoformat(stamp).date().isoformat() for stamp in stamps])
    hidden = (patch["cloud_mask"] != 0) | ~patch["is_valid"]
    ndvi = np.where(hidden.reshape(patch["ndvi"].shape), np.nan, patch["ndvi"]).astype(np.float32)
    _, height, width = ndvi.shape
    west, south, east, north = 465181.0522318204, 5079244.8912012065, 466180.53145382757, 5080254.63349641
    profile = {
        "driver": "GTiff", "height": height, "width": width, "count": 1, "crs": "EPSG:32633",
        "transform": Affine((east - west) / width, 0, west, 0, (south - north) / height, north),
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for day in np.unique(days):
        seen = ndvi[days == day]
        count = np.isfinite(seen).sum(axis=0)
        mean = np.where(count > 0, np.nansum(seen, axis=0) / np.maximum(count, 1), np.nan)
        with rasterio.open(
            folder / f"ndvi_{day}.tif", "w", dtype="float32", nodata=np.nan, **profile
        ) as file:
            file.write(mean.astype(np.float32), 1)
    with rasterio.open(folder / "lulc.tif", "w", dtype="uint8", nodata=0, **profile) as file:
        file.write(patch["lulc"].reshape(height, width).astype(np.uint8), 1)


def recipe_of(name: str, seed: int, folder: Path) -> Recipe:
    """Return the recipe of a run; its last state is measured, not the best of several on the same labels."""
    stem, changes = RUNS[name]
    content = load_recipe(WORKFLOWS / f"{stem}.yaml").model_dump(by_alias=True)
    if stem == "series-slovenia":
        content["data_root"] = folder / "slovenia"
    optimisation = {**content["optimisation"], **changes.get("optimisation", {})}
    optimisation["validation_every"] = optimisation["epochs"]
    return Recipe.model_validate({**content, **changes, "seed": seed, "optimisation": optimisation})


def measure(name: str, seed: int, folder: Path) -> dict[str, float]:
    """Train once, and measure the network and a random forest on the points or pixels that were held out."""
    recipe, begin = recipe_of(name, seed, folder), time.process_time()
    out = folder / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"
    model = train(recipe, out, device="cpu", restart=True, echo=lambda _: None)
    seconds = time.process_time() - begin
    forest = floor(recipe, trees=300)
    found = model.spec.accuracy
    assert found.overall is not None
    assert found.mean_iou is not None
    return {
        "network": found.overall, "network_iou": found.mean_iou, "forest": forest.overall,
        "forest_iou": forest.mean_iou, "pixels": found.pixels, "seconds": seconds,
    }  # fmt: skip


def table(rows: dict[str, list[dict[str, float]]]) -> str:
    """Return means and standard deviations over the seeds, as Markdown."""
    lines = [
        "| data | checked on | network: accuracy | mean IoU | forest: accuracy | mean IoU | processor time |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, found in rows.items():
        column = {key: np.array([row[key] for row in found]) for key in found[0]}
        cells = [
            f"{column[key].mean():.3f} ± {column[key].std(ddof=1) if len(found) > 1 else 0:.3f}"
            for key in ("network", "network_iou", "forest", "forest_iou")
        ]
        seconds = f"{column['seconds'].mean():.0f} s"
        lines.append(f"| {name} | {column['pixels'].mean():,.0f} | {' | '.join(cells)} | {seconds} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Run one of the commands."""
    command, folder, *names = arguments
    data = Path(os.environ["GEODL_REAL_DATA"])
    if command == "convert":
        convert(data, Path(folder))
        return
    convert(data, Path(folder) / "slovenia")
    rows: dict[str, list[dict[str, float]]] = {}
    for name in names or RUNS:
        for seed in SEEDS:
            rows.setdefault(name, []).append(measure(name, seed, Path(folder)))
            print(name, seed, json.dumps(rows[name][-1]), flush=True)
    print(table(rows))


if __name__ == "__main__":
    main(sys.argv[1:])
