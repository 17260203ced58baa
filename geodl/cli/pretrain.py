"""`geodl pretrain`."""

from pathlib import Path

import click


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Model folder to make.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--restart", is_flag=True, help="Forget an unfinished run and begin anew.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Keep the decoded scenes in DIR for later runs.",
)
def pretrain(recipe: Path, out: Path, device: str, restart: bool, cache: Path | None) -> None:  # fmt: skip
    """Teach the network of RECIPE its scenes without labels: parts are hidden, and it restores them.

    A training begins with the result where its recipe says `start: {model: OUT}`.
    """
    from geodl.training import load_recipe
    from geodl.training.pretrain import pretrain as pretrain_model

    pretrain_model(load_recipe(recipe), out, device=device, restart=restart, cache=cache, echo=click.echo)
    click.echo(f"{out}: for `start: {{model: {out}}}` in a recipe")
