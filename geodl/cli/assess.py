"""`geodl assess`."""

import json
from pathlib import Path

import click

from geodl.errors import OptionError


@click.command()
@click.argument("map_file", metavar="MAP", type=click.Path(path_type=Path))
@click.option(
    "--reference", required=True, type=click.Path(path_type=Path), help="Raster or vector labels, any CRS."
)
@click.option("--attribute", help="Attribute that holds the class, for vector labels.")
@click.option("--mapping", help="What reference values, names or colours mean: water=1,wood=2 or #2b6cb0=1.")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="Write the figures as JSON; '-' prints them."
)
@click.option("--png", "png_file", type=click.Path(path_type=Path), help="Draw the confusion matrix.")
def assess(
    map_file: Path,
    reference: Path,
    attribute: str | None,
    mapping: str | None,
    json_file: Path | None,
    png_file: Path | None,
) -> None:
    """Compare a class MAP with reference labels: confusion matrix, IoU, F1, accuracy."""
    from geodl.assess.compare import assess as compare

    result = compare(map_file, reference, attribute=attribute, mapping=_mapping(mapping))
    if png_file is not None:
        result.save_png(png_file)
    if json_file == Path("-"):
        click.echo(json.dumps(result.to_dict(), indent=2))
        return
    if json_file is not None:
        json_file.write_text(json.dumps(result.to_dict(), indent=2) + "\n")
    click.echo(result.to_text())


def _mapping(text: str | None) -> dict[int | str, int] | None:
    """Read ``water=1,#2b6cb0=2,7=3``; words and colours stay text, whole numbers become such."""
    if text is None:
        return None
    mapping: dict[int | str, int] = {}
    for pair in text.split(","):
        key, _, value = (part.strip() for part in pair.rpartition("="))
        if not key or not value.isdigit():
            raise OptionError(
                f"--mapping {text}", f"{pair!r} is not KEY=VALUE", "write for instance water=1,wood=2"
            )
        mapping[int(key) if key.lstrip("-").isdigit() else key] = int(value)
    return mapping
