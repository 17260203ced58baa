"""`geodl sample`."""

from pathlib import Path

import click

from geodl.errors import OptionError


@click.command()
@click.argument("map_file", metavar="MAP", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="New .gpkg file; without it nothing is drawn.")
@click.option(
    "--design",
    default="stratified",
    show_default=True,
    type=click.Choice(["stratified", "random", "systematic"]),
    help="Class by class, anywhere, or on a regular grid.",
)
@click.option("--n", "points", type=int, help="Points; by default what --standard-error needs.")
@click.option(
    "--standard-error", default=0.02, show_default=True, help="Wanted of the overall accuracy, without --n."
)
@click.option(
    "--allocation",
    default="mixed",
    show_default=True,
    type=click.Choice(["mixed", "proportional", "equal", "neyman"]),
    help="How a stratified sample is shared out among the classes.",
)
@click.option(
    "--min-per-class", "minimum", type=int, help="Points of each class at least; for mixed 50 if --n allows."
)
@click.option(
    "--expected-accuracy",
    "expected",
    default="0.8",
    show_default=True,
    help="User's accuracy that is expected: 0.9, or by class water=0.95,forest=0.8.",
)
@click.option("--seed", default=0, show_default=True, help="The same seed draws the same points.")
@click.option("--allow-sparse", is_flag=True, help="Accept a map with missing blocks.")
def sample(
    map_file: Path,
    out: Path | None,
    design: str,
    points: int | None,
    standard_error: float,
    allocation: str,
    minimum: int | None,
    expected: str,
    seed: int,
    allow_sparse: bool,
) -> None:
    """Draw points from a class MAP for people to interpret, with a form for QGIS.

    `geodl assess MAP --reference POINTS --area` turns their answers into accuracies and areas.
    Without --out it tells how many points are needed.
    """
    from geodl.survey.sample import Plan, sample_map

    plan = Plan(
        design=design,
        points=points,
        standard_error=standard_error,
        allocation=allocation,
        minimum=minimum,
        expected=_expected(expected),
        seed=seed,
    )
    found = sample_map(map_file, out, plan, allow_sparse=allow_sparse)
    click.echo(found.to_text())
    if found.points is None:
        click.echo(f"{found.wanted} points would be drawn: name a file with --out")
    else:
        click.echo(f"{out}: {sum(found.points)} points; fill in 'reference' in QGIS")


def _expected(text: str) -> dict[str, float] | float:
    """Read ``0.9`` or ``water=0.95,forest=0.8``."""
    try:
        if "=" not in text:
            return float(text)
        pairs = (part.rpartition("=") for part in text.split(","))
        return {name.strip(): float(share) for name, _, share in pairs}
    except ValueError as error:
        raise OptionError(
            f"--expected-accuracy {text}", "is no share", "write 0.9 or water=0.95,forest=0.8"
        ) from error
