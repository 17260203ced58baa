"""int8 variants, by the quantisation of onnxruntime.

https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html. Weights become whole numbers
of eight bits, each output channel with its own scale (static), and so do the values between layers: with a
scale for each layer that is found on imagery (static), or anew for each image (dynamic). The last
convolution, which makes the class scores, stays as it is: neighbours of that spacing would tie.
"""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from geodl.errors import ModelError
from geodl.models.bundle import Model, save_model
from geodl.models.compress.variant import variant_of
from geodl.models.onnx_graph import to_onnx
from geodl.models.onnx_network import INSTALL
from geodl.models.spec import ONNX
from geodl.models.table import onnx_network

if TYPE_CHECKING:
    import onnx

Kind = Literal["dynamic", "static"]


def quantise(model: Model, out: str | Path, kind: Kind, inputs: Sequence[np.ndarray] = ()) -> Model:
    """Write an int8 variant of a model, run by onnxruntime.

    Parameters
    ----------
    model : Model
        From `geodl.load_model`; no ONNX file.
    out : str or Path
        Folder of the variant.
    kind : {"dynamic", "static"}
        Whether the scale of values between layers is found for each image, or once on `inputs`.
    inputs : sequence of numpy.ndarray
        For ``"static"``: imagery as the network sees it, each float32 (bands, H, W), H and W multiples of the
        stride.

    Raises
    ------
    ModelError
        The model is an ONNX file, cannot be written as one, or imagery is missing.
    """
    what = f"model {model.spec.name}"
    if model.spec.architecture == ONNX:
        raise ModelError(what, "it is an ONNX file already", "compress the model that it was made of")
    if kind == "static" and not inputs:
        raise ModelError(what, "static int8 needs imagery to find its scales on", "name some with --scenes")
    graph = to_onnx(model.network(), model.spec, outputs="scores")
    parameters: dict[str, Any] = {"outputs": "scores", "stride": model.spec.stride}
    changes: dict[str, Any] = {"architecture": ONNX, "parameters": parameters}
    if graph.side is not None:
        parameters["side"] = graph.side
    content = _quantised(graph.content, kind, [_fitting(pixels, graph.side) for pixels in inputs])
    note = f"Weights and values between layers in eight bits ({kind}, onnxruntime) of {model.hash[:12]}."
    spec = variant_of(model.spec, f"int8-{kind}", note, **changes)
    return save_model(out, spec, onnx_network(content, spec))


def _quantised(graph: "onnx.ModelProto", kind: Kind, inputs: Sequence[np.ndarray]) -> bytes:
    try:
        from onnxruntime.quantization import (
            CalibrationDataReader,
            QuantType,
            quantize_dynamic,
            quantize_static,
        )
    except ImportError as error:
        raise ModelError("int8", f"{error.name} is not installed", INSTALL) from error

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._left = iter(inputs)

        def get_next(self) -> dict[str, np.ndarray] | None:
            pixels = next(self._left, None)
            return None if pixels is None else {"input": pixels[None]}

    last = [node.name for node in graph.graph.node if node.op_type == "Conv"][-1:]
    with tempfile.TemporaryDirectory() as folder, _quiet():
        before, after = Path(folder) / "before.onnx", Path(folder) / "after.onnx"
        before.write_bytes(graph.SerializeToString())
        if kind == "dynamic":
            # Its convolution of whole numbers knows unsigned weights only.
            quantize_dynamic(
                before,
                after,
                op_types_to_quantize=["Conv"],
                nodes_to_exclude=last,
                weight_type=QuantType.QUInt8,
            )
        else:
            quantize_static(
                before,
                after,
                Reader(),
                nodes_to_exclude=last,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        return after.read_bytes()


def _fitting(pixels: np.ndarray, side: int | None) -> np.ndarray:
    """Cut or continue imagery to the only size that a graph takes, where there is one."""
    if side is None:
        return pixels
    cut = pixels[:, :side, :side]
    return np.pad(cut, ((0, 0), *((0, side - length) for length in cut.shape[1:])), mode="symmetric")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep advice on how to prepare a file, which does not apply, off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
