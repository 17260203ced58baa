"""ONNX files, with the metadata of geodl or of the QGIS plugin Deepness where they are there.

Deepness' keys: https://qgis-plugin-deepness.readthedocs.io/en/latest/creators/creators_add_metadata_to_model.html.
It divides 8-bit values by 255 and standardises them after that.
"""

import ast
import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from geodl.errors import ModelError
from geodl.models.export import EIGHT_BITS, METADATA
from geodl.models.imports.found import Found
from geodl.models.imports.wishes import Wishes, make_classes
from geodl.models.item import from_item
from geodl.models.onnx_network import check_content
from geodl.models.spec import ONNX, ClassSpec, ModelSpec, first_problem

_LARGEST = 2 * 1024**3  # bytes, as of protobuf


def read_onnx(path: Path, wishes: Wishes) -> Found:
    """Read an ONNX file.

    Raises
    ------
    ModelError
        The file is damaged, has other files or strange operations, or is no network of this kind.
    """
    what = f"source {path}"
    if path.stat().st_size > _LARGEST:
        raise ModelError(what, f"it is larger than {_LARGEST} bytes", "it is no ONNX file")
    content = path.read_bytes()
    model = check_content(content)
    (bands, *size), outputs = _ends(model, what)
    metadata = {entry.key: _value(entry.value) for entry in model.metadata_props}
    kind = str(metadata.get("model_type", "Segmentor"))
    if kind.capitalize() != "Segmentor":
        raise ModelError(what, f"it is a {kind}", "geodl maps a class per pixel: give a Segmentor")
    meaning = wishes.outputs or _meaning(model, what, outputs)
    side = size[0] if isinstance(size[0], int) else None
    if METADATA in metadata:
        return _own(metadata[METADATA], content, meaning, side, what)
    parameters: dict[str, Any] = {"outputs": meaning}
    parameters |= {"side": side, "stride": 1} if side else {}  # its tiles are all alike
    tile = side or _number(metadata, "tile_size", "tiles_size")
    overlap = _number(metadata, "tiles_overlap")
    resolution = _number(metadata, "resolution")
    scaled = "standardization_mean" in metadata or "standardization_std" in metadata
    deepness = "model_type" in metadata or "class_names" in metadata or scaled
    return Found(
        architecture=ONNX,
        parameters=parameters,
        bands=bands if isinstance(bands, int) else len(wishes.bands),
        classes=max(2, outputs) if isinstance(outputs, int) else len(wishes.classes),
        content=content,
        origin="an ONNX file" + (" for Deepness" if deepness else ""),
        class_specs=_classes(metadata.get("class_names"), outputs, what),
        mean=_scaling(metadata, "standardization_mean", 0.0) if deepness else (),
        std=_scaling(metadata, "standardization_std", 1.0) if deepness else (),
        units="digital_number" if deepness else None,
        dtype="uint8" if deepness else None,
        pixel_size=resolution / 100 if resolution else None,
        tile=None if tile is None else int(tile),
        halo=int(tile * overlap / 200) if tile and overlap else None,
    )


def _own(item: Any, content: bytes, meaning: str, side: int | None, what: str) -> Found:
    """Describe an export of geodl by the ``model.json`` that it carries."""
    try:
        spec = ModelSpec.model_validate(from_item(item))
    except ValidationError as error:
        raise ModelError(what, f"metadata {METADATA}: {first_problem(error)}", "export it again") from error
    parameters: dict[str, Any] = {"outputs": meaning, "stride": spec.stride}
    parameters |= {"side": side} if side else {}
    # The probabilities in the file are already those at the temperature.
    changed = {"architecture": ONNX, "parameters": parameters, "temperature": 1.0, "bf16_agreement": None}
    if side is not None and side != spec.tile:
        changed |= {"tile": side}
    return Found(
        architecture=ONNX,
        parameters=parameters,
        bands=len(spec.bands),
        classes=len(spec.classes),
        content=content,
        origin="an ONNX file of geodl",
        spec=ModelSpec.model_validate(spec.model_dump(mode="json") | changed),
    )


def _ends(model: Any, what: str) -> tuple[list[Any], Any]:
    """Bands, height and width of the input, and classes of the output; None where they are open."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [end for end in model.graph.input if end.name not in weights]
    shapes = [
        [d.dim_value or None for d in end.type.tensor_type.shape.dim]
        for end in (*inputs, *model.graph.output)
    ]
    if len(shapes) != 2 or any(len(shape) != 4 for shape in shapes):
        raise ModelError(
            what,
            f"it has {len(inputs)} inputs and {len(model.graph.output)} outputs of shapes {shapes}",
            "give a network of one image (N, bands, H, W) and one map (N, classes, H, W)",
        )
    if shapes[0][2] != shapes[0][3]:
        raise ModelError(
            what, f"it takes {shapes[0][2]} x {shapes[0][3]} pixels", "export it for square tiles"
        )
    return shapes[0][1:], shapes[1][1]


def _meaning(model: Any, what: str, outputs: Any) -> str:
    """Tell scores from probabilities by the operation that the output comes from."""
    last = next(
        (node.op_type for node in model.graph.node if model.graph.output[0].name in node.output), "nothing"
    )
    if last == "Softmax" or (last == "Sigmoid" and outputs == 1):
        return "probabilities"
    if last == "Sigmoid":
        raise ModelError(
            what,
            f"each of its {outputs} classes has a probability of its own",
            "where the largest one is meant, say --outputs probabilities",
        )
    return "scores"


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)  # some programs write Python's way of a dictionary
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _classes(names: Any, outputs: Any, what: str) -> tuple[ClassSpec, ...]:
    """Classes of Deepness' dictionary from channel to name; their values in the map are the channels + 1."""
    if isinstance(names, list) and len(names) == 1:
        names = names[0]
    if not isinstance(names, dict) or not names:
        return ()
    try:
        ordered = [str(name) for _, name in sorted(names.items(), key=lambda item: int(item[0]))]
    except ValueError as error:
        raise ModelError(what, f"class_names {names!r} has no numbers for keys", "use --classes") from error
    if outputs == 1 and len(ordered) == 1:
        ordered = ["background", *ordered]
    return make_classes([(i + 1, name, None) for i, name in enumerate(ordered)])


def _number(metadata: dict[str, Any], *keys: str) -> float | None:
    found = [
        metadata[key] for key in keys if isinstance(metadata.get(key), (int, float)) and metadata[key] > 0
    ]
    return found[0] if found else None


def _scaling(metadata: dict[str, Any], key: str, default: float) -> tuple[float, ...]:
    values = metadata.get(key)
    numbers = values if isinstance(values, list) else [default]
    if not all(isinstance(number, (int, float)) for number in numbers):
        return ()
    return tuple(EIGHT_BITS * number for number in numbers)
