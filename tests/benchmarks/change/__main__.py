"""Find change in real pairs in several ways; a line of JSON for each place, and at the end tables.

python -m tests.benchmarks.change --data onera --methods cva irmad siamese_unet torchgeo --out change.jsonl
python -m tests.benchmarks.change --data onera6 --methods model siamese_unet+model --model runs/change-s2
python -m tests.benchmarks.change --table change.jsonl

Every group of places is held out in turn: a city of Onera, an area of SZTAKI, a half of Nanjing. What the
file holds already is not measured again. Seeds come first, and after each group all methods compare. The
folder of the data is that of GEODL_REAL_DATA.
"""

import argparse
import os
from itertools import product
from pathlib import Path

from geodl.changes import METHODS as UNSUPERVISED
from geodl.errors import OptionError
from tests.benchmarks.accuracy.cases import Effort
from tests.benchmarks.change.cases import PEER, READY, Case, add_effort, split_method
from tests.benchmarks.change.places import DATA
from tests.benchmarks.change.rows import append_rows, change_table, place_table, read_rows
from tests.benchmarks.change.scores import found_at

_ROOT = Path(__file__).resolve().parents[4] / "shared" / "data"


def main() -> None:
    """Measure what the arguments ask for and print it."""
    parser = _parser()
    arguments = parser.parse_args()
    needs = [m for m in arguments.methods if m == READY or m.endswith("+model")]
    if arguments.table is None:
        if needs and arguments.model is None:
            parser.error(f"--methods {needs[0]} needs --model DIR")
        measure(arguments)
    rows = read_rows(arguments.table or arguments.out)
    if arguments.groups:
        rows = [row for row in rows if row.group in arguments.groups]
    for data in dict.fromkeys(row.data for row in rows):
        print(f"\n{data}\n\n{change_table(rows, data)}\n\n{place_table(rows, data)}")


def measure(arguments: argparse.Namespace) -> None:
    """Run every case that the file does not hold yet."""
    from tests.benchmarks.change.run import run

    arguments.work.mkdir(parents=True, exist_ok=True)
    work = arguments.work.resolve()
    root = Path(os.environ.get("GEODL_REAL_DATA") or _ROOT)
    effort = Effort(steps=arguments.steps, batch=arguments.batch, patch=arguments.patch)
    model = arguments.model and arguments.model.resolve()
    for data in arguments.data:
        places = DATA[data].find(root, work)
        groups = arguments.groups or list(dict.fromkeys(place.group for place in places))
        left_out = {PEER} if DATA[data].sparse else set()  # its loss needs a label for every pixel
        for seed, group, method in product(arguments.seeds, groups, arguments.methods):
            case = Case(data=data, method=method, group=group, effort=effort, seed=seed, model=model)
            if method in left_out or any(row.is_of(case) for row in read_rows(arguments.out)):
                continue
            try:
                rows = run(case, places, work)
            except OptionError as error:  # such as features of a model whose bands these are not
                print(f"{data} {method}: left out, {error}", flush=True)
                left_out.add(method)
                continue
            append_rows(arguments.out, rows)
            for row in rows:
                print(f"{data} {method} {row.place}: {found_at(row.counts)}, {row.seconds} s", flush=True)


def _method(text: str) -> str:
    try:
        split_method(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.change",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", nargs="+", choices=DATA, default=["onera"])
    add("--methods", nargs="+", type=_method, default=[*UNSUPERVISED, "siamese_unet", PEER])
    add("--groups", nargs="+", help="hold out, and show, only these")
    add("--model", type=Path, metavar="DIR", help="a model folder, for `model` and `+model`")
    add("--seeds", nargs="+", type=int, default=[1])
    add_effort(parser)
    add("--out", type=Path, default=Path("change.jsonl"), help="receives a line for each place")
    add("--work", type=Path, default=Path("runs/change"), metavar="DIR", help="keeps scenes and maps")
    add("--table", type=Path, metavar="FILE", help="only print what a file holds")
    return parser


if __name__ == "__main__":
    main()
