"""`geodl models probe`."""

import json
from typing import Any

import click

from geodl.cli.scenes import files_of_scenes, reading_of, scene_options


@click.command()
@click.argument("model")
@click.option("--scene", "files", multiple=True, help="Imagery to measure on, beside noise; may be repeated.")
@scene_options
@click.option(
    "--tolerance",
    type=float,
    default=1e-3,
    show_default=True,
    help="Largest difference of any probability that a halo may cause.",
)
@click.option("--write", is_flag=True, help="Write halo, tile and stitch mode into model.json.")
@click.option("--device", default="cpu", show_default=True, help="auto, cpu or cuda.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def probe(
    model: str, files: tuple[str, ...], tolerance: float, write: bool, device: str, as_json: bool,
    stack: bool, **options: Any,
) -> None:  # fmt: skip
    """Measure how far MODEL looks, what a halo costs and loses, and whether it streams."""
    from geodl.device import resolve_device
    from geodl.forward import forward_for
    from geodl.models.bundle import load_model
    from geodl.models.probe import write_probe
    from geodl.probing import probe_model
    from geodl.report import print_probe
    from geodl.scene import open_scene

    loaded, place = load_model(model), resolve_device(device).type
    reading = reading_of(options)
    scenes = [open_scene(paths, **reading) for paths in files_of_scenes(files, stack) if paths]
    found = probe_model(loaded, scenes, tolerance=tolerance, device=place)
    graph = forward_for(loaded, place).graph
    forbids = f"{graph}" if isinstance(graph, Exception) else None
    if write:
        write_probe(loaded, found)
    if as_json:
        click.echo(json.dumps({"model": loaded.spec.name, **found.as_dict(), "streams": forbids is None,
                               "forbids_stream": forbids}, indent=2))  # fmt: skip
    else:
        print_probe(loaded.spec.name, found, forbids)
