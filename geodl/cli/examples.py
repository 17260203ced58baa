"""Examples for the end of each command's help; tests check that the commands accept them."""

import click

EXAMPLES: dict[str, tuple[str, ...]] = {
    "info": (
        "geodl info scene.tif",
        "geodl info B02.tif B03.tif B04.tif B08.tif --stack --bands blue,green,red,nir",
    ),
    "models list": ("geodl models list",),
    "models show": ("geodl models show landcover-vhr",),
    "models probe": ("geodl models probe my-model --scene scene.tif --write",),
    "predict": (
        "geodl predict scene.tif --model landcover-s2 --out maps",
        "geodl predict scene.tif --model landcover-s2 --out maps --dry-run",
        "geodl predict photo.tif --bands red,green,blue --resample 0.5 --model landcover-vhr --out maps",
        "geodl predict before.tif after.tif --model my-change-model --coregister shift --out maps",
    ),
    "change": ("geodl change before.tif after.tif --method irmad --out maps",),
    "run": (
        "geodl run workflow.yaml 'scenes/*.tif' --out maps",
        "geodl run workflow.yaml 'scenes/*.tif' --out maps --retry-failed",
    ),
    "vectorize": (
        "geodl vectorize landcover.tif --out landcover.gpkg",
        "geodl vectorize mask.tif --task buildings --min-area 10 --out footprints.gpkg",
        "geodl vectorize probability.tif --task roads --threshold 0.5 --out roads.gpkg",
    ),
    "train": (
        "geodl train --init landcover scene.tif labels.gpkg > recipe.yaml",
        "geodl train recipe.yaml --out my-model",
    ),
    "pretrain": ("geodl pretrain recipe.yaml --out my-start",),
    "assess": (
        "geodl assess landcover.tif --reference labels.gpkg --attribute class --mapping water=1,wood=2",
        "geodl assess footprints.gpkg --reference houses.gpkg --iou 0.5",
        "geodl assess landcover.tif --reference points.gpkg --area",
    ),
    "sample": ("geodl sample landcover.tif --n 500 --out points.gpkg",),
    "audit": ("geodl audit scene.tif --model my-model --out seams.png",),
    "explain": ("geodl explain scene.tif --model my-model --at 691200,5335800 --out why",),
    "demo": ("geodl demo --out demo", "geodl demo --copy sample_scenes"),
    "doctor": ("geodl doctor",),
    "view": ("geodl view maps",),
    "help": ("geodl help", "geodl help bands"),
}


def add_examples(group: click.Group, above: str = "") -> None:
    r"""Put its examples at the end of the help of each command of a group, one a line (click's ``\b``)."""
    for name, command in group.commands.items():
        path = f"{above} {name}".strip()
        if isinstance(command, click.Group):
            add_examples(command, path)
        if path in EXAMPLES:
            command.epilog = "\n".join(("\b", "Examples:", *(f"  {line}" for line in EXAMPLES[path])))
