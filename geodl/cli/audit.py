"""`geodl audit`."""

import json
from pathlib import Path
from typing import Any

import click

from geodl.cli.scenes import files_of_scenes, reading_of, scene_options
from geodl.errors import OptionError


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="SCENE")
@click.option("--model", required=True, help="Bundled name or model folder.")
@click.option("--out", type=click.Path(path_type=Path), help="PNG: where the two maps differ.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--window",
    type=click.IntRange(min=0),
    nargs=4,
    metavar="ROW COL HEIGHT WIDTH",
    help="What to compare, in pixels; default: the scene, or 4096 x 4096 in the middle of a larger one.",
)
@click.option("--tile", type=click.IntRange(min=1), help="Side of the tiles of both maps, in pixels.")
@scene_options
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--precision", default="auto", show_default=True, help="auto, fp32 or bf16.")
def audit(
    files: tuple[str, ...],
    model: str,
    as_json: bool,
    window: tuple[int, int, int, int] | None,
    stack: bool,
    **options: Any,
) -> None:
    """Tell whether a map of SCENE has seams: map it over two tilings, and compare.

    The tilings are shifted against each other by half a tile. Where the network runs as a stream of rows,
    the stream is compared with tiles; with --tile both maps are made of tiles.
    """
    from geodl.audit import audit as measure
    from geodl.models.bundle import load_model
    from geodl.report import block_progress
    from geodl.scene import open_scene

    scenes = files_of_scenes(files, stack)
    if len(scenes) > 1:
        raise OptionError(
            f"{len(scenes)} files", "one scene is audited at a time", "say --stack if they are bands of one"
        )
    scene = open_scene(scenes[0], **reading_of(options))
    with block_progress(str(scene.name)) as progress:
        found = measure(scene, load_model(model), window=window or None, progress=progress, **options)
    click.echo(json.dumps(found.as_dict(), indent=2) if as_json else found.to_text())
