"""`geodl vectorize`."""

from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("raster", type=click.Path(path_type=Path))
@click.option("--task", default="landcover", show_default=True, help="What the raster shows.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help=".gpkg, .fgb, .parquet or .geojson file."
)
@click.option("--confidence", type=click.Path(path_type=Path), help="Confidence raster on the same grid.")
@click.option("--connectivity", type=click.Choice(["4", "8"]), default="4", show_default=True)
def vectorize(
    raster: Path, task: str, out: Path, confidence: Path | None, connectivity: str, **options: Any
) -> None:
    """Turn a class RASTER into a vector layer."""
    from geodl.products import vectorize_file

    count = vectorize_file(
        raster, out, task=task, confidence=confidence, connectivity=int(connectivity), **options
    )
    click.echo(f"{out}: {count} features")
