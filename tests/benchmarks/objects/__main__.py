"""Measure a model of buildings or roads on all real scenes that it applies to.

python -m tests.benchmarks.objects --model runs/buildings2 --out rows.jsonl
python -m tests.benchmarks.objects --model roads --places vegas generated-roads-2023 --out rows.jsonl
python -m tests.benchmarks.objects --train-places --minutes 20 --out rows.jsonl
python -m tests.benchmarks.objects --table rows.jsonl

A line of JSON for each scene and way, and at the end tables. What the file holds already is not measured
again; predictions that are in the folder of work are used again.
"""

import argparse
import os
from pathlib import Path

from geodl.models.bundle import Model, load_model
from tests.benchmarks.objects.by_place import FAIR, trained_without
from tests.benchmarks.objects.draw import draw
from tests.benchmarks.objects.measure import measure
from tests.benchmarks.objects.places import PLACES
from tests.benchmarks.objects.rows import COLUMNS, append_rows, read_rows, table
from tests.benchmarks.objects.sources import ROOT


def main(arguments: list[str] | None = None) -> None:
    """Measure what the arguments ask for and print it."""
    options = _parser().parse_args(arguments)
    if options.table is None:
        options.work.mkdir(parents=True, exist_ok=True)
        if options.train_places:
            for place in FAIR:
                _measure(trained_without(place, options.minutes, options.work, print), [place], options)
        else:
            model = load_model(options.model)
            fitting = [name for name, place in PLACES.items() if place.task == model.spec.task]
            _measure(model, [name for name in options.places or fitting if name in fitting], options)
    rows = read_rows(options.table or options.out)
    for task in COLUMNS:
        if any(row.task == task for row in rows):
            print(f"\n{table(rows, task)}")


def _measure(model: Model, names: list[str], options: argparse.Namespace) -> None:
    for name in names:
        if any(row.is_of(name, model.hash) for row in read_rows(options.out)):
            continue
        rows = measure(name, model, options.data, options.work)
        append_rows(options.out, rows)
        if options.draw is not None:
            options.draw.mkdir(parents=True, exist_ok=True)
            scene = PLACES[name].files(options.data, options.work / "scenes" / name).scene
            layer = options.work / model.hash[:12] / name / f"{PLACES[name].task}.gpkg"
            draw(scene, layer, options.draw / f"{model.spec.name}-{name}.png")
        for row in rows:
            print(name, row.way, row.values, flush=True)


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.objects",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    one = parser.add_mutually_exclusive_group(required=True)
    one.add_argument("--model", help="bundled name or model folder")
    one.add_argument("--train-places", action="store_true", help="learn from two places of fAIr, three times")
    one.add_argument("--table", type=Path, metavar="FILE", help="only print what a file holds")
    data = Path(os.environ.get("GEODL_REAL_DATA", ROOT.parent / "shared" / "data"))
    add = parser.add_argument
    add("--places", nargs="+", choices=PLACES, metavar="PLACE", help=f"some of {', '.join(PLACES)}")
    add("--minutes", type=float, default=20.0, help="of each training")
    add("--out", type=Path, default=Path("rows.jsonl"), help="receives a line for each scene and way")
    add("--work", type=Path, default=Path("runs/objects"), metavar="DIR", help="keeps scenes and products")
    add("--draw", type=Path, metavar="DIR", help="also draws what is measured over its imagery")
    add("--data", type=Path, default=data, metavar="DIR", help="real data; default: $GEODL_REAL_DATA")
    return parser


if __name__ == "__main__":
    main()
