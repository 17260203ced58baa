"""`geodl explain`."""

import json
from pathlib import Path
from typing import Any

import click

from geodl.cli.scenes import files_of_scenes, reading_of, scene_options
from geodl.errors import OptionError


class _Numbers(click.ParamType):
    """Numbers with commas between them."""

    def __init__(self, kind: type, names: str) -> None:
        self.kind, self.name = kind, names

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        try:
            found = tuple(self.kind(part) for part in value.split(","))
        except ValueError:
            found = ()
        if len(found) != len(self.name.split(",")):
            self.fail(f"{value!r} is not {self.name}, with commas and without spaces", param, ctx)
        return found


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="SCENE")
@click.option("--model", required=True, help="Bundled name or model folder.")
@click.option(
    "--at", type=_Numbers(float, "X,Y"), metavar="X,Y", help="The place, in the scene's coordinate system."
)
@click.option(
    "--at-crs", metavar="CRS", help="Coordinate system of --at, e.g. EPSG:4326 for longitude,latitude."
)
@click.option(
    "--window",
    type=_Numbers(int, "ROW,COL,HEIGHT,WIDTH"),
    metavar="ROW,COL,HEIGHT,WIDTH",
    help="Instead of --at: explain the pixels of a window, in pixels of the scene.",
)
@click.option(
    "--class", "class_name", metavar="NAME", help="Class to explain; default: the one that is mapped."
)
@click.option("--against", metavar="NAME", help="Explain why not this class instead.")
@click.option("--size", type=int, default=256, show_default=True, help="Side of what is shown, in pixels.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for rasters and pictures."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@scene_options
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
def explain(
    files: tuple[str, ...], model: str, out: Path, as_json: bool, stack: bool, **options: Any
) -> None:
    """Explain why MODEL gives a class to a place of SCENE: which pixels, which bands, which features.

    Writes attributions as GeoTIFF, an overview and the importance of the bands as PNG, and explain.json.
    """
    from geodl.explain import explain as find
    from geodl.explain.write import explanation_folder, fill_folder
    from geodl.models.bundle import load_model
    from geodl.scene import open_scene

    scenes = files_of_scenes(files, stack)
    if len(scenes) > 1:
        raise OptionError(
            f"{len(scenes)} files", "one scene is explained at a time", "say --stack if they are bands of one"
        )
    scene = open_scene(scenes[0], **reading_of(options))
    loaded = load_model(model)
    with explanation_folder(out, inputs=[*scene.attrs["source"], loaded.folder]) as product:
        found = find(scene, loaded, **options)
        folder = fill_folder(product, found)
    click.echo(json.dumps(found.as_dict(), indent=2) if as_json else f"{found.to_text()}\n{folder}")
