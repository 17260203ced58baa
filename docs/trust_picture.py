"""Draw what a model says of places that it has not seen: three squares of a sample scene are replaced.

python docs/trust_picture.py MODEL OUT.png

MODEL is one for the sample scenes that knows what it has seen (`geodl models familiarise`).
"""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

import geodl

SCENE = Path(__file__).parent.parent / "sample_scenes" / "s2_valley_2024.tif"
SIDE = 120  # pixels of a square
LEFT = {"noise": 60, "bands reversed": 200, "cloud": 340}  # first column of each square
TOP = 180


def altered(scene: xr.DataArray) -> xr.DataArray:
    """Replace a square by noise of the same mean and deviation, reverse the bands of one, cover one."""
    pixels, valid = scene.values.astype(float), geodl.valid_mask(scene).values
    mean, deviation = (f(pixels[:, valid], axis=1)[:, None, None] for f in (np.mean, np.std))
    parts = {name: pixels[:, TOP : TOP + SIDE, left : left + SIDE] for name, left in LEFT.items()}
    parts["noise"][:] = np.random.default_rng(0).normal(mean, deviation, parts["noise"].shape)
    parts["bands reversed"][:] = parts["bands reversed"][::-1].copy()
    parts["cloud"][:] = 0.3 * parts["cloud"] + 5000  # a reflectance of a half
    return scene.copy(data=np.where(valid, pixels.clip(1, 10000), scene.values).astype(scene.dtype))


def tell(found: xr.Dataset) -> None:
    """Print means over the squares and over the rest of the scene."""
    rest = np.ones(found["class"].shape, bool)
    squares = {}
    for name, left in LEFT.items():
        squares[name] = np.zeros_like(rest)
        inside = slice(TOP, TOP + SIDE), slice(left, left + SIDE)
        squares[name][inside] = True
        rest[inside] = False
    for name, where in {**squares, "the rest": rest}.items():
        values = {layer: found[layer].values[where] for layer in ("confidence", "entropy", "novelty")}
        means = "  ".join(f"{layer} {np.nanmean(value):.2f}" for layer, value in values.items())
        print(f"{name:14} {means}  novelty above 0.99: {np.nanmean(values['novelty'] > 0.99):.1%}")


def draw(scene: xr.DataArray, found: xr.Dataset, out: Path) -> None:
    """Draw scene, classes, confidence and novelty side by side."""
    bands = scene.sel(band=["red", "green", "blue"]).transpose("y", "x", "band").values.astype(float)
    low, high = np.percentile(bands[:TOP], (2, 99), axis=(0, 1))
    colors = ListedColormap(found["class"].attrs["flag_colors"].split())
    classes = np.ma.masked_equal(found["class"].values, found["class"].attrs["nodata"])
    numbers = np.searchsorted(found["class"].attrs["flag_values"], classes)
    figure = Figure(figsize=(15, 4), layout="constrained")
    panels = figure.subplots(1, 4)
    panels[0].imshow(((bands - low) / (high - low)).clip(0, 1))
    panels[1].imshow(
        np.ma.array(numbers, mask=classes.mask),
        cmap=colors,
        vmin=-0.5,
        vmax=colors.N - 0.5,
        interpolation="nearest",
    )
    for panel, layer, cmap in ((panels[2], "confidence", "viridis"), (panels[3], "novelty", "viridis_r")):
        figure.colorbar(panel.imshow(found[layer].values, cmap=cmap, vmin=0, vmax=1), ax=panel, shrink=0.8)
    for panel, title in zip(
        panels, ("scene, three squares replaced", "map", "confidence", "novelty"), strict=True
    ):
        panel.set_title(title, fontsize=11)
        panel.set_axis_off()
    figure.savefig(out, dpi=90)


def main() -> None:
    """Map the altered scene, print figures, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    scene = altered(geodl.open_scene(SCENE).load())
    found = geodl.predict(scene, arguments.model, entropy=True, novelty=True).compute()
    tell(found)
    draw(scene, found, arguments.out)


if __name__ == "__main__":
    main()
