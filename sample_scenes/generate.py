"""Make the sample scenes: `python sample_scenes/generate.py --out DIR`, see README.md."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

if __package__ in (None, ""):  # started as a script: the package is found from the repository's root
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sample_scenes import countryside, neighbourhood
from sample_scenes.files import CHANGES, write_classes, write_landcover, write_layer, write_scene
from sample_scenes.picture import (
    AERIAL_FACTOR,
    AERIAL_PIXEL,
    SATELLITE_FACTOR,
    SATELLITE_PIXEL,
    Picture,
    aerial_picture,
    change,
    satellite_picture,
)
from sample_scenes.settlement import FIRST_YEAR, SECOND_YEAR

SMALLEST = 96
"""Least height and width of a scene in pixels: below it there is no room for a landscape."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """A place to be pictured once or twice."""

    name: str
    """Files are called ``<name>_<year>.tif``."""
    style: str
    """``valley`` or ``coast`` (satellite), ``town`` (aerial)."""
    seed: int
    shape: tuple[int, int]
    """(rows, columns), each at least `SMALLEST`."""
    epsg: int
    corner: tuple[float, float]
    """(easting, northing) of the upper left corner in metres."""
    years: tuple[int, ...] = (FIRST_YEAR, SECOND_YEAR)

    @property
    def aerial(self) -> bool:
        """Whether the place is pictured from an aircraft."""
        return self.style == "town"


COMMITTED = (
    Order(
        name="s2_valley",
        style="valley",
        seed=11,
        shape=(487, 523),
        epsg=32632,
        corner=(612_340, 5_283_120),
    ),
    Order(
        name="s2_coast",
        style="coast",
        seed=12,
        shape=(461, 509),
        epsg=32630,
        corner=(388_420, 4_861_700),
        years=(FIRST_YEAR,),
    ),
    Order(
        name="aerial_town",
        style="town",
        seed=23,
        shape=(907, 971),
        epsg=32633,
        corner=(389_120.5, 5_340_210),
    ),
)
"""The scenes in this folder."""


def render(order: Order) -> dict[int, Picture]:
    """Return the pictures of a place by year.

    Raises
    ------
    ValueError
        If the shape is smaller than `SMALLEST` in either direction.
    """
    if min(order.shape) < SMALLEST:
        raise ValueError(
            f"{order.name}: {order.shape} pixels leave no room for a landscape: use --size {SMALLEST}"
        )
    rows, columns = order.shape
    if order.aerial:
        fine = rows * AERIAL_FACTOR, columns * AERIAL_FACTOR
        town = neighbourhood.lay_out(fine, AERIAL_PIXEL / AERIAL_FACTOR, order.seed)
        # One date marks its corners by an internal mask, the other by nodata, so that readers meet both.
        return {
            year: aerial_picture(
                town, year, epsg=order.epsg, corner=order.corner, internal_mask=year == FIRST_YEAR
            )
            for year in order.years
        }
    fine = rows * SATELLITE_FACTOR, columns * SATELLITE_FACTOR
    country = countryside.lay_out(fine, SATELLITE_PIXEL / SATELLITE_FACTOR, order.seed, order.style)
    return {
        year: satellite_picture(country, year, epsg=order.epsg, corner=order.corner) for year in order.years
    }


def write(order: Order, pictures: dict[int, Picture], folder: Path) -> list[Path]:
    """Write scenes into the folder and their truth into its folder ``truth``; return the scenes' paths."""
    truth = folder / "truth"
    truth.mkdir(parents=True, exist_ok=True)
    scenes = []
    for year, picture in pictures.items():
        name = f"{order.name}_{year}"
        scenes.append(folder / f"{name}.tif")
        write_scene(scenes[-1], picture)
        write_landcover(truth / f"{name}_landcover.tif", picture)
        if order.aerial:
            write_layer(truth / f"{name}_buildings.gpkg", picture.buildings, "Polygon")
            write_layer(truth / f"{name}_roads.gpkg", picture.roads, "LineString")
    if len(pictures) > 1:
        before, after = pictures[FIRST_YEAR], pictures[SECOND_YEAR]
        write_classes(truth / f"{order.name}_change.tif", before, change(before, after), CHANGES)
    return scenes


def more_orders(count: int, seed: int, kind: str, size: int) -> Iterator[Order]:
    """Yield orders for `count` further places of each kind, valleys and coasts in turn."""
    for number in range(seed, seed + count):
        corner = (400_000.0 + 7_000 * (number % 25), 5_000_000.0 + 7_000 * (number // 25 % 25))
        if kind in ("s2", "both"):
            style = "coast" if number % 3 == 2 else "valley"
            yield Order(
                name=f"s2_{number:04d}",
                style=style,
                seed=number,
                shape=(size, size),
                epsg=32631,
                corner=corner,
            )
        if kind in ("aerial", "both"):
            yield Order(
                name=f"aerial_{number:04d}",
                style="town",
                seed=number,
                shape=(size, size),
                epsg=32631,
                corner=corner,
            )


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Make generated scenes with exact truth.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder (default: this one)")
    parser.add_argument("--kind", choices=("s2", "aerial", "both"), default="both")
    parser.add_argument(
        "--count", type=int, help="make this many new places of each kind, not the committed ones"
    )
    parser.add_argument("--seed", type=int, default=100, help="seed of the first new place (with --count)")
    parser.add_argument(
        "--size", type=int, help="height and width in pixels (default: as committed, else 512)"
    )
    options = parser.parse_args(arguments)
    if options.count is None:
        orders = [o for o in COMMITTED if options.kind in ("both", "aerial" if o.aerial else "s2")]
        if options.size:
            orders = [replace(order, shape=(options.size, options.size)) for order in orders]
    else:
        orders = list(more_orders(options.count, options.seed, options.kind, options.size or 512))
    for order in orders:
        for path in write(order, render(order), options.out):
            print(path)


if __name__ == "__main__":
    main()
