"""Vectors over the imagery that they were made of, to look at.

python -m tests.benchmarks.objects.draw SCENE.tif LAYER.gpkg OUT.png [ROW COLUMN HEIGHT WIDTH] [--scale 1.5]
"""

import argparse
from pathlib import Path

import geopandas
import numpy as np
import rasterio
from affine import Affine
from PIL import Image, ImageDraw
from rasterio.windows import Window

RED, YELLOW, BLACK, WHITE = (235, 50, 40), (255, 225, 70), (20, 20, 20), (255, 255, 255)
SHARP = 2
"""Times that a picture is drawn larger before it is made smaller, for smooth lines."""
COLOURS = 200  # of the file, which is small with a palette


def draw(scene: Path, layer: Path, out: Path, window: Window | None = None, scale: float = 1.0) -> None:
    """Draw footprints, or the edges and nodes of a network, over a scene.

    Parameters
    ----------
    scene : Path
        GeoTIFF, uint8, red, green, blue.
    layer : Path
        GeoPackage with polygons in its first layer, or with the layers ``edges`` and ``nodes``.
    out : Path
        PNG.
    window : Window, optional
        Part of the scene.
    scale : float
        Pixels of the picture for each of the scene.
    """
    with rasterio.open(scene) as file:
        window = window or Window(0, 0, file.width, file.height)
        pixels = file.read((1, 2, 3), window=window)
        to_picture = Affine.scale(scale * SHARP) @ ~file.window_transform(window)
        crs = file.crs
    size = (round(window.width * scale), round(window.height * scale))
    picture = Image.fromarray(pixels.transpose(1, 2, 0)).resize(
        (size[0] * SHARP, size[1] * SHARP), Image.Resampling.BICUBIC
    )
    pen = ImageDraw.Draw(picture)
    names = geopandas.list_layers(layer)["name"].tolist()
    main = geopandas.read_file(layer, layer="edges" if "edges" in names else names[0]).to_crs(crs)
    for shape in main.geometry.explode():
        if shape.geom_type == "Polygon":
            for ring in (shape.exterior, *shape.interiors):
                _line(pen, to_picture, ring.coords, RED, 2)
        else:
            _line(pen, to_picture, shape.coords, BLACK, 4)
            _line(pen, to_picture, shape.coords, YELLOW, 2)
    if "nodes" in names:
        for point in geopandas.read_file(layer, layer="nodes").to_crs(crs).geometry:
            x, y = to_picture * (point.x, point.y)
            radius = 3 * SHARP
            pen.ellipse(
                (x - radius, y - radius, x + radius, y + radius), fill=WHITE, outline=BLACK, width=SHARP
            )
    small = picture.resize(size, Image.Resampling.LANCZOS)
    small.quantize(COLOURS, dither=Image.Dither.FLOYDSTEINBERG).save(out, optimize=True)


def _line(pen: ImageDraw.ImageDraw, to_picture: Affine, points, colour: tuple, width: int) -> None:
    placed = [to_picture * point[:2] for point in np.asarray(points)]
    pen.line(placed, fill=colour, width=width * SHARP, joint="curve")


def main() -> None:
    """Draw what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.objects.draw")
    for name in ("scene", "layer", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("window", type=int, nargs="*", help="row, column, height and width")
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args()
    window = None
    if options.window:
        row, column, height, width = options.window
        window = Window(column, row, width, height)
    draw(options.scene, options.layer, options.out, window, options.scale)


if __name__ == "__main__":
    main()
