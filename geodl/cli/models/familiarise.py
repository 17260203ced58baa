"""`geodl models familiarise`."""

from pathlib import Path

import click


@click.command()
@click.argument("model")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Keep the decoded scenes in DIR for later runs.",
)
def familiarise(model: str, recipe: Path, device: str, cache: Path | None) -> None:
    """Write into MODEL what the training data of RECIPE look like to it.

    Then its maps can have a layer that tells what it has not seen: `--products map,novelty`. A training
    does this by itself at its end.
    """
    from geodl.models.bundle import load_model
    from geodl.training import load_recipe
    from geodl.training.familiar import familiarise as look_back

    found = look_back(load_model(model), load_recipe(recipe), device=device, cache=cache, echo=click.echo)
    click.echo(f"model {found.spec.name}: knows what it has seen ({found.hash[:12]})")
