"""Peak memory against the size of the scene, with a cheap network."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from geodl.cli import SETTINGS
from tests.benchmarks import runs
from tests.benchmarks.networks import save_cheap_network
from tests.benchmarks.process import call
from tests.benchmarks.rows import FlatRow
from tests.benchmarks.scenes import write_repeated_scene

SIZES = (8192, 32768)
LAYOUTS = ("tiled", "striped")


def measure_flatness(
    folder: Path, *, threads: int, sizes: Sequence[int] = SIZES, layouts: Sequence[str] = LAYOUTS
) -> Iterator[FlatRow]:
    """Map scenes of several sizes and layouts; `folder` must hold the largest, about a GiB."""
    model = save_cheap_network(folder / "cheap")
    for layout in layouts:
        for size in sizes:
            scene = write_repeated_scene(folder / f"{layout}-{size}.tif", size, layout)
            out = folder / "out"
            options = {"precision": "fp32", "tile": None}
            outcome = call(
                runs.run, threads=threads, settings=SETTINGS, scene=scene, model=model, out=out, **options
            )
            shutil.rmtree(out)
            scene.unlink()
            seconds = outcome.value["seconds"]
            yield FlatRow(layout=layout, size=size, wall_s=seconds, peak_gib=outcome.peak_gib)
