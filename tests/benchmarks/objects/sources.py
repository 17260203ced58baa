"""Each collection of real data as pictures with their truth; see the manifest beside the data."""

from pathlib import Path

import geopandas
import numpy as np
import pandas
import rasterio
from affine import Affine
from PIL import Image

from geodl.scene.xyz import tile_number
from tests.benchmarks.objects.baseline import centrelines
from tests.benchmarks.objects.picture import Picture, drawn, outlines

ROOT = Path(__file__).resolve().parents[3]

DUBAI = {"buildings": (60, 16, 152), "roads": (110, 193, 228)}
"""Colours of the masks."""
DUBAI_UNKNOWN = ((155, 155, 155), (0, 0, 0))
DUBAI_PIXEL = {"buildings": 0.6, "roads": 1.0}
"""Metres. The set does not say; it is about one: the running track of tile 7, 177 m long outside, has 174
pixels, and a bus of 12 m in tile 3 has 13. The model of buildings takes 0.6 m at the most and has learnt
other tiles of Dubai with their pixels as they are, so it gets these in the same way."""
NOWHERE = (400_000.0, 2_780_000.0)
"""Easting and northing of pictures that do not say where they lie."""
FAIR_ZOOM = 19  # 0.3 m
INRIA_PIXEL = 0.3
INRIA_SIDE, INRIA_GAP, INRIA_COLUMNS = 256, 64, 8  # pixels, pixels, crops
SPUR = 12.0
"""Metres: shorter dead ends of the skeleton of a traced road surface are no roads."""
VEGAS_ROWS, VEGAS_WIDTH = 1208, 9.0  # below these rows are the credits; metres, as in workflows/roads.yaml
VEGAS_GREY = 1400  # digital number of the panchromatic band that is shown white


def dubai(data: Path, task: str, tile: int) -> Picture:
    """Put the nine parts of a tile together, three by three, and outline what was painted."""
    folder = data / "landcover" / "dubai_vhr" / f"tile_{tile}"
    pixels = _three_by_three(sorted((folder / "images").glob("*.jpg")))
    colours = _three_by_three(sorted((folder / "masks").glob("*.png")))
    surface = _has_colour(colours, DUBAI[task])
    known = ~np.logical_or.reduce([_has_colour(colours, colour) for colour in DUBAI_UNKNOWN])
    transform, crs = _nowhere(DUBAI_PIXEL[task]), "EPSG:32640"
    trace = outlines if task == "buildings" else _traced_roads
    return Picture(
        pixels=pixels.transpose(2, 0, 1),
        known=known,
        surface=surface,
        truth=trace(surface & known, transform, crs),
        transform=transform,
        crs=crs,
    )


def fair(data: Path, place: str) -> Picture:
    """Lay the tiles of a place beside each other; those that nobody has drawn stay empty."""
    folder = data / "buildings" / "fair_oam" / place
    tiles = []
    for path in sorted((folder / "images").glob(f"*-{FAIR_ZOOM}.png")):
        if (folder / "labels" / f"{path.stem}.geojson").exists():
            tiles.append((path, tile_number(path, "{x}-{y}-{z}")))
    left, top = (min(getattr(number, name) for _, number in tiles) for name in "xy")
    right, bottom = (max(getattr(number, name) for _, number in tiles) for name in "xy")
    size = (256 * (bottom - top + 1), 256 * (right - left + 1))
    pixels, known = np.zeros((3, *size), np.uint8), np.zeros(size, bool)
    for path, number in tiles:
        rows = slice(256 * (number.y - top), 256 * (number.y - top + 1))
        columns = slice(256 * (number.x - left), 256 * (number.x - left + 1))
        picture = np.asarray(Image.open(path).convert("RGBA"))
        pixels[:, rows, columns] = picture[..., :3].transpose(2, 0, 1)
        known[rows, columns] = picture[..., 3] > 0
    first = next(number for _, number in tiles if number.x == left)
    grid = first.grid(256, 256).transform
    transform = grid @ Affine.translation(0, 256 * (top - first.y))
    truth = geopandas.read_file(folder / "aoi_buildings.geojson")
    return Picture(
        pixels=pixels,
        known=known,
        surface=drawn(truth.geometry, size, transform, "EPSG:3857"),
        truth=truth,
        transform=transform,
        crs="EPSG:3857",
    )


