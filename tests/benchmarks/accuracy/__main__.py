"""Train and check in several ways on the same plots; a line of JSON each, and at the end tables.

python -m tests.benchmarks.accuracy --data zion gewata --seeds 1 2 3 --steps 300 --out accuracy.jsonl
python -m tests.benchmarks.accuracy --data zion --variants default default-weights --out accuracy.jsonl
python -m tests.benchmarks.accuracy --table accuracy.jsonl

What the file holds already is not measured again. Seeds come first: after each all variants compare.
"""

import argparse
from itertools import product
from pathlib import Path

from tests.benchmarks.accuracy.cases import DATA, Case, Effort, split_name
from tests.benchmarks.accuracy.rows import accuracy_table, append_row, class_table, read_rows


def main() -> None:
    """Measure what the arguments ask for and print it."""
    arguments = _parser().parse_args()
    if arguments.table is None:
        measure(arguments)
    rows = read_rows(arguments.table or arguments.out)
    print(accuracy_table(rows))
    for data in dict.fromkeys(row.data for row in rows):
        print(f"\n{data}\n\n{class_table(rows, data)}")


def measure(arguments: argparse.Namespace) -> None:
    """Run every case that the file does not hold yet."""
    from tests.benchmarks.accuracy.run import run

    arguments.work.mkdir(parents=True, exist_ok=True)
    effort = Effort(steps=arguments.steps, batch=arguments.batch, patch=arguments.patch)
    for seed, data, variant in product(arguments.seeds, arguments.data, arguments.variants):
        case = Case(data=data, variant=variant, seed=seed, effort=effort)
        if any(row.is_of(case) for row in read_rows(arguments.out)):
            continue
        row = run(case, arguments.work)
        append_row(arguments.out, row)
        found = f"mIoU {row.mean_iou:.4f}, overall {row.overall:.4f}, {row.seconds} s"
        print(f"{data} {variant} seed {seed}: {found}", flush=True)


def _variant(text: str) -> str:
    try:
        split_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.accuracy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", nargs="+", choices=DATA, default=["zion", "gewata"])
    add("--variants", nargs="+", type=_variant, default=["forest", "torchgeo", "default", "best"])
    add("--seeds", nargs="+", type=int, default=[1, 2, 3])
    add("--steps", type=int, default=300, help="of the optimiser")
    add("--batch", type=int, default=8, help="samples of a step")
    add("--patch", type=int, default=128, help="side of a sample in pixels")
    add("--out", type=Path, default=Path("accuracy.jsonl"), help="receives a line for each run")
    add("--work", type=Path, default=Path("runs/accuracy"), metavar="DIR", help="keeps geodl's models")
    add("--table", type=Path, metavar="FILE", help="only print what a file holds")
    return parser


if __name__ == "__main__":
    main()
