"""A network of torch as an ONNX graph, checked with onnxruntime before anyone relies on it."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from geodl.errors import ModelError, first_line
from geodl.models.imported_parameters import OnnxParameters
from geodl.models.onnx_network import INSTALL, OnnxNetwork
from geodl.models.spec import ModelSpec

if TYPE_CHECKING:
    import onnx

OPSET = 18
TOLERANCE = 1e-4  # of a probability
_LARGEST = 8192  # pixels, as in `ModelSpec.tile`

Outputs = Literal["scores", "probabilities"]


@dataclass(frozen=True, kw_only=True)
class OnnxGraph:
    """An ONNX graph that gives what the network gives.

    Parameters
    ----------
    content : onnx.ModelProto
        ``input (N, bands, H, W) -> output (N, classes, H, W)``.
    side : int or None
        H and W where it takes no other; any multiple of the stride otherwise.
    difference : float
        Largest difference of a probability from the network's, on noise.
    """

    content: "onnx.ModelProto"
    side: int | None
    difference: float


def to_onnx(network: nn.Module, spec: ModelSpec, *, outputs: Outputs, fixed: bool = False) -> OnnxGraph:
    """Return a network as an ONNX graph.

    Networks whose graph comes out right for one size only (those that pool to a fixed grid) get that of the
    model's tile.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode.
    spec : ModelSpec
        Gives bands, classes, stride, tile and temperature.
    outputs : {"scores", "probabilities"}
        What the graph gives: the network's own scores, or the softmax of them over the temperature.
    fixed : bool, optional
        Images of the tile's size only.

    Raises
    ------
    ModelError
        The exporter is not installed, or no graph of the network gives what the network gives.
    """
    whole = (
        nn.Sequential(network, _Probabilities(spec.temperature)) if outputs == "probabilities" else network
    )
    whole.eval()
    last: ModelError | None = None
    for side in (spec.tile,) if fixed else (None, spec.tile):
        try:
            content = _exported(whole, spec, side)
            difference = _difference(content, whole, spec, outputs, side)
        except ModelError as error:
            last = error
            continue
        if difference <= TOLERANCE:
            return OnnxGraph(content=content, side=side, difference=difference)
        last = _refused(spec, f"onnxruntime gives probabilities that differ by {difference:.1g}")
    assert last is not None
    raise last


class _Probabilities(nn.Module):
    def __init__(self, temperature: float) -> None:
        super().__init__()
        self._temperature = temperature

    def forward(self, scores: Tensor) -> Tensor:
        return (scores / self._temperature).softmax(dim=1)


def _exported(network: nn.Module, spec: ModelSpec, side: int | None) -> "onnx.ModelProto":
    bands, stride = len(spec.bands), spec.stride
    arguments: dict[str, Any] = {"opset_version": OPSET, "input_names": ["input"], "output_names": ["output"]}
    if side is None:
        arguments["dynamic_shapes"] = (_sizes(stride),)
    # Height and width differ where they may, so that no operation can take one for the other.
    shape = _some_size(stride) if side is None else (1, side, side)
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                network,
                (torch.zeros(shape[0], bands, *shape[1:]),),
                dynamo=True,
                verbose=False,
                **arguments,
            )
    except ImportError as error:
        raise ModelError("ONNX export", f"{error.name} is not installed", INSTALL) from error
    except Exception as error:  # the exporter's errors have no common base but this
        # The exporter wraps what went wrong into advice on how to report it.
        reason = error.__cause__ or error
        cause = first_line(reason)
        plain = "".join(character for character in cause if character.isprintable())
        raise _refused(spec, f"torch cannot write it as ONNX ({plain})") from error
    assert program is not None
    content: onnx.ModelProto = program.model_proto
    if side is None:
        # Deepness wants tiles to be square and compares the names of height and width.
        for end in (*content.graph.input, *content.graph.output):
            for position in (2, 3):
                end.type.tensor_type.shape.dim[position].dim_param = "size"
    return content


def _difference(
    content: "onnx.ModelProto", network: nn.Module, spec: ModelSpec, outputs: Outputs, side: int | None
) -> float:
    """Return the largest difference of a probability, on noise of another size where sizes may vary."""
    count, height, width = (1, side, side) if side else _another_size(spec.stride)
    noise = torch.randn(count, len(spec.bands), height, width, generator=torch.Generator().manual_seed(0))
    parameters = OnnxParameters(outputs="scores", side=side, stride=spec.stride)
    with torch.inference_mode():
        ours = network(noise)
        try:
            theirs = OnnxNetwork(content.SerializeToString(), len(spec.bands), len(spec.classes), parameters)(
                noise
            )
        except ModelError:
            raise
        except Exception as error:  # onnxruntime's errors have no common base but this
            raise _refused(spec, "onnxruntime cannot run its graph") from error
    if outputs == "scores":
        ours, theirs = ours.softmax(dim=1), theirs.softmax(dim=1)
    return float((ours - theirs).abs().max())


def _refused(spec: ModelSpec, cause: str) -> ModelError:
    return ModelError(f"architecture {spec.architecture!r}", cause, "choose another architecture")


def _some_size(stride: int) -> tuple[int, int, int]:
    side = -(-128 // stride) * stride
    return 2, side, side + max(stride, 32)


def _another_size(stride: int) -> tuple[int, int, int]:
    count, height, width = _some_size(stride)
    return count + 1, width, height


def _sizes(stride: int) -> dict[int, Any]:
    from torch.export import Dim

    if stride == 1:
        rows, columns = (Dim(name, min=32, max=_LARGEST) for name in ("height", "width"))
    else:
        rows, columns = (stride * Dim(name, min=1, max=_LARGEST // stride) for name in ("rows", "columns"))
    return {0: Dim("batch", min=1, max=1024), 2: rows, 3: columns}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's notes about its own versions off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
