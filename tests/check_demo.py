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

PRODUCT = ("landcover.tif", "landcover.qml", "landcover.gpkg", "confidence.tif", "manifest.json")


def check_product(scene: Path, product: Path) -> str:
    """Check one product folder against its scene; returns a line for the log."""
    for name in PRODUCT:
        assert (product / name).is_file(), f"{product / name} is missing"
    manifest = json.loads((product / "manifest.json").read_text())
    for row in manifest["files"]:
        digest = hashlib.sha256((product / row["path"]).read_bytes()).hexdigest()
        assert digest == row["sha256"], f"{product / row['path']} is not the file that the manifest lists"
    with rasterio.open(scene) as image, rasterio.open(product / "landcover.tif") as map_file:
        grids = [(file.crs, file.transform, file.shape) for file in (image, map_file)]
        assert grids[0] == grids[1], f"{product} is not on the grid of {scene}"
        classes = map_file.read(1)
    values = set(np.unique(classes)) - {255}
    assert len(values) >= 2, f"{product} shows a single class"
    for name in ("landcover.tif", "confidence.tif"):
        valid, errors, warnings = cog_validate(product / name, strict=True)
        assert valid, f"{product / name}: {errors} {warnings}"
    layer = geopandas.read_file(product / "landcover.gpkg", layer="landcover")
    assert set(layer["class"]) == values, (
        f"{product}: classes of the polygons differ from those of the raster"
    )
    assert layer.is_valid.all(), f"{product}: invalid polygons"
    return f"{product}: {len(values)} classes, {len(layer)} polygons"


def main(folder: Path) -> None:
    """Check the product of every sample scene."""
    scenes = sorted(sample_scenes().glob("*.tif"))
    assert scenes, "no sample scenes"
    for scene in scenes:
        print(check_product(scene, folder / scene.stem))
    leftovers = {path.name for path in folder.iterdir()} - {scene.stem for scene in scenes}
    assert not leftovers, f"{folder} also holds {leftovers}"
    print(f"{len(scenes)} passed, 0 failed")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
