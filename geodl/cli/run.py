"""`geodl run`."""

import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("workflow", metavar="WORKFLOW.yaml", type=click.Path(path_type=Path))
@click.argument("scenes", nargs=-1, required=True, metavar="SCENE...")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder; one folder per scene inside."
)
@click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler to run on; default: threads here.")
@click.option("--retry-failed", is_flag=True, help="Only the scenes that failed last time.")
def run(
    workflow: Path, scenes: tuple[str, ...], out: Path, scheduler: str | None, retry_failed: bool
) -> None:
    """Map many scenes as WORKFLOW.yaml says; run it again to go on after an interruption.

    SCENE is a raster, a quoted pattern ('scenes/*.tif'), a list of them (list.txt or @list), or a STAC
    ItemCollection (items.json). Where WORKFLOW.yaml has scenes: pairs: [...], files are sorted into pairs of
    dates by their names; with change: {...} in the place of a model, what changed is found without
    one. Products that are there already are left alone. What became of each scene also stands in run.json
    under --out.
    """
    from geodl.batch import Record, connect, failed_sources
    from geodl.cli.ending import tidy_end
    from geodl.cli.progress import Show, print_summary
    from geodl.job import run_changes, run_scenes
    from geodl.models.bundle import load_model
    from geodl.pairs import find_pairs
    from geodl.sources import find_sources
    from geodl.workflow import load_workflow

    plan = load_workflow(workflow)
    model = None if plan.model is None else load_model(plan.model)
    said = plan.scenes
    if said.pairs is not None:
        sources = find_pairs(scenes, said.pairs, said.reading, said.pairing)
    else:
        sources = find_sources(scenes, said.reading, stack=said.stack, assets=said.assets)
    if retry_failed:
        failed = failed_sources(out)
        sources = [source for source in sources if source.label in failed]
        if not sources:
            click.echo("none of these scenes failed last time")
            return
    about = {
        "workflow": plan.model_dump(mode="json"),
        **({} if model is None else {"model": {"name": model.spec.name, "hash": model.hash}}),
    }
    with tidy_end(), closing(Record(out, about)) as record, connect(scheduler) as client, Show() as show:
        shared: dict[str, Any] = {"client": client, "watches": (show, record)}
        if model is not None:
            outcomes = run_scenes(sources, model, out, plan.run, **shared)
        else:
            assert plan.change is not None
            outcomes = run_changes(sources, out, plan.change, **shared)
        record.complete()
    print_summary(outcomes)
    if any(outcome.status == "failed" for outcome in outcomes):
        sys.exit(1)
