"""`probe`: what a network is, in one call."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from geodl.errors import ModelError
from geodl.models.bundle import Model
from geodl.models.probe.result import ROUNDING, HaloError, Probe
from geodl.models.receptive_field import rounded_up
from geodl.models.spec import ONNX

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

    from geodl.models.probe.field import Field
    from geodl.models.probe.inputs import Inputs

TOLERANCE = 1e-3
REACH = 512
WINDOW = 256
MEMORY = 4 * 1024**3
_ROWS = 12  # of the table, at most; one is added where the last shows a difference
_UNBOUNDED_LIMIT = 256  # pixels; where no halo helps, larger ones need not be shown


def probe(
    network: "Model | nn.Module",
    *,
    inputs: "Sequence[np.ndarray]" = (),
    bands: int | None = None,
    stride: int | None = None,
    core: int | None = None,
    tolerance: float = TOLERANCE,
    noise: int = 3,
    reach: int = REACH,
    window: int = WINDOW,
    memory: int = MEMORY,
    seed: int = 0,
    device: str = "cpu",
) -> Probe:
    """Measure how far a network looks, what each halo costs and loses, and how it shifts.

    Probe the trained network: timm begins with residual branches switched off by a norm weight of
    zero, which then look no farther than their shortcut.

    Parameters
    ----------
    network : Model or torch.nn.Module
        A network is in evaluation mode, (N, bands, H, W) -> (N, classes, H, W). Its weights and their
        `requires_grad` are left as they were.
    inputs : sequence of numpy.ndarray, optional
        Imagery, each (bands, H, W), scaled as the network sees it, pixels without data 0. Cut around
        the middle; what is missing to the size needed is continued by reflection.
    bands, stride : int, optional
        Input channels, and pixels of which tile sides and origins are multiples; a model tells them.
    core : int, optional
        Side of the part of a tile that is kept, for the relative cost of a halo; by default the
        model's, or `window`.
    tolerance : float, optional
        Largest difference of any probability that the recommended halo may cause; probabilities are those of
        a map, with the model's temperature.
    noise : int, optional
        Number of inputs that are noise, at least 1.
    reach : int, optional
        How far to follow the gradient, pixels.
    window : int, optional
        Side of the cores that are compared, pixels; rounded up to the stride, and no larger than `core`.
    memory : int, optional
        Bytes that activations kept for the gradient may take: ends the search like `reach`.
    seed : int, optional
        Of the noise.
    device : str, optional
        Where a model's network goes; a bare network stays where it is.

    Returns
    -------
    Probe
        The same for the same arguments.

    Raises
    ------
    MismatchError
        An input has other bands than the network, or values that are not finite.
    ModelError
        The model is an ONNX file, which has no gradients.
    ValueError
        The network is in training mode, where batch norm looks at the whole batch; `bands` or `stride`
        of a bare network are not given; `noise` is not positive.
    """
    import torch

    from geodl.models.probe.inputs import Inputs, check_given

    weights, temperature = "", 1.0
    if isinstance(network, Model):
        spec = network.spec
        if spec.architecture == ONNX:
            raise ModelError(
                f"model {spec.name}",
                "an ONNX file gives no gradients to measure",
                "probe the model that it was made of, and import it with --halo",
            )
        bands, stride, core, weights = len(spec.bands), spec.stride, core or spec.core, spec.weights_sha256
        network, temperature = network.network(device), spec.temperature
    if bands is None or stride is None:
        raise ValueError("a bare network does not tell its bands and its stride: give both")
    if noise < 1:
        raise ValueError(f"noise is {noise}: the gradient needs at least one input of noise")
    _refuse_training(network)
    window = rounded_up(min(window, core or window), stride)
    shown = Inputs(
        bands=bands, noise=noise, given=check_given(inputs, bands), device=_device(network), seed=seed
    )
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False, deterministic=True):
        return _probe(
            network,
            shown,
            stride=stride,
            core=core or window,
            tolerance=tolerance,
            reach=reach,
            window=window,
            memory=memory,
            weights=weights,
            temperature=temperature,
        )


def measure_overhang(network: "nn.Module", *, bands: int, stride: int, reach: int) -> int | None:
    """Measure how many pixels a cell of the output sees beyond its own border.

    The cell is a square of `stride` pixels on the network's lattice, in the middle of noise. Its
    outputs are weighed at random, summed and differentiated with respect to every input pixel: where
    the gradient is exactly zero, the input has no say. Tiles begin on cell borders, so a halo of the
    result rounded up to the stride reproduces the whole scene exactly.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode: (N, bands, H, W) -> (N, classes, H, W).
    bands : int
        Input channels.
    stride : int
        Side of a cell, pixels.
    reach : int
        How far to look, pixels; memory grows with its square.

    Returns
    -------
    int or None
        Pixels. None where the gradient is not yet zero `reach` pixels away: the network looks farther,
        or everywhere.

    Raises
    ------
    ValueError
        The network is in training mode, where batch norm looks at the whole batch.
    """
    from geodl.models.probe.field import measure_field
    from geodl.models.probe.inputs import Inputs

    _refuse_training(network)
    noise = Inputs(bands=bands, noise=1, given=(), device=_device(network), seed=0)
    return measure_field(network, noise, stride=stride, reach=reach, memory=MEMORY).overhang


def _probe(
    network: "nn.Module",
    inputs: "Inputs",
    *,
    stride: int,
    core: int,
    tolerance: float,
    reach: int,
    window: int,
    memory: int,
    weights: str,
    temperature: float,
) -> Probe:
    from geodl.models.probe.crops import measure_bfloat16
    from geodl.models.probe.field import measure_field
    from geodl.models.probe.shifts import measure_shifts

    field = measure_field(network, inputs, stride=stride, reach=reach, memory=memory)
    table = _table(network, inputs, field, stride=stride, window=window, core=core, temperature=temperature)
    exact = None
    if field.overhang is not None:
        exact = next((r.halo for r in table if r.halo >= field.overhang and r.within(ROUNDING)), None)
    margin = table[-1].halo
    smallest_shift, shift_difference = measure_shifts(network, inputs, stride=stride, margin=margin)
    agreement, bf16_difference = measure_bfloat16(
        network, inputs, margin=margin, window=window, temperature=temperature
    )
    return Probe(
        overhang=field.overhang,
        reach=field.reach,
        decays=field.decays,
        table=table,
        tolerance=tolerance,
        exact_halo=exact,
        stride=stride,
        smallest_shift=smallest_shift,
        shift_difference=shift_difference,
        core=core,
        window=window,
        noise_inputs=inputs.noise,
        given_inputs=len(inputs.given),
        bf16_agreement=agreement,
        bf16_difference=bf16_difference,
        weights=weights,
    )


def _table(
    network: "nn.Module",
    inputs: "Inputs",
    field: "Field",
    *,
    stride: int,
    window: int,
    core: int,
    temperature: float,
) -> tuple[HaloError, ...]:
    from geodl.models.probe.crops import measure_halos

    if field.overhang is not None:
        last = rounded_up(field.overhang, stride)
        surround = last + 2 * stride
    else:
        last = rounded_up(field.reach if field.decays else min(field.reach, _UNBOUNDED_LIMIT), stride)
        surround = rounded_up(last * 3 // 2, stride)
    step = stride * max(1, -(-last // (stride * (_ROWS - 1))))
    halos = [*range(0, last, step), last]
    measured = partial(
        measure_halos,
        network,
        inputs,
        surround=surround,
        window=window,
        core=core,
        field=field,
        temperature=temperature,
    )
    table = measured(halos)
    if field.overhang is not None and not table[-1].within(ROUNDING):
        # Maxima pass the gradient of one pixel only: what the gradient missed shows in the values.
        table += measured([last + stride])
    return table


def _refuse_training(network: "nn.Module") -> None:
    if network.training:
        raise ValueError("network is in training mode: call network.eval()")


def _device(network: "nn.Module") -> "torch.device":
    import torch

    return next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
