"""A model as one ONNX file (https://onnx.ai) that other programs run.

The metadata are those that the QGIS plugin Deepness reads
(https://qgis-plugin-deepness.readthedocs.io/en/latest/creators/creators_add_metadata_to_model.html), and
under ``geodl`` the whole ``model.json``, so that `geodl models import` loses nothing. The input is scaled as
for every network of geodl, ``(value - mean) / std``; Deepness does so itself.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geodl.errors import ModelError
from geodl.models.bundle import Model
from geodl.models.item import to_item
from geodl.models.onnx_graph import to_onnx
from geodl.models.spec import ONNX, ModelSpec

METADATA = "geodl"
EIGHT_BITS = 255  # Deepness divides 8-bit values by this before it standardises them


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written.

    Parameters
    ----------
    side : int or None
        Height and width of the images that it takes, where it takes no other size.
    difference : float
        Largest difference of a probability between onnxruntime and torch, on noise.
    for_deepness : bool
        Whether Deepness can show it images as it needs them.
    """

    side: int | None
    difference: float
    for_deepness: bool


def export_onnx(model: Model, file: str | Path, *, fixed: bool = False) -> Exported:
    """Write a model as an ONNX file whose output are probabilities.

    The file appears only after onnxruntime gave with it what torch gives with the network.

    Parameters
    ----------
    model : Model
        From `geodl.load_model`.
    file : str or Path
        What to write; it is replaced.
    fixed : bool, optional
        Let it take images of the model's tile size only, for programs that need that.

    Raises
    ------
    ModelError
        The model is an ONNX file already, the network cannot be written as one, or the exporter is not
        installed.
    """
    spec = model.spec
    if spec.architecture == ONNX:
        source = model.folder / spec.weights_file
        raise ModelError(f"model {spec.name}", "it is an ONNX file already", f"copy {source}")
    graph = to_onnx(model.network(), spec, outputs="probabilities", fixed=fixed)
    for key, value in metadata_of(spec).items():
        graph.content.metadata_props.add(key=key, value=value)
    file = Path(file)
    partial = file.with_name(f".{file.name}.partial")
    try:
        partial.write_bytes(graph.content.SerializeToString())
        partial.replace(file)
    except OSError as error:
        cause = f"it cannot be written ({error.strerror or error})"
        raise ModelError(f"file {file}", cause, "choose another") from error
    finally:
        partial.unlink(missing_ok=True)
    return Exported(side=graph.side, difference=graph.difference, for_deepness=is_for_deepness(spec))


def metadata_of(spec: ModelSpec) -> dict[str, str]:
    """Return the metadata of the file: for Deepness, and under ``geodl`` for geodl; each value is JSON.

    Deepness calls the size of a tile ``tiles_size`` in its manual and ``tile_size`` in its code.
    """
    found: dict[str, Any] = {
        "model_type": "Segmentor",
        "class_names": {str(i): c.name for i, c in enumerate(spec.classes)},
        "tile_size": spec.tile,
        "tiles_size": spec.tile,
        "tiles_overlap": -(-100 * 2 * spec.halo // spec.tile),  # per cent; rounded up
        METADATA: to_item(spec),
    }
    if spec.pixel_size is not None:
        found["resolution"] = round(100 * spec.pixel_size, 6)  # centimetres
    if is_for_deepness(spec):
        found["standardization_mean"] = [band.mean / EIGHT_BITS for band in spec.bands]
        found["standardization_std"] = [band.std / EIGHT_BITS for band in spec.bands]
    return {key: json.dumps(value, ensure_ascii=False) for key, value in found.items()}


def is_for_deepness(spec: ModelSpec) -> bool:
    """Whether a model takes 8-bit images, the only ones that Deepness reads."""
    return spec.units == "digital_number" and spec.dtype == "uint8"
