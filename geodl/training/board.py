"""The journal as TensorBoard event files, where the `tensorboard` package is installed."""

from pathlib import Path
from typing import Any

from geodl.training.journal import Epoch

FOLDER = "logs"


class Board:
    """Writes ``logs/`` in the model folder: read it with ``tensorboard --logdir OUT/logs``.

    Parameters
    ----------
    out : Path
        The model folder; the first `checked` must come after it was made.
    resumed : bool
        Whether the run goes on from an earlier part, whose files stay.
    """

    def __init__(self, out: Path, *, resumed: bool = False) -> None:
        self._folder, self._resumed = out / FOLDER, resumed
        self._writer: Any = None

    def checked(self, epoch: Epoch) -> None:
        """Add the figures of a check: loss, learning rate, mIoU, overall accuracy and IoU by class."""
        if self._writer is None:
            self._writer = self._open(epoch.epoch)
        found = epoch.accuracy
        figures = {
            "training/loss": epoch.train_loss,
            "training/learning_rate": epoch.learning_rate,
            "validation/mean_iou": found.mean_iou,
            "validation/overall": found.overall,
            **{f"iou/{c.name}": c.iou for c in found.classes},
        }
        for name, value in figures.items():
            self._writer.add_scalar(name, value, epoch.epoch)
        self._writer.flush()

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self, first: int) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        # Curves of an earlier model would be drawn into those of this one.
        for old in () if self._resumed else self._folder.glob("events.out.tfevents.*"):
            old.unlink()
        # Nothing is written but by `flush`: between two checks the model folder may be renamed, and
        # the thread of the writer would not find it. Of a run taken up again, what an earlier
        # process logged after its last kept state is hidden.
        return SummaryWriter(str(self._folder), purge_step=first, flush_secs=10**6)


def has_tensorboard() -> bool:
    """Whether `Board` can be used."""
    from importlib.util import find_spec

    return find_spec("tensorboard") is not None
