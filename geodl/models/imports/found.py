"""What a source says about a network, and the description that it makes with what the user says."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from geodl.errors import ModelError
from geodl.models.imports.wishes import Wishes, make_classes
from geodl.models.parameters import Tiling
from geodl.models.receptive_field import rounded_up
from geodl.models.spec import ClassSpec, ModelSpec, first_problem
from geodl.models.table import tiling_of

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Found:
    """A network with its weights, as a source holds it, and what the source says about it.

    Parameters
    ----------
    architecture, parameters : str, dict
        As in ``model.json``.
    bands, classes : int
        Input and output channels of the model.
    tensors : dict of str to torch.Tensor
        Weights by the names that the architecture has for them; empty for an ONNX file.
    content : bytes
        The ONNX file.
    origin : str
        What wrote the source, for the description.
    class_specs, mean, std, units, dtype, pixel_size, tile, halo
        What `Wishes` may also say; None and empty where the source does not.
    spec : ModelSpec or None
        The whole description, where the source is an export of geodl.
    """

    architecture: str
    parameters: dict[str, Any]
    bands: int
    classes: int
    tensors: "dict[str, Tensor]" = field(default_factory=dict)
    content: bytes = b""
    origin: str
    class_specs: tuple[ClassSpec, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    units: str | None = None
    dtype: str | None = None
    pixel_size: float | None = None
    tile: int | None = None
    halo: int | None = None
    spec: ModelSpec | None = None


def describe(found: Found, wishes: Wishes, source: Path) -> ModelSpec:
    """Return the ``model.json`` of a source; the user's word counts more than the source's.

    Raises
    ------
    ModelError
        Something is said by neither, or the two do not fit; the message names the option.
    """
    if found.spec is not None:
        return _changed(found.spec, wishes, source)
    what = f"source {source}"
    tiling = tiling_of(found.architecture, found.parameters)
    names = wishes.bands
    if len(names) != found.bands:
        raise ModelError(
            what,
            f"its network takes {found.bands} bands, {len(names)} are named",
            "name them in the order of the network, as in --bands red,green,blue",
        )
    classes = wishes.classes or found.class_specs
    if not classes and found.classes > 1:
        classes = make_classes([(i + 1, f"class {i + 1}", None) for i in range(found.classes)])
    if len(classes) != found.classes:
        raise ModelError(
            what,
            f"its network tells {found.classes} classes apart, {len(classes)} are named",
            "name them in the order of the network, as in --classes background,building",
        )
    units = wishes.units or found.units
    if units is None:
        raise ModelError(
            what, "it does not say what its bands hold", "use --units reflectance or --units digital_number"
        )
    mean, std = wishes.mean or found.mean, wishes.std or found.std
    if not mean or not std:
        raise ModelError(
            what,
            "it does not say how its bands were scaled in training",
            "give --mean and --std in the units of the bands; ImageNet's for 8-bit images are "
            "--mean 123.675,116.28,103.53 --std 58.395,57.12,57.375, and 0 and 1 mean no scaling",
        )
    fields = {
        "name": wishes.name or _name_of(source),
        "title": wishes.title,
        "task": wishes.task,
        "architecture": found.architecture,
        "parameters": found.parameters,
        "bands": [
            {"name": name, "mean": m, "std": s}
            for name, m, s in zip(
                names, _per_band(mean, names, "--mean"), _per_band(std, names, "--std"), strict=True
            )
        ],
        "units": units,
        "dtype": wishes.dtype or found.dtype,
        "pixel_size": wishes.pixel_size or found.pixel_size,
        "classes": [c.model_dump() for c in classes],
        **_tiles(tiling, wishes.tile or found.tile, found.halo if wishes.halo is None else wishes.halo),
        "licence": wishes.licence,
        "training": {"note": f"Imported from {found.origin}."},
    }
    return _validated(fields, what)


def _tiles(tiling: Tiling, tile: int | None, halo: int | None) -> dict[str, Any]:
    """Tile and halo, both multiples of the stride, and how tiles become a map."""
    halo = rounded_up(tiling.halo if halo is None else halo, tiling.stride)
    tile = rounded_up(tile or tiling.tile, tiling.stride)
    return {"tile": tile, "halo": halo, "stride": tiling.stride, "stitch": tiling.stitch}


def _changed(spec: ModelSpec, wishes: Wishes, source: Path) -> ModelSpec:
    fields = spec.model_dump(mode="json")
    fields |= {
        name: value
        for name in ("name", "title", "licence", "units", "dtype", "pixel_size", "tile", "halo")
        if (value := getattr(wishes, name)) not in (None, "")
    }
    if wishes.bands or wishes.mean or wishes.std or wishes.classes:
        raise ModelError(
            f"source {source}",
            "it is an export of geodl and says its bands, scaling and classes itself",
            "leave out --bands, --mean, --std and --classes",
        )
    return _validated(fields, f"source {source}")


def _validated(fields: dict[str, Any], what: str) -> ModelSpec:
    try:
        return ModelSpec.model_validate(fields)
    except ValidationError as error:
        raise ModelError(what, first_problem(error), "say otherwise with an option of that name") from error


def _per_band(values: tuple[float, ...], names: tuple[str, ...], option: str) -> tuple[float, ...]:
    if len(values) == 1:
        return values * len(names)
    if len(values) != len(names):
        raise ModelError(
            option, f"{len(values)} numbers for {len(names)} bands", "give one for each, or one for all"
        )
    return values


def _name_of(source: Path) -> str:
    name = re.sub(r"[^a-z0-9_.\-]+", "-", source.stem.lower()).strip("-._")
    return name[:64] or "imported"
