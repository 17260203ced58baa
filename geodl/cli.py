"""The command line: parse, call, show. Heavy imports wait until a command runs."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from geodl import __version__
from geodl.errors import GeodlError, OptionError
from geodl.heap import keep_heap

# Read by libraries when they load, hence set before any of them is imported; the user's own values win.
_SETTINGS = {
    "OMP_WAIT_POLICY": "PASSIVE",  # waiting threads leave the core to those that read and write
    "GDAL_CACHEMAX": "256",  # megabytes; by default GDAL takes 5 % of the machine
}


INTERRUPTED = 130  # as shells report SIGINT


class _Commands(click.Group):
    """Prints a `GeodlError` as one message and exits with its status; other errors keep their traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GeodlError as error:
            click.secho(f"error: {error}", err=True, fg="red")
            ctx.exit(error.exit_status)
        except KeyboardInterrupt:
            message = "stopped: what is finished is kept, and the same command goes on from there"
            click.secho(message, err=True, fg="yellow")
            ctx.exit(INTERRUPTED)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="geodl")
def main() -> None:
    """Satellite and aerial rasters in, georeferenced land cover maps out."""
    for variable, value in _SETTINGS.items():
        os.environ.setdefault(variable, value)
    keep_heap()  # before any library starts a thread


def scene_options(command: Callable) -> Callable:
    """Options that say how a raster is to be read; every command that opens scenes takes them."""
    options = [
        click.option("--bands", help="Names of the bands in file order: blue,green,red,nir."),
        click.option("--scale", help="To reflectance: FACTOR or FACTOR,OFFSET; 'none': plain numbers."),
        click.option("--sensor", help="Whose bands and units to assume, e.g. sentinel-2-l2a, naip."),
        click.option("--mask", default="any", show_default=True,
                     help="No data where 'any' or 'all' bands are; 'none'; or a raster that is 0 there."),
        click.option("--crs", help="Coordinate system of a file that does not name one, e.g. EPSG:32632."),
        click.option("--ungeoreferenced", is_flag=True, help="Accept a raster without georeferencing."),
        click.option("--resample", type=float, metavar="METRES", help="Read at this pixel size."),
        click.option("--allow-sparse", is_flag=True, help="Accept files with missing blocks."),
        click.option("--stack", is_flag=True, help="The files are bands of one scene."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def _reading(options: dict[str, Any]) -> dict[str, Any]:
    """Take the options of `scene_options` out of a command's arguments."""
    names = ("bands", "scale", "sensor", "mask", "crs", "ungeoreferenced", "resample", "allow_sparse")
    return {name: options.pop(name) for name in names}


def _scenes(files: tuple[str, ...], stack: bool) -> list[list[str]]:
    return [list(files)] if stack else [[file] for file in files]


@main.command()
@click.argument("files", nargs=-1, required=True)
@scene_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(files: tuple[str, ...], as_json: bool, stack: bool, **options: Any) -> None:
    """Say what a raster is, and which bundled models fit it."""
    from geodl.report import print_info
    from geodl.scene import describe

    reading = _reading(options)
    descriptions = [describe(paths, **reading) for paths in _scenes(files, stack)]
    for paths, description in zip(_scenes(files, stack), descriptions, strict=True):
        description["models"] = _fitting(paths, reading)
    if as_json:
        click.echo(json.dumps(descriptions[0] if len(descriptions) == 1 else descriptions, indent=2))
        return
    for description in descriptions:
        print_info(description)


def _fitting(paths: list[str], reading: dict[str, Any]) -> dict[str, str | None]:
    """For each bundled model, why it does not fit a scene, or None where it does."""
    from geodl.match import fits
    from geodl.models.bundle import bundled_models
    from geodl.scene import open_scene

    try:
        scene = open_scene(paths, **reading)
    except GeodlError as error:
        return {spec.name: error.cause for spec in bundled_models()}
    return {spec.name: fits(scene, spec) for spec in bundled_models()}


@main.group()
def models() -> None:
    """List the bundled models, or show one."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_models(as_json: bool) -> None:
    """List the bundled models."""
    from geodl.models.bundle import bundled_models
    from geodl.report import print_models

    specs = bundled_models()
    if as_json:
        rows = [{"name": s.name, "task": s.task, "title": s.title, "architecture": s.architecture,
                 "pixel_size": s.pixel_size, "licence": s.licence} for s in specs]  # fmt: skip
        click.echo(json.dumps(rows, indent=2))
    else:
        print_models(specs)


@models.command("show")
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show_model(model: str, as_json: bool) -> None:
    """Show what MODEL, a bundled name or a folder, needs and gives."""
    from geodl.models.bundle import load_model
    from geodl.report import print_model

    spec = load_model(model).spec
    if as_json:
        click.echo(json.dumps(spec.model_dump(mode="json"), indent=2))
    else:
        print_model(spec)


@models.command("check")
@click.argument("model")
def check_model(model: str) -> None:
    """Check every file of MODEL: description, weights, architecture."""
    from geodl.models.bundle import load_model

    loaded = load_model(model)
    loaded.check()
    click.echo(f"model {loaded.spec.name}: sound ({loaded.hash[:12]})")


@main.command()
@click.argument("files", nargs=-1, required=True, metavar="SCENE...")
@click.option("--model", required=True, help="Bundled name or model folder.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder; one folder per scene inside."
)
@scene_options
@click.option(
    "--block",
    type=click.IntRange(min=1),
    help="Largest side of a block in pixels; changes speed and memory only.",
)
@click.option("--memory", help="Memory to keep within, e.g. 4GB; chooses the block.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--batch", type=click.IntRange(min=1), help="Tiles per forward pass.")
@click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler to run on; default: threads here.")
@click.option("--probabilities", is_flag=True, help="Also write the probability of every class.")
def predict(
    files: tuple[str, ...], model: str, out: Path, stack: bool, scheduler: str | None, **options: Any
) -> None:
    """Map each SCENE with a model: GeoTIFF, polygons, styles, manifest."""
    from geodl.job import RunOptions, connect, run_scene
    from geodl.models.bundle import load_model
    from geodl.report import block_progress
    from geodl.scene import open_scene

    reading = _reading(options)
    run = RunOptions(**options)
    loaded = load_model(model)
    failed = 0
    names: dict[str, str] = {}
    with connect(scheduler) as client:
        for paths in _scenes(files, stack):
            try:
                scene = open_scene(paths, **reading)
                _refuse_twin(names, str(scene.name), paths[0])
                with block_progress(str(scene.name)) as progress:
                    product = run_scene(scene, loaded, out, run, client=client, progress=progress)
                click.echo(f"{product}")
            except GeodlError as error:
                failed += 1
                click.secho(f"error: {error}", err=True, fg="red")
    if failed:
        if failed < len(files) and not stack:
            click.secho(f"{failed} of {len(files)} scenes failed", err=True, fg="red")
        sys.exit(1)


def _refuse_twin(names: dict[str, str], name: str, path: str) -> None:
    """Refuse a second scene of one name: its product would replace that of the first."""
    if name in names:
        raise OptionError(
            f"scene {path}", f"has the name of {names[name]}", "map it in a run of its own with another --out"
        )
    names[name] = path


@main.command()
@click.argument("raster", type=click.Path(path_type=Path))
@click.option("--task", default="landcover", show_default=True, help="What the raster shows.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help=".gpkg, .fgb, .parquet or .geojson file."
)
@click.option("--confidence", type=click.Path(path_type=Path), help="Confidence raster on the same grid.")
@click.option("--connectivity", type=click.Choice(["4", "8"]), default="4", show_default=True)
def vectorize(raster: Path, task: str, out: Path, confidence: Path | None, connectivity: str) -> None:
    """Turn a class RASTER into a vector layer."""
    from geodl.products import vectorize_file

    count = vectorize_file(raster, out, task=task, confidence=confidence, connectivity=int(connectivity))
    click.echo(f"{out}: {count} polygons")


@main.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Model folder to make.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
def train(recipe: Path, out: Path, device: str) -> None:
    """Learn a model from the scenes and labels that RECIPE names."""
    from geodl.training import train as train_model

    model = train_model(recipe, out, device=device, echo=click.echo)
    accuracy = model.spec.accuracy
    click.echo(f"{out}: mean IoU {accuracy.mean_iou:.3f}, overall accuracy {accuracy.overall:.3f}")


@main.command()
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


@main.command()
@click.option(
    "--out",
    default="demo",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder of the products.",
)
@click.option(
    "--scenes",
    type=click.Path(path_type=Path),
    help="Folder of sample scenes; default: those of the checkout.",
)
def demo(out: Path, scenes: Path | None) -> None:
    """Map the sample scenes with the bundled models, and compare with their truth."""
    from geodl.demo import run_demo

    for line in run_demo(out, scenes or sample_scenes()):
        click.echo(line)


def sample_scenes() -> Path:
    """Return the folder of sample scenes of this checkout.

    Raises
    ------
    OptionError
        If geodl was installed without them.
    """
    folder = Path(__file__).resolve().parent.parent / "sample_scenes"
    if not any(folder.glob("*.tif")):
        raise OptionError("geodl demo", "this installation has no sample scenes",
                          "run it in a checkout, or name a folder with --scenes")  # fmt: skip
    return folder
