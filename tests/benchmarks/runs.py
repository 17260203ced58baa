"""geodl itself, timed from inside and from outside."""

import time
from pathlib import Path
from typing import Any

from tests.benchmarks.networks import import_libraries
from tests.benchmarks.process import command_seconds

PRODUCTS = ("map",)


def run(
    scene: str, model: str, out: str, precision: str, tile: int | None, *, times: int = 2
) -> dict[str, Any]:
    """Map a scene in this process; libraries are imported before the clock starts.

    Parameters
    ----------
    tile : int or None
        Side of the tiles; None runs the network as a stream of rows.
    times : int
        How often.

    Returns
    -------
    dict
        ``seconds``, ``again``, of the last time, and ``map``, the file of classes.
    """
    from geodl.job import RunOptions, connect, run_scene
    from geodl.models.bundle import load_model
    from geodl.scene import open_scene

    options = RunOptions(precision=precision, tile=tile, products=PRODUCTS, device="cpu")
    with connect() as client:
        loaded = load_model(model)
        import_libraries(loaded)
        seconds = []
        for folder in (Path(out), Path(out) / "again")[:times]:
            start = time.perf_counter()
            product = run_scene(open_scene(scene), loaded, folder, options, client=client)
            seconds.append(time.perf_counter() - start)
    _check_mode(product, tile)
    return {"seconds": seconds[0], "again": seconds[-1], "map": map_of(product)}


def run_command(scene: Path, model: Path, out: Path, precision: str, tile: int | None, threads: int) -> float:
    """Seconds that the same run takes from the command line, the start of Python included."""
    options = ["--precision", precision, "--device", "cpu", "--products", ",".join(PRODUCTS)]
    if tile is not None:
        options += ["--tile", str(tile)]
    return command_seconds("predict", scene, "--model", model, "--out", out, *options, threads=threads)


def map_of(product: Path) -> str:
    """Return the file of classes of a product."""
    from geodl.task import TASKS

    return str(product / f"{TASKS['landcover'].raster}.tif")


def _check_mode(product: Path, tile: int | None) -> None:
    from geodl.publish.product import read_manifest

    manifest = read_manifest(product)
    assert manifest is not None
    if (manifest["options"]["strip"] is None) != (tile is not None):
        raise RuntimeError(f"{product}: asked for tile {tile}, run with {manifest['options']}")
