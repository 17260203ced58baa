"""`geodl models import` and `geodl models export`."""

import json
from pathlib import Path
from typing import Any

import click

from geodl.errors import OptionError


@click.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Model folder to write.")
@click.option("--bands", help="Names of the input bands, in order: red,green,blue.")
@click.option("--classes", help="Classes in order: water,wood or 1=water,2=roof#c1440e.")
@click.option("--units", help="What the bands hold: reflectance, digital_number or z_score.")
@click.option("--dtype", help="Kind of number, for digital numbers: uint8, uint16, int16, float32.")
@click.option("--pixel-size", type=float, metavar="METRES", help="Pixel size of the training imagery.")
@click.option("--mean", help="What is taken from each band: one number, or one per band.")
@click.option("--std", help="What each band is divided by then: one number, or one per band.")
@click.option("--name", help="Name of the model; by default that of the source.")
@click.option("--title", default="", help="Name for people.")
@click.option("--licence", default="", help="Licence of the weights.")
@click.option("--task", default="landcover", show_default=True, help="What its maps are.")
@click.option("--tile", type=click.IntRange(min=1), help="Side of a tile in pixels.")
@click.option("--halo", type=click.IntRange(min=0), help="Pixels around the core of a tile.")
@click.option("--architecture", help="Network that a state dict belongs to, e.g. unet or torchvision.")
@click.option("--parameters", help='Its parameters as JSON: {"encoder": "tu-resnet18"}.')
@click.option("--outputs", type=click.Choice(["scores", "probabilities"]), help="What an ONNX file gives.")
def import_model(
    source: Path, out: Path, bands: str | None, classes: str | None, mean: str | None, std: str | None,
    parameters: str | None, **options: Any,
) -> None:  # fmt: skip
    """Make a model folder of SOURCE, a network that another program saved.

    SOURCE is a folder of segmentation-models-pytorch's save_pretrained, a checkpoint of torchgeo (.ckpt), an
    ONNX file, or a state dict (.pth, .pt, .safetensors).
    """
    from geodl.models.imports import Wishes
    from geodl.models.imports import import_model as import_source
    from geodl.models.imports.wishes import read_classes

    wishes = Wishes(
        bands=tuple(name.strip() for name in bands.split(",")) if bands else (),
        classes=read_classes(classes) if classes else (),
        mean=_numbers("--mean", mean),
        std=_numbers("--std", std),
        parameters=_object("--parameters", parameters),
        **options,
    )
    model = import_source(source, out, wishes)
    spec = model.spec
    click.echo(
        f"model {spec.name}: {spec.architecture}, {len(spec.bands)} bands, {len(spec.classes)} classes, tile "
        f"{spec.tile}, halo {spec.halo}, stitch {spec.stitch} -> {model.folder}"
    )
    if spec.stitch == "blend" and not spec.weights_file.endswith(".onnx"):
        click.echo(f"whether its maps can be free of seams is measured by: geodl models probe {out} --write")


@click.command("export")
@click.argument("model")
@click.option("--onnx", "file", required=True, type=click.Path(path_type=Path), help="ONNX file to write.")
@click.option("--fixed", is_flag=True, help="Images of the model's tile size only, one at a time.")
def export_model(model: str, file: Path, fixed: bool) -> None:
    """Write MODEL as an ONNX file that gives probabilities, with metadata for QGIS' plugin Deepness."""
    from geodl.models.bundle import load_model
    from geodl.models.export import export_onnx

    found = export_onnx(load_model(model), file, fixed=fixed)
    size = "images of any size" if found.side is None else f"images of {found.side} x {found.side} pixels"
    click.echo(f"{file}: takes {size}; probabilities differ from torch's by {found.difference:.1g} at most")
    if not found.for_deepness:
        click.secho(
            "note: Deepness reads 8-bit images only, and this model takes others: it is for other programs",
            err=True,
            fg="yellow",
        )


def _numbers(option: str, text: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise OptionError(
            f"{option} {text}", "not numbers with commas", f"write {option} 0.1,0.2,0.3"
        ) from error


def _object(option: str, text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except ValueError as error:
        raise OptionError(f"{option} {text}", f"it is not JSON ({error})", "quote it as JSON") from error
    if not isinstance(found, dict):
        raise OptionError(f"{option} {text}", "it is no JSON object", 'write {"name": value}')
    return found
