"""`geodl train`."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from geodl.training.recipe import Recipe


def _print_schema(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from geodl.training.recipe import recipe_schema

        click.echo(json.dumps(recipe_schema(), indent=2))
        context.exit()


def _print_draft(context: click.Context, _: click.Parameter, names: tuple[str, str, str] | None) -> None:
    if names is not None:
        from geodl.training.draft import draft_recipe

        click.echo(draft_recipe(*names), nl=False)
        context.exit()


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Model folder to make.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--devices", default=1, show_default=True, help="How many of them; they share each batch.")
@click.option("--restart", is_flag=True, help="Forget an unfinished training and begin anew.")
@click.option("--fold", type=int, metavar="K", help="Hold out part K, from 0, of the recipe's folds.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Keep the decoded scenes in DIR for later runs.",
)
@click.option(
    "--find-rate",
    is_flag=True,
    help="Train nothing: propose a learning rate, and draw the test beside the model.",
)
@click.option(
    "--print-schema",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_schema,
    help="Print the JSON schema of recipes, for editors.",
)
@click.option(
    "--init",
    nargs=3,
    metavar="TASK SCENE LABELS",
    is_eager=True,
    expose_value=False,
    callback=_print_draft,
    help="Look at scenes and labels (files or quoted patterns) and print a filled-in recipe for them.",
)
def train(
    recipe: Path,
    out: Path,
    device: str,
    devices: int,
    restart: bool,
    fold: int | None,
    cache: Path | None,
    find_rate: bool,
) -> None:
    """Learn a model from the scenes and labels that RECIPE names.

    A training that was stopped or killed goes on when the same command is given again.
    """
    from geodl.training import load_recipe
    from geodl.training import train as train_model

    chosen = load_recipe(recipe)
    if fold is not None:
        chosen = chosen.with_fold(fold)
    if find_rate:
        from geodl.training import rate_finder

        picture = out.parent / f"{out.name}-rates.png"
        rate_finder.find_rate(chosen, picture, device=device, cache=cache, echo=click.echo)
        return
    model = train_model(
        chosen, out, device=device, devices=devices, restart=restart, cache=cache, echo=click.echo
    )
    accuracy = model.spec.accuracy
    click.echo(f"{out}: mean IoU {accuracy.mean_iou:.3f}, overall accuracy {accuracy.overall:.3f}")
    click.echo(f"next: {_prediction(chosen, out)}")


def _prediction(recipe: "Recipe", out: Path) -> str:
    """Write the command that maps such scenes as were learnt from, with what their files do not tell."""
    source = recipe.sources[0]
    words = ["geodl", "predict", *(["BEFORE", "AFTER"] if source.after else ["SCENE"])]
    words += ["--model", str(out), "--out", "maps"]
    for name, value in {**source.opening(), "stack": source.stack}.items():
        if value is True:
            words.append(f"--{name}")
        elif value:
            words += [f"--{name}", ",".join(value) if isinstance(value, list) else str(value)]
    return " ".join(shlex.quote(word) for word in words)
