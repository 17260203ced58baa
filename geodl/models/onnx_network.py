"""A network that comes as an ONNX file, run by onnxruntime (https://onnxruntime.ai) behind torch's face.

The file brings graph and weights in one; nothing of it is translated, so that it gives here what it gives
elsewhere. It computes on the processor and has no gradients: it cannot be trained, probed or streamed.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from geodl.errors import ModelError, first_line
from geodl.models.imported_parameters import OnnxParameters

if TYPE_CHECKING:
    import onnx
    import onnxruntime

_DOMAINS = {"", "ai.onnx", "com.microsoft", "ai.onnx.ml"}
_SMALLEST = float(np.finfo(np.float32).tiny)
INSTALL = "install it with pip install 'geodl[onnx]'"


class OnnxNetwork(nn.Module):
    """An ONNX file as a network, ``(N, bands, H, W) -> (N, classes, H, W)`` class scores.

    Parameters
    ----------
    content : bytes
        The whole file.
    bands, classes : int
        Channels of its input, and classes of the model. A file with one output channel and two classes
        tells the second class from the first.
    parameters : OnnxParameters
        What its output means, and which sizes it takes.

    Raises
    ------
    ModelError
        onnxruntime is not installed, or the file is damaged, names files beside it or operations of others,
        or has other inputs and outputs than the model.
    """

    def __init__(self, content: bytes, bands: int, classes: int, parameters: OnnxParameters) -> None:
        super().__init__()
        self.content = content
        self._classes, self._said = classes, parameters
        shape, outputs = self._ends()
        if isinstance(shape[1], int) and shape[1] != bands:
            raise _refused(f"it takes {shape[1]} bands, the model has {bands}", "name its bands with --bands")
        if isinstance(outputs[1], int) and outputs[1] != classes and (outputs[1], classes) != (1, 2):
            raise _refused(
                f"it gives {outputs[1]} classes, the model has {classes}", "name its classes with --classes"
            )
        self._batch = shape[0] if isinstance(shape[0], int) else None

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores (N, classes, H, W) for scaled pixels `x` (N, bands, H, W)."""
        side = self._said.side
        if side is not None and tuple(x.shape[-2:]) != (side, side):
            raise _refused(
                f"it takes {side} x {side} pixels only, not {x.shape[-2]} x {x.shape[-1]}",
                f"leave --tile out, or use --tile {side}",
            )
        pixels = np.ascontiguousarray(x.detach().float().cpu().numpy())
        count = self._batch or len(pixels)
        parts = [self._run(pixels[first : first + count]) for first in range(0, len(pixels), count)]
        result = torch.from_numpy(np.concatenate(parts)).to(x.device)
        return result if result.shape[1] == self._classes else self._two(result)

    def _run(self, pixels: np.ndarray) -> np.ndarray:
        missing = (self._batch or len(pixels)) - len(pixels)
        padded = np.pad(pixels, ((0, missing), (0, 0), (0, 0), (0, 0))) if missing else pixels
        session = self._session
        found = session.run(None, {session.get_inputs()[0].name: padded})[0][: len(pixels)]
        scores = np.asarray(found, dtype=np.float32)
        if self._said.outputs == "probabilities" and scores.shape[1] == self._classes:
            return np.log(np.maximum(scores, _SMALLEST))
        return scores

    def _two(self, first: Tensor) -> Tensor:
        """Scores of two classes from one channel, so that their softmax is what that channel says."""
        if self._said.outputs == "probabilities":
            return torch.cat([1 - first, first], dim=1).clamp_min(_SMALLEST).log()
        return torch.cat([torch.zeros_like(first), first], dim=1)

    def _ends(self) -> tuple[list[Any], list[Any]]:
        """Shapes of the one input and the one output; names stand for sizes that vary."""
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1 or any(len(end.shape) != 4 for end in (*inputs, *outputs)):
            raise _refused(
                f"it has {len(inputs)} inputs and {len(outputs)} outputs",
                "give a network of one image (N, bands, H, W) and one map (N, classes, H, W)",
            )
        if inputs[0].type != "tensor(float)":
            raise _refused(f"its input is a {inputs[0].type}", "export it with a float32 input")
        return list(inputs[0].shape), list(outputs[0].shape)

    @cached_property
    def _session(self) -> "onnxruntime.InferenceSession":
        try:
            import onnxruntime
        except ImportError as error:
            raise _refused("onnxruntime, which runs it, is not installed", INSTALL) from error
        check_content(self.content)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        options.use_deterministic_compute = True
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            return onnxruntime.InferenceSession(self.content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no common base but this
            raise _refused(f"onnxruntime refuses it ({first_line(error)})", "export it again") from error


def check_content(content: bytes) -> "onnx.ModelProto":
    """Check that an ONNX file is whole, holds all of its weights, and uses standard operations only.

    Raises
    ------
    ModelError
        Says which of these fails.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise _refused("the package onnx, which reads it, is not installed", INSTALL) from error
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError) as error:
        raise _refused(f"it is damaged ({first_line(error)})", "fetch or export it again") from error
    strange = sorted({entry.domain for entry in model.opset_import} - _DOMAINS)
    if strange:
        raise _refused(f"it needs operations of {strange[0]!r}", "export it with standard operations")
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in _tensors(model)):
        raise _refused("weights of it lie in another file", "export it as one file")
    return model


def _tensors(message: Any) -> "Iterator[onnx.TensorProto]":
    """Yield every tensor of a graph, its subgraphs and its functions."""
    import onnx

    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for child in value if hasattr(value, "append") else (value,):
            if isinstance(child, onnx.TensorProto):
                yield child
            else:
                yield from _tensors(child)


def _refused(cause: str, remedy: str) -> ModelError:
    return ModelError("ONNX network", cause, remedy)
