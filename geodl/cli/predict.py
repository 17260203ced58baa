"""`geodl predict`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geodl.cli.beside import warn_if_beside
from geodl.cli.scenes import files_of_scenes, pair_options, reading_of, scene_options, take_pairing
from geodl.errors import OptionError
from geodl.task import PRODUCTS, TASKS, USUAL

if TYPE_CHECKING:
    from geodl.job import RunOptions
    from geodl.models.bundle import Model
    from geodl.sources import Source


# What `take_pairing` makes of options that nobody typed.
_UNUSED: dict[str, Any] = {
    "grid": "before",
    "resampling": "bilinear",
    "coregister": "off",
    "normalise": "off",
    "dates": None,
    "after_reading": {},
}


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="SCENE...")
@click.option("--model", required=True, help="Bundled name or model folder.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder; one folder per scene inside."
)
@scene_options
@pair_options
@click.option("--masks", help="A series: rasters that are 0 where each date is hidden; a quoted pattern.")
@click.option(
    "--block",
    type=click.IntRange(min=1),
    help="Rows of a block, at most; changes speed and memory only.",
)
@click.option("--memory", help="Memory to keep within, e.g. 4GB; chooses the width of blocks.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--precision", default="auto", show_default=True, help="auto, fp32 or bf16.")
@click.option("--batch", type=click.IntRange(min=1), help="Tiles per forward pass on a GPU.")
@click.option("--tile", type=click.IntRange(min=1), help="Run over tiles of this side in pixels, at most.")
@click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler to run on; default: threads here.")
@click.option(
    "--products",
    default=",".join(USUAL),
    show_default=True,
    help=f"Which of {', '.join(PRODUCTS)} to write, with commas.",
)
@click.option("--probabilities", is_flag=True, help="Also write the probability of every class.")
@click.option(
    "--tta",
    is_flag=True,
    help="Average eight views, turned and mirrored, and write how they differ; eight times the work.",
)
@click.option(
    "--suppress-shift",
    type=click.IntRange(0, 5),
    default=0,
    metavar="PIXELS",
    help="Two dates: take back changes that a shift of up to so many pixels explains.",
)
@click.option("--dry-run", is_flag=True, help="Only say what it would take: blocks, memory, disk, time.")
def predict(
    files: tuple[str, ...], model: str, out: Path, stack: bool, masks: str | None, scheduler: str | None,
    dry_run: bool, **options: Any,
) -> None:  # fmt: skip
    """Map each SCENE with a model: GeoTIFF, polygons, styles, manifest.

    A model of change compares two: geodl predict BEFORE AFTER. Each is a raster, or the files of its bands: a
    quoted pattern ('before/*.tif') or a folder.

    A model of a series takes all files together as its dates, and each folder as a series of its own.
    """
    from geodl.cli.ending import tidy_end
    from geodl.cli.progress import Show
    from geodl.job import RunOptions, connect, run_scenes
    from geodl.models.bundle import load_model

    reading, pairing = reading_of(options), take_pairing(options)
    run = RunOptions(**{**options, "products": tuple(options["products"].split(","))})
    loaded = load_model(model)
    sources = _sources(files, loaded, reading, pairing, stack=stack, masks=masks)
    if dry_run:
        for source in sources:
            _tell_plan(source, loaded, run)
        return
    if TASKS[loaded.spec.task].dates == 2 and pairing["coregister"] == _UNUSED["coregister"]:
        warn_if_beside(sources[0])
    with tidy_end(), connect(scheduler) as client, Show(paths_only=True) as show:
        outcomes = run_scenes(sources, loaded, out, run, client=client, watches=[show])
    failed = sum(outcome.status == "failed" for outcome in outcomes)
    if failed:
        if failed < len(outcomes):
            click.secho(f"{failed} of {len(outcomes)} scenes failed", err=True, fg="red")
        sys.exit(1)


def _sources(
    files: tuple[str, ...], model: "Model", reading: dict[str, Any], pairing: dict[str, Any], *, stack: bool,
    masks: str | None,
) -> "list[Source]":  # fmt: skip
    from geodl.pairs import pair_source
    from geodl.sources import files_source

    if model.spec.calendar is not None:
        return _series(files, model, reading, {**pairing, "stack": stack, "masks": masks})
    if masks is not None:
        raise OptionError(
            "--masks", f"means nothing to model {model.spec.name}, which maps no series", "use --mask"
        )
    if TASKS[model.spec.task].dates == 2:
        return [pair_source(files, reading, pairing)]
    if pairing != _UNUSED:
        raise OptionError(
            "--grid, --resampling, --coregister, --normalise, --dates and --after-...",
            f"mean nothing to model {model.spec.name}, which maps one date",
            "leave them out, or take a model of the task change",
        )
    return [files_source(paths, reading) for paths in files_of_scenes(files, stack)]


def _series(
    files: tuple[str, ...], model: "Model", reading: dict[str, Any], options: dict[str, Any]
) -> "list[Source]":
    from geodl.series import series_sources

    alike = {name: options.pop(name) for name in ("coregister", "normalise", "after_reading")}
    if any(value != _UNUSED[name] for name, value in alike.items()):
        raise OptionError(
            "--coregister, --normalise and --after-...",
            f"mean nothing to model {model.spec.name}, which maps a series of dates",
            "leave them out",
        )
    return series_sources(files, reading, options)


def _tell_plan(source: "Source", model: "Model", run: "RunOptions") -> None:
    """Say what a scene would take, after computing a part in its middle."""
    from geodl.plan import make_plan, memory_of_network, time_block
    from geodl.report import print_plan
    from geodl.scene_run import job_of

    job = job_of(source.open(), model, run)
    network = memory_of_network(job)
    plan = make_plan(job, block=run.block, memory=run.memory, network=network)
    print_plan(job, plan, time_block(job, plan.blocks))
