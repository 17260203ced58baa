"""Peak memory against size: of a cheap network over squares, of large ones over bands."""

import shutil
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

from geodl.cli import SETTINGS
from tests.benchmarks import runs
from tests.benchmarks.networks import save_cheap_network, save_network
from tests.benchmarks.process import call
from tests.benchmarks.rows import FlatRow
from tests.benchmarks.scenes import write_repeated_scene, write_scene

SIZES = (8192, 32768)
LAYOUTS = ("tiled", "striped")
WIDTH, HEIGHTS = 4096, (4096, 65536)


def measure_flatness(
    folder: Path, *, threads: int, sizes: Sequence[int] = SIZES, layouts: Sequence[str] = LAYOUTS
) -> Iterator[FlatRow]:
    """Map square scenes of several sizes and layouts; `folder` must hold the largest, about a GiB."""
    model = save_cheap_network(folder / "cheap")
    for layout, size in product(layouts, sizes):
        scene = write_repeated_scene(folder / f"{layout}-{size}.tif", size, layout)
        yield _measure(scene, model, threads, "cheap", "fp32", layout, (size, size))


def measure_tall(
    folder: Path,
    *,
    threads: int,
    networks: Sequence[str],
    precisions: Sequence[str],
    heights: Sequence[int] = HEIGHTS,
) -> Iterator[FlatRow]:
    """Map scenes of several heights that are 4096 pixels wide; `folder` must hold one, up to 1.5 GB."""
    models = {network: save_network(folder / network, network) for network in networks}
    for network, precision, rows in product(networks, precisions, heights):
        scene = write_scene(folder / f"tall-{rows}.tif", WIDTH, rows=rows)
        yield _measure(scene, models[network], threads, network, precision, "tiled", (rows, WIDTH))


def _measure(
    scene: Path, model: Path, threads: int, network: str, precision: str, layout: str, shape: tuple[int, int]
) -> FlatRow:
    """Map a scene once, in a process of its own, and remove scene and map."""
    out = scene.parent / "out"
    options = {"precision": precision, "tile": None, "times": 1}
    outcome = call(runs.run, threads=threads, settings=SETTINGS, scene=scene, model=model, out=out, **options)
    shutil.rmtree(out)
    scene.unlink()
    return FlatRow(
        network=network,
        precision=precision,
        layout=layout,
        rows=shape[0],
        columns=shape[1],
        wall_s=outcome.value["seconds"],
        peak_gib=outcome.peak_gib,
    )
