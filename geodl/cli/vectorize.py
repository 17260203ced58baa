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
@click.option("--connectivity", type=click.Choice(["4", "8"]), default="4", show_default=True,
              help="Whether pixels that share only a corner belong together (8).")  # fmt: skip
@click.option("--simplify", type=float, metavar="PX",
              help="Tolerance of outlines in pixels; 0: exact outlines.")  # fmt: skip
@click.option("--min-area", type=float, metavar="M2",
              help="Smaller features are left out, or go to a neighbour in a map.")  # fmt: skip
@click.option("--regularize", type=click.Choice(["off", "gentle", "strict"]),
              help="Straight walls and right angles for buildings.")  # fmt: skip
@click.option("--class", "object_class", metavar="VALUE|NAME", help="The class that is the object.")
@click.option("--threshold", type=float, metavar="P",
              help="RASTER holds probabilities: the object is where they are P or more.")  # fmt: skip
@click.option("--band", metavar="N|NAME", help="Band of a raster that has several.")
def vectorize(
    raster: Path, task: str, out: Path, confidence: Path | None, connectivity: str, **options: Any
) -> None:
    """Turn a class or probability RASTER into a vector layer."""
    from geodl.products import vectorize_file

    count = vectorize_file(
        raster, out, task=task, confidence=confidence, connectivity=int(connectivity), **options
    )
    click.echo(f"{out}: {count} features")