def inria(data: Path) -> Picture:
    """Lay out the crops of Austin and Chicago in rows, with gaps between them."""
    folder = data / "buildings" / "inria_crops"
    paths = sorted((folder / "images").glob("*.tif"))
    pitch = INRIA_SIDE + INRIA_GAP
    size = (-(-len(paths) // INRIA_COLUMNS) * pitch, INRIA_COLUMNS * pitch)
    pixels, known, surface = np.zeros((3, *size), np.uint8), np.zeros(size, bool), np.zeros(size, bool)
    for number, path in enumerate(paths):
        row, column = (place * pitch for place in divmod(number, INRIA_COLUMNS))
        window = (slice(row, row + INRIA_SIDE), slice(column, column + INRIA_SIDE))
        with rasterio.open(path) as file:
            pixels[:, *window] = file.read((1, 2, 3))
        surface[window] = np.asarray(Image.open(folder / "gt" / f"{path.stem}.png").convert("L")) > 127
        known[window] = True
    transform, crs = _nowhere(INRIA_PIXEL), "EPSG:32614"
    return Picture(
        pixels=pixels,
        known=known,
        surface=surface,
        truth=outlines(surface, transform, crs),
        transform=transform,
        crs=crs,
    )


def footprints_of_file(scene: Path, labels: Path) -> Picture:
    """Take a GeoTIFF and a file of polygons."""
    pixels, known, transform, crs = _read(scene)
    truth = geopandas.read_file(labels)
    return Picture(
        pixels=pixels,
        known=known,
        surface=drawn(truth.geometry, known.shape, transform, crs),
        truth=truth,
        transform=transform,
        crs=crs,
    )


def sample(task: str, name: str) -> Picture:
    """Take a generated scene, whose truth is exact."""
    folder = ROOT / "sample_scenes"
    labels = folder / "truth" / f"{name}_{task}.gpkg"
    if task == "buildings":
        return footprints_of_file(folder / f"{name}.tif", labels)
    return _with_centrelines(*_read(folder / f"{name}.tif"), geopandas.read_file(labels), "width_m")


def massachusetts_roads(data: Path, tile: str) -> Picture:
    """Take a tile; its truth is the centreline of lines that were drawn seven pixels wide."""
    folder = data / "roads" / "massachusetts_roads"
    pixels, known, transform, crs = _read(folder / "images" / f"{tile}.tif")
    with rasterio.open(folder / "masks" / f"{tile}.tif") as file:
        surface = (file.read(1) == 1) & known
    truth = _traced_roads(surface, transform, crs)
    return Picture(pixels=pixels, known=known, surface=surface, truth=truth, transform=transform, crs=crs)


def vegas(data: Path, *, grey: bool) -> Picture:
    """Take one of the two pictures of Las Vegas: the coloured one, or the grey one of another quarter."""
    folder = data / "roads" / "spacenet_samples"
    if not grey:
        pixels, known, transform, crs = _read(folder / "RGB-PanSharpen_AOI_2_Vegas_img0.tif")
        known[VEGAS_ROWS:] = False
        lines = geopandas.read_file(folder / "spacenetroads_AOI_2_Vegas_img0.geojson")
        return _with_centrelines(pixels, known, transform, crs, lines, VEGAS_WIDTH)
    with rasterio.open(folder / "PAN_AOI_2_Vegas_road_mask_input.tif") as file:
        value, transform, crs = file.read(1), file.transform, file.crs.to_wkt()
    shown = np.clip(value / VEGAS_GREY * 255, 0, 255).astype(np.uint8)
    lines = geopandas.read_file(folder / "PAN_AOI_2_Vegas_roads.geojson")
    known = np.ones(value.shape, bool)
    return _with_centrelines(np.stack([shown] * 3), known, transform, crs, lines, VEGAS_WIDTH)


def _read(path: Path) -> tuple[np.ndarray, np.ndarray, Affine, str]:
    with rasterio.open(path) as file:
        known = np.logical_and.reduce(file.read_masks((1, 2, 3)) > 0)
        return file.read((1, 2, 3)), known, file.transform, file.crs.to_wkt()


def _three_by_three(paths: list[Path]) -> np.ndarray:
    """Join parts that adjoin, row by row; some are a pixel larger than others, which is filled with black."""
    parts = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    heights = [max(part.shape[0] for part in parts[row : row + 3]) for row in (0, 3, 6)]
    widths = [max(part.shape[1] for part in parts[column::3]) for column in range(3)]
    joined = np.zeros((sum(heights), sum(widths), 3), np.uint8)
    for number, part in enumerate(parts):
        row, column = divmod(number, 3)
        y, x = sum(heights[:row]), sum(widths[:column])
        joined[y : y + part.shape[0], x : x + part.shape[1]] = part
    return joined


def _has_colour(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (picture == np.array(colour, np.uint8)).all(axis=-1)


def _nowhere(pixel: float) -> Affine:
    return Affine(pixel, 0, NOWHERE[0], 0, -pixel, NOWHERE[1])


def _traced_roads(surface: np.ndarray, transform: Affine, crs: str) -> geopandas.GeoDataFrame:
    return centrelines(surface, transform, crs, spur=SPUR / abs(transform.a))


def _with_centrelines(
    pixels: np.ndarray,
    known: np.ndarray,
    transform: Affine,
    crs: str,
    lines: geopandas.GeoDataFrame,
    width: str | float,
) -> Picture:
    """Draw the surface of roads; `width` in metres, or the column that holds it."""
    metres = lines.estimate_utm_crs()
    half = (lines[width] if isinstance(width, str) else pandas.Series(width, lines.index)) / 2
    return Picture(
        pixels=pixels,
        known=known,
        surface=drawn(lines.to_crs(metres).buffer(half), known.shape, transform, crs),
        truth=lines,
        transform=transform,
        crs=crs,
    )
