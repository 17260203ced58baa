"""Draw the pictures of the documentation: scene | map | reference, side by side.

python docs/pictures.py SCENE MAP OUT.png [--reference LABELS] [--bands 3,2,1] [--width 1500]
"""

import argparse
from pathlib import Path

import numpy as np
import rasterio
from PIL import Image

from geodl.models.bundle import load_model
from geodl.scene import open_scene, valid_mask

GAP = 8  # white pixels between the panels


def shown(path: str, names: list[str] | None) -> np.ndarray:
    """Scene in colours, each band stretched from its 1st to its 99th percentile: (y, x, 3) uint8."""
    scene = open_scene(path.split(","), ungeoreferenced=path.lower().endswith((".jpg", ".png")))
    valid = valid_mask(scene).to_numpy()
    planes = []
    for band in names or ("red", "green", "blue"):
        values = scene.sel(band=band).to_numpy().astype(float)
        low, high = np.percentile(values[valid], (1, 99))
        planes.append(np.where(valid, (values - low) / (high - low), 0).clip(0, 1) * 255)
    return np.stack(planes, axis=-1).astype("uint8")


def coloured(path: str, table: dict[int, tuple[int, int, int]]) -> np.ndarray:
    """Class raster in the colours of its classes: (y, x, 3) uint8; black where there is none."""
    with rasterio.open(path) as file:
        values = file.read(1)
    picture = np.zeros((*values.shape, 3), "uint8")
    for value, color in table.items():
        picture[values == value] = color
    return picture


def reference_colours(path: str, model: str) -> np.ndarray:
    """Colour-coded labels in the colours of the model, by the recipe inside the model."""
    picture = np.array(Image.open(path).convert("RGB"))
    out = np.zeros_like(picture)
    for row in load_model(model).spec.training.recipe["classes"]:
        rgb = [int(row["color"][i : i + 2], 16) for i in (1, 3, 5)]
        for source in row.get("from", []):
            key = [int(source[i : i + 2], 16) for i in (1, 3, 5)]
            out[(picture == key).all(axis=-1)] = rgb
    return out


def main() -> None:
    """Draw one picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene")
    parser.add_argument("map")
    parser.add_argument("out", type=Path)
    parser.add_argument("--reference")
    parser.add_argument("--model", help="whose recipe says what the colours of the reference mean")
    parser.add_argument("--bands", type=lambda text: text.split(","))
    parser.add_argument("--width", type=int, default=1500)
    options = parser.parse_args()
    with rasterio.open(options.map) as file:
        table = {value: rgba[:3] for value, rgba in file.colormap(1).items()}
    panels = [shown(options.scene, options.bands), coloured(options.map, table)]
    if options.reference and options.model:
        panels.append(reference_colours(options.reference, options.model))
    elif options.reference:
        panels.append(coloured(options.reference, table))
    height = max(panel.shape[0] for panel in panels)
    padded = [np.pad(p, ((0, height - p.shape[0]), (0, GAP), (0, 0)), constant_values=255) for p in panels]
    picture = Image.fromarray(np.concatenate(padded, axis=1)[:, :-GAP])
    picture.thumbnail((options.width, options.width))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    picture.save(options.out, optimize=True)


if __name__ == "__main__":
    main()
