"""`geodl models compress`."""

from pathlib import Path
from typing import Any

import click

from geodl.cli.scenes import files_of_scenes, reading_of, scene_options
from geodl.errors import OptionError


@click.command()
@click.argument("model")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the variant.")
@click.option("--int8", type=click.Choice(["dynamic", "static"]), help="Eight bits, by onnxruntime.")
@click.option("--prune", "share", type=float, metavar="SHARE", help="Take out this share of the channels.")
@click.option("--scenes", "files", multiple=True, help="Imagery to adapt to and compare on; may be repeated.")
@click.option("--labels", multiple=True, help="Labels of a scene, in the order of the scenes.")
@click.option("--attribute", help="Attribute that holds the class, for vector labels.")
@click.option("--mapping", help="What label values, names or colours mean: water=1,wood=2 or #2b6cb0=1.")
@scene_options
def compress(
    model: str, out: Path, int8: Any, share: float | None, files: tuple[str, ...], labels: tuple[str, ...],
    attribute: str | None, mapping: str | None, stack: bool, **options: Any,
) -> None:  # fmt: skip
    """Write a smaller variant of MODEL; with --scenes, say what it costs and what it gains.

    Static int8 and pruning adapt to the imagery of --scenes. Accuracy is compared where there are --labels;
    labels that took no part in the training say more.
    """
    from geodl.cli.assess import mapping_of
    from geodl.comparing import compare_models, network_inputs, table_of
    from geodl.models.bundle import load_model
    from geodl.models.compress import prune, quantise
    from geodl.scene import open_scene

    if (int8 is None) == (share is None):
        raise OptionError("compress", "it takes one of --int8 and --prune", "give exactly one")
    loaded, reading = load_model(model), reading_of(options)
    scenes = [open_scene(paths, **reading) for paths in files_of_scenes(files, stack) if paths]
    inputs = network_inputs(loaded, scenes) if scenes and int8 != "dynamic" else []
    variant = quantise(loaded, out, int8, inputs) if share is None else prune(loaded, out, share, inputs)
    click.echo(f"model {variant.spec.name} -> {variant.folder}")
    if scenes:
        rows = compare_models(
            [loaded, variant], scenes, labels=labels, attribute=attribute, mapping=mapping_of(mapping)
        )
        click.echo(table_of(rows))
