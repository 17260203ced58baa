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
    help="Folder of sample scenes; default: those of the checkout.",
)
def demo(out: Path, scenes: Path | None) -> None:
    """Map the sample scenes with the bundled models, and compare with their truth."""
    from geodl.demo import run_demo, sample_scenes

    for line in run_demo(out, scenes or sample_scenes()):
        click.echo(line)
