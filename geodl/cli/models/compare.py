"""`geodl models compare`."""

import json
from typing import Any

import click

from geodl.cli.scenes import files_of_scenes, reading_of, scene_options


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("--scenes", "files", multiple=True, required=True, help="Scene to map; may be repeated.")
@click.option("--labels", multiple=True, help="Labels of a scene, in the order of the scenes.")
@click.option("--attribute", help="Attribute that holds the class, for vector labels.")
@click.option("--mapping", help="What label values, names or colours mean: water=1,wood=2 or #2b6cb0=1.")
@scene_options
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--precision", default="auto", show_default=True, help="auto, fp32 or bf16.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(
    models: tuple[str, ...], files: tuple[str, ...], labels: tuple[str, ...], attribute: str | None,
    mapping: str | None, device: str, precision: str, as_json: bool, stack: bool, **options: Any,
) -> None:  # fmt: skip
    """Map the same scenes with each MODEL: accuracy, operations, speed here, memory, size."""
    from geodl.cli.assess import mapping_of
    from geodl.comparing import compare_models, table_of
    from geodl.models.bundle import load_model
    from geodl.scene import open_scene

    loaded = [load_model(model) for model in models]
    reading = reading_of(options)
    scenes = [open_scene(paths, **reading) for paths in files_of_scenes(files, stack)]
    rows = compare_models(
        loaded,
        scenes,
        labels=labels,
        attribute=attribute,
        mapping=mapping_of(mapping),
        device=device,
        precision=precision,
    )
    click.echo(json.dumps([row.to_dict() for row in rows], indent=2) if as_json else table_of(rows))
