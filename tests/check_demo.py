"""Does ``geodl demo`` make what it says? ``python -m tests.check_demo FOLDER``; exit status 1 if not."""

import hashlib
import json
import sys
from pathlib import Path

import geopandas
import numpy as np
import rasterio
from rio_cogeo import cog_validate

from geodl.demo import sample_scenes

PRODUCT = ("confidence.tif", "manifest.json", "map.qgz")
LAYERS = {"landcover": "landcover", "buildings": "buildings", "roads": "edges", "change": "change"}
"""Main layer of the vectors of each task."""


def check_product(scene: Path, product: Path, task: str) -> str:
    """Check one product folder against its scene; returns a line for the log."""
    raster = f"{task}.tif"
    for name in (raster, f"{task}.qml", f"{task}.gpkg", *PRODUCT):
        assert (product / name).is_file(), f"{product / name} is missing"
    manifest = json.loads((product / "manifest.json").read_text())
    for row in manifest["files"]:
        digest = hashlib.sha256((product / row["path"]).read_bytes()).hexdigest()
        assert digest == row["sha256"], f"{product / row['path']} is not the file that the manifest lists"
    with rasterio.open(scene) as image, rasterio.open(product / raster) as map_file:
        grids = [(file.crs, file.transform, file.shape) for file in (image, map_file)]
        assert grids[0] == grids[1], f"{product} is not on the grid of {scene}"
        classes = map_file.read(1)
    values = set(np.unique(classes)) - {255}
    assert len(values) >= 2, f"{product} shows a single class"
    for name in (raster, "confidence.tif"):
        valid, errors, warnings = cog_validate(product / name, strict=True)
        assert valid, f"{product / name}: {errors} {warnings}"
    layer = geopandas.read_file(product / f"{task}.gpkg", layer=LAYERS[task])
    assert len(layer), f"{product}: no features"
    assert layer.is_valid.all(), f"{product}: invalid features"
    if task == "landcover":
        assert set(layer["class"]) == values, f"{product}: polygons and raster differ in their classes"
    return f"{product}: {len(values)} classes, {len(layer)} features"


def main(folder: Path) -> None:
    """Check the products of every sample scene."""
    scenes = {scene.stem: scene for scene in sample_scenes().glob("*.tif")}
    assert scenes, "no sample scenes"
    pairs = {"s2_valley_2023_2024": scenes["s2_valley_2023"]}  # on the grid of the earlier date
    products = sorted(product for task in folder.iterdir() for product in task.iterdir() if product.is_dir())
    for product in products:
        print(check_product((scenes | pairs)[product.name], product, product.parent.name))
    mapped = {product.name for product in products if product.parent.name == "landcover"}
    assert mapped == set(scenes), f"land cover of {set(scenes) - mapped} is missing"
    assert {product.parent.name for product in products} == set(LAYERS)
    print(f"{len(products)} passed, 0 failed")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
