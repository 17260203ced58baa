"""Draw the pictures of the tutorials: ``python docs/tutorial_pictures.py FOLDER``.

FOLDER is where ``docs/tutorials/buildings.md`` and ``roads.md`` were followed, from a checkout's top.
"""

import sys
from pathlib import Path

import geopandas
import matplotlib.pyplot as plt
import numpy as np
import rasterio
from rasterio.plot import plotting_extent
from rasterio.windows import Window

SCENE = Path("sample_scenes/aerial_town_2023.tif")
IMAGES = Path(__file__).parent / "img"


def show_scene(axes, row: int, column: int, side: int) -> None:
    """Show a square of the scene, in pixels from its upper left corner, on axes in its coordinates."""
    with rasterio.open(SCENE) as scene:
        window = Window(column, row, side, side)
        pixels = scene.read([1, 2, 3], window=window)
        axes.imshow(
            np.moveaxis(pixels, 0, -1), extent=plotting_extent(pixels[0], scene.window_transform(window))
        )
        left, bottom, right, top = scene.window_bounds(window)
    axes.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])


def draw_buildings(folder: Path) -> None:
    """Draw outlines of pixels beside footprints."""
    figure, panels = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
    for axes, name, title in zip(
        panels, ("staircases", "footprints"), ("outlines of pixels", "straight walls"), strict=True
    ):
        show_scene(axes, 330, 500, 180)
        layer = geopandas.read_file(folder / f"{name}.gpkg", layer=name)
        layer.plot(ax=axes, facecolor="none", edgecolor="#ffd400", linewidth=1.6)
        axes.set(xlabel="", ylabel="")
        axes.set_title(title, fontsize=10)
    figure.savefig(IMAGES / "tutorial_buildings.png", dpi=90)


def draw_roads(folder: Path) -> None:
    """Draw the scene beside its network."""
    figure, panels = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
    file = folder / "maps" / SCENE.stem / "roads.gpkg"
    for axes, title in zip(panels, ("scene", "network"), strict=True):
        show_scene(axes, 150, 150, 640)
        axes.set_title(title, fontsize=10)
    geopandas.read_file(file, layer="edges").plot(ax=panels[1], color="#ffd400", linewidth=2)
    geopandas.read_file(file, layer="nodes").plot(
        ax=panels[1], color="white", edgecolor="black", markersize=14, zorder=3
    )
    panels[1].set(xlabel="", ylabel="")
    figure.savefig(IMAGES / "tutorial_roads.png", dpi=90)


if __name__ == "__main__":
    draw_buildings(Path(sys.argv[1]))
    draw_roads(Path(sys.argv[1]))
