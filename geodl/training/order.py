"""In which order samples are seen: numbered on from epoch to epoch, shared among devices."""

from collections.abc import Iterator

import torch.distributed
from torch.utils.data import Sampler

from geodl.training.clock import Clock


class Order(Sampler[int]):
    """Numbers of the samples of the epoch that the clock shows, so that no sample is seen twice.

    Where several processes train together each takes its part.

    Parameters
    ----------
    per_epoch : int
        Samples of all processes in an epoch; a multiple of their number.
    clock : Clock
        Tells the epoch.
    """

    def __init__(self, per_epoch: int, clock: Clock) -> None:
        self._per_epoch, self._clock = per_epoch, clock

    def __len__(self) -> int:
        return self._per_epoch // _place()[1]

    def __iter__(self) -> Iterator[int]:
        rank, processes = _place()
        start = self._clock.epoch * self._per_epoch
        return iter(range(start + rank, start + self._per_epoch, processes))


def _place() -> tuple[int, int]:
    """Rank of this process and number of processes."""
    if torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
