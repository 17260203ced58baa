"""One table of what a run costs: wall time against bounds measured beside it, peak memory, seams.

python -m tests.benchmarks.engine                                the whole table
python -m tests.benchmarks.engine --sizes 2048 --peers           quickly, beside what others would write
python -m tests.benchmarks.engine --flat                         peak memory at 8192 and at 32768
python -m tests.benchmarks.engine --tall                         peak memory at 4096 and at 65536 rows

Every measurement is made in a process of its own. Nothing else should run on the machine.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import TypeVar

from tests.benchmarks.contest import Case, Contender, Effort, contest, geodl_contenders, peer_contenders
from tests.benchmarks.flat import measure_flatness, measure_tall
from tests.benchmarks.networks import NETWORKS, save_network
from tests.benchmarks.rows import FlatRow, Row, print_flat_rows, print_rows
from tests.benchmarks.scenes import LAYOUTS, write_scene

T = TypeVar("T", Row, FlatRow)

SIZES = (2048, 4096, 8192)
TILE = 2048
MULTIPLE = 1024  # of which sizes are: whole tiles of the peers, on the stride of every network


def main() -> None:
    """Measure what the arguments ask for and print it."""
    arguments = _parser().parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.work, prefix="geodl-benchmark-") as name:
        if arguments.flat:
            measured = measure_flatness(Path(name), threads=arguments.threads)
            _show(measured, print_flat_rows, arguments.json)
        elif arguments.tall:
            measured = measure_tall(
                Path(name),
                threads=arguments.threads,
                networks=arguments.networks,
                precisions=arguments.precision,
            )
            _show(measured, print_flat_rows, arguments.json)
        else:
            _show(measure(arguments, Path(name)), print_rows, arguments.json)


def _show(measured: Iterator[T], print_all: Callable[[list[T]], None], path: Path | None) -> None:
    """Note each row at once, and print the table at the end, even one that an error cut short."""
    rows: list[T] = []
    try:
        for row in measured:
            rows.append(row)
            _note(row.as_json(), path)
    finally:
        print_all(rows)


def measure(arguments: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """Measure every network, size and precision in every way that is asked for."""
    effort = Effort(
        threads=arguments.threads,
        seconds=arguments.bound_seconds,
        commands=not arguments.no_commands,
        seams=not arguments.no_seams,
    )
    models = {network: save_network(folder / network, network) for network in arguments.networks}
    for size in arguments.sizes:
        scene = write_scene(folder / "scene.tif", size, arguments.layout)
        for network, precision in product(arguments.networks, arguments.precision):
            case = Case(
                network=network,
                precision=precision,
                layout=arguments.layout,
                size=size,
                scene=scene,
                model=models[network],
                folder=folder,
            )
            yield from contest(case, _contenders(arguments, case), effort)


def _contenders(arguments: argparse.Namespace, case: Case) -> Iterator[Contender]:
    yield from geodl_contenders(arguments.modes, arguments.tile)
    if arguments.peers:
        yield from peer_contenders(case.model)


def _note(row: dict[str, object], path: Path | None) -> None:
    """Say at once what was measured: the whole table takes long."""
    line = json.dumps({"at": time.strftime("%H:%M:%S"), **row})
    print(line, file=sys.stderr, flush=True)
    if path is not None:
        with path.open("a") as file:
            file.write(line + "\n")


def _size(text: str) -> int:
    size = int(text)
    if size < MULTIPLE or size % MULTIPLE:
        raise argparse.ArgumentTypeError(f"{text} is no multiple of {MULTIPLE}")
    return size


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.engine",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--sizes", nargs="+", type=_size, default=SIZES, help="sides of the scenes in pixels")
    add("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    add("--modes", nargs="*", choices=("stream", "tiles"), default=["stream", "tiles"])
    add("--precision", nargs="+", choices=("fp32", "bf16"), default=["fp32"])
    add("--layout", choices=LAYOUTS, default="tiled", help="of the scene's file")
    add("--tile", type=int, default=TILE, help="largest side of a tile in the mode tiles")
    add("--peers", action="store_true", help="also two programs written by hand")
    add("--flat", action="store_true", help="only peak memory against size, tiled and striped")
    add("--tall", action="store_true", help="only peak memory against height, of large networks")
    add("--no-seams", action="store_true", help="do not compare with the network that sees everything")
    add("--no-commands", action="store_true", help="do not time the whole command")
    add("--bound-seconds", type=float, default=10.0, help="for which a bound is measured, at most")
    add("--threads", type=int, default=os.cpu_count(), help="threads that compute")
    add("--json", type=Path, metavar="FILE", help="append a line of JSON for every measurement")
    add("--work", type=Path, metavar="DIR", help="where scenes and maps are written and removed")
    return parser


if __name__ == "__main__":
    main()
