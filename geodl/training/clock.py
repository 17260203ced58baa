"""How far a run is, in epochs, steps and time; what a resumed run goes on from."""

import time
from dataclasses import dataclass, field

import torch
import torch.distributed


@dataclass
class Clock:
    """Progress of a run: the larger of the fraction of its steps and of its time.

    Parameters
    ----------
    steps : int
        Batches of the whole run.
    minutes : float or None
        Time limit.
    epoch, done, updates : int
        Epochs that are over, batches seen, and steps of the optimiser (fewer where gradients are
        accumulated).
    before : float
        Seconds that earlier parts of a resumed run took.
    stop : bool
        Whether this process was asked to stop; all of a run stop together.
    """

    steps: int
    minutes: float | None
    epoch: int = 0
    done: int = 0
    updates: int = 0
    before: float = 0.0
    stop: bool = False
    started: float = field(default_factory=time.monotonic)
    _agreed: float = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the start, those of earlier parts included."""
        return self.before + time.monotonic() - self.started

    def written(self) -> dict[str, float]:
        """Return what `resume` needs, as plain numbers."""
        return {"epoch": self.epoch, "done": self.done, "updates": self.updates, "seconds": self.elapsed}

    def resume(self, written: dict[str, float]) -> None:
        """Go on from where an earlier part of the run was."""
        self.epoch, self.done = int(written["epoch"]), int(written["done"])
        self.updates, self.before = int(written["updates"]), written["seconds"]

    @property
    def progress(self) -> float:
        """Between 0 and 1, as of the last `tick`: the same for all devices."""
        by_time = 0.0 if self.minutes is None else max(self.before, self._agreed) / (60 * self.minutes)
        return min(1.0, max(self.done / self.steps, by_time))

    def tick(self, device: torch.device) -> bool:
        """Count a batch; return whether to stop, because of the time or because a process was asked to."""
        self.done += 1
        self._agreed, stop = self.elapsed, self.stop
        if torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
            said = torch.tensor([self._agreed, float(stop)], dtype=torch.float64, device=device)
            torch.distributed.all_reduce(said, torch.distributed.ReduceOp.MAX)
            self._agreed, stop = float(said[0]), bool(said[1] > 0)
        return stop or self.progress >= 1
