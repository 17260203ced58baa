"""The largest batch that the memory holds."""

from collections.abc import Callable

import psutil
import torch
from torch import nn

from geodl.errors import OptionError
from geodl.training.checkpoint import State
from geodl.training.recipe import Optimisation, Recipe

LARGEST = 64
"""Larger batches make fewer steps of the same samples and learn less."""
_CPU_SHARE = 0.5
"""Part of the free memory of the machine that a step may fill."""


def settle_batch(
    network: nn.Module,
    recipe: Recipe,
    device: torch.device,
    precision: torch.dtype,
    state: State | None,
    echo: Callable[[str], None],
) -> int:
    """Return the batch of a recipe as a number; a run that goes on keeps the one it began with."""
    if state is not None:
        return int(state.facts["batch"])
    if recipe.optimisation.batch != "auto":
        return recipe.optimisation.batch
    batch = largest_batch(network.to(device), recipe.optimisation, len(recipe.bands), device, precision)
    echo(f"batch: {batch} samples fit")
    return batch


def largest_batch(
    network: nn.Module, settings: Optimisation, bands: int, device: torch.device, precision: torch.dtype
) -> int:
    """Double the batch until a step does not fit, and return the last one that did.

    On a GPU steps are really made. A processor would swap or be killed before it says no: there the
    tensors that a step keeps for the gradient are added up for one sample.

    Parameters
    ----------
    network : torch.nn.Module
        On the device; its weights and statistics are left as they are.
    settings : Optimisation
        Gives the patch, and with the samples of an epoch the most that makes sense.
    bands : int
        Input channels.
    device, precision : torch.device, torch.dtype
        Where and in which precision training computes.

    Raises
    ------
    OptionError
        Not even one sample fits.
    """
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    sample = (bands, settings.patch, settings.patch)
    room = 0
    if device.type != "cuda":
        room = int(_CPU_SHARE * free_memory() // kept_bytes(network, sample, device, precision))
    batch, wanted = 0, 1
    try:
        while wanted <= min(LARGEST, settings.samples_per_epoch):
            if device.type == "cuda":
                fits = _fits(network, wanted, sample, device, precision)
            else:
                fits = wanted <= room
            if not fits:
                break
            batch, wanted = wanted, 2 * wanted
    finally:
        network.load_state_dict(before)
        network.zero_grad(set_to_none=True)
    if not batch:
        raise OptionError(
            "optimisation.batch auto", "not even one sample fits the memory", "set optimisation.patch smaller"
        )
    return batch


def _step(
    network: nn.Module,
    batch: int,
    sample: tuple[int, int, int],
    device: torch.device,
    precision: torch.dtype,
) -> torch.Tensor:
    images = torch.zeros((batch, *sample), device=device).to(memory_format=torch.channels_last)
    with torch.autocast(device.type, precision, enabled=precision != torch.float32):
        return network(images).float().log_softmax(dim=1).mean()


def _fits(
    network: nn.Module,
    batch: int,
    sample: tuple[int, int, int],
    device: torch.device,
    precision: torch.dtype,
) -> bool:
    """Whether a step on a GPU leaves room for what is not there yet: the optimiser and the average."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    try:
        if batch > 1:  # norms refuse statistics over one value, where the coarsest level is one pixel
            _step(network, batch, sample, device, precision).backward()
    except torch.cuda.OutOfMemoryError:
        return False
    free, total = torch.cuda.mem_get_info(device)
    unused = torch.cuda.memory_reserved(device) - torch.cuda.max_memory_allocated(device)
    weights = sum(p.numel() * p.element_size() for p in network.parameters())
    return free + unused > 4 * weights + total // 20


def kept_bytes(
    network: nn.Module, sample: tuple[int, int, int], device: torch.device, precision: torch.dtype
) -> int:
    """Bytes that a step keeps for the gradient of one sample, each tensor counted once."""
    sizes: dict[int, int] = {}
    held = []  # a storage that is freed would give its place to the next

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        held.append(storage)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        _step(network, 2, sample, device, precision)  # two, for norms refuse statistics over one value
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    return max(1, sum(size for place, size in sizes.items() if place not in weights) // 2)


def free_memory() -> int:
    """Bytes of memory that this process could still get."""
    return int(psutil.virtual_memory().available)
