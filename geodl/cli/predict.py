"""`geodl predict`."""

import sys
from pathlib import Path
from typing import Any

import click

from geodl.cli.scenes import files_of_scenes, reading_of, scene_options
from geodl.errors import GeodlError, OptionError


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="SCENE...")
@click.option("--model", required=True, help="Bundled name or model folder.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder; one folder per scene inside."
)
@scene_options
@click.option(
    "--block",
    type=click.IntRange(min=1),
    help="Largest side of a block in pixels; changes speed and memory only.",
)
@click.option("--memory", help="Memory to keep within, e.g. 4GB; chooses the block.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--batch", type=click.IntRange(min=1), help="Tiles per forward pass.")
@click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler to run on; default: threads here.")
@click.option("--probabilities", is_flag=True, help="Also write the probability of every class.")
def predict(
    files: tuple[str, ...], model: str, out: Path, stack: bool, scheduler: str | None, **options: Any
) -> None:
    """Map each SCENE with a model: GeoTIFF, polygons, styles, manifest."""
    from geodl.job import RunOptions, connect, run_scene
    from geodl.models.bundle import load_model
    from geodl.report import block_progress
    from geodl.scene import open_scene

    reading = reading_of(options)
    run = RunOptions(**options)
    loaded = load_model(model)
    failed = 0
    names: dict[str, str] = {}
    with connect(scheduler) as client:
        for paths in files_of_scenes(files, stack):
            try:
                scene = open_scene(paths, **reading)
                _refuse_twin(names, str(scene.name), paths[0])
                with block_progress(str(scene.name)) as progress:
                    product = run_scene(scene, loaded, out, run, client=client, progress=progress)
                click.echo(f"{product}")
            except GeodlError as error:
                failed += 1
                click.secho(f"error: {error}", err=True, fg="red")
    if failed:
        if failed < len(files) and not stack:
            click.secho(f"{failed} of {len(files)} scenes failed", err=True, fg="red")
        sys.exit(1)


def _refuse_twin(names: dict[str, str], name: str, path: str) -> None:
    """Refuse a second scene of one name: its product would replace that of the first."""
    if name in names:
        raise OptionError(
            f"scene {path}", f"has the name of {names[name]}", "map it in a run of its own with another --out"
        )
    names[name] = path
