"""`geodl train`."""

from pathlib import Path

import click


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Model folder to make.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
def train(recipe: Path, out: Path, device: str) -> None:
    """Learn a model from the scenes and labels that RECIPE names."""
    from geodl.training import train as train_model

    model = train_model(recipe, out, device=device, echo=click.echo)
    accuracy = model.spec.accuracy
    click.echo(f"{out}: mean IoU {accuracy.mean_iou:.3f}, overall accuracy {accuracy.overall:.3f}")
