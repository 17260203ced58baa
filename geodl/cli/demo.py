"""`geodl demo`."""

from pathlib import Path

import click


@click.command()
@click.option(
    "--out",
    default="demo",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder of the products.",
)
@click.option(
    "--scenes",
    type=click.Path(path_type=Path),
    help="Folder of scenes; default: the sample scenes that came with geodl.",
)
@click.option(
    "--copy",
    "folder",
    type=click.Path(path_type=Path),
    help="Map nothing: copy the sample scenes and their truth into this new folder, to try commands on.",
)
def demo(out: Path, scenes: Path | None, folder: Path | None) -> None:
    """Map the sample scenes with the bundled models, and compare with their truth."""
    from geodl.demo import copy_scenes, run_demo, sample_scenes

    if folder is not None:
        click.echo(f"scenes in {copy_scenes(scenes or sample_scenes(), folder)}")
        return
    for line in run_demo(out, scenes or sample_scenes()):
        click.echo(line)
