"""`geodl info`."""

import json
from typing import TYPE_CHECKING, Any

import click

from geodl.cli.scenes import files_of_scenes, reading_of, scene_options
from geodl.errors import GeodlError

if TYPE_CHECKING:
    import xarray as xr

    from geodl.models.spec import ModelSpec


@click.command()
@click.argument("files", nargs=-1, required=True)
@scene_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(files: tuple[str, ...], as_json: bool, stack: bool, **options: Any) -> None:
    """Say what a raster is, and which bundled models fit it."""
    from geodl.report import print_info
    from geodl.scene import describe

    reading = reading_of(options)
    descriptions = [describe(paths, **reading) for paths in files_of_scenes(files, stack)]
    for paths, description in zip(files_of_scenes(files, stack), descriptions, strict=True):
        description["models"] = _fitting(paths, reading)
    if as_json:
        click.echo(json.dumps(descriptions[0] if len(descriptions) == 1 else descriptions, indent=2))
        return
    for description in descriptions:
        print_info(description)


def _fitting(paths: list[str], reading: dict[str, Any]) -> dict[str, str | None]:
    """For each bundled model, why it does not fit a scene, or None where it does."""
    from geodl.models.bundle import bundled_models
    from geodl.scene import open_scene

    try:
        scene = open_scene(paths, **reading)
    except GeodlError as error:
        return {spec.name: error.cause for spec in bundled_models()}
    return {spec.name: _reason(scene, spec) for spec in bundled_models()}


def _reason(scene: "xr.DataArray", spec: "ModelSpec") -> str | None:
    """Say what is in the way, and where it is one thing that an option mends, which option."""
    from geodl.match import problems

    found = list(problems(scene, spec))
    if not found:
        return None
    has, needs = scene.sizes["band"], len(spec.bands)
    in_one_file = 1 < has < needs  # bands that are not there cannot be named
    return found[0].cause if len(found) > 1 or in_one_file else f"{found[0].cause}: {found[0].remedy}"
