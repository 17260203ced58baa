"""What happened epoch by epoch: a CSV for programs and a curve for people."""

import csv
from dataclasses import dataclass
from pathlib import Path

from geodl.assess.confusion import Accuracy


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One row of ``metrics.csv``."""

    epoch: int
    minutes: float
    train_loss: float
    learning_rate: float
    accuracy: Accuracy
    """Of the averaged network on the validation tiles of this epoch."""
    best: bool

    def line(self) -> str:
        """Return the row as a sentence for the screen."""
        return (
            f"epoch {self.epoch:3d}  {self.minutes:6.1f} min  loss {self.train_loss:.4f}  "
            f"mIoU {self.accuracy.mean_iou:.4f}  overall {self.accuracy.overall:.4f}"
            f"{'  *' if self.best else ''}"
        )


def write_metrics(path: Path, epochs: list[Epoch]) -> None:
    """Write ``metrics.csv``: one row per validated epoch, one column ``iou:NAME`` per class."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        names = [c.name for c in epochs[0].accuracy.classes]
        writer.writerow(
            ["epoch", "minutes", "train_loss", "learning_rate", "mean_iou", "overall"]
            + [f"iou:{name}" for name in names]
        )
        for e in epochs:
            numbers = [e.minutes, e.train_loss, e.learning_rate, e.accuracy.mean_iou, e.accuracy.overall]
            numbers += [c.iou for c in e.accuracy.classes]
            writer.writerow([e.epoch, *(f"{number:.6g}" for number in numbers)])


def draw_curve(path: Path, epochs: list[Epoch], title: str) -> None:
    """Draw loss and accuracy over the epochs into a PNG."""
    from matplotlib.figure import Figure  # without pyplot: no window system, no global state

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    left = figure.add_subplot()
    numbers = [e.epoch for e in epochs]
    left.plot(numbers, [e.train_loss for e in epochs], color="0.55", label="training loss")
    left.set(xlabel="epoch", ylabel="training loss", title=title)
    left.set_ylim(bottom=0)
    right = left.twinx()
    right.plot(numbers, [e.accuracy.mean_iou for e in epochs], color="#1f5fa8", label="validation mean IoU")
    right.plot(
        numbers, [e.accuracy.overall for e in epochs], color="#c1440e", label="validation overall accuracy"
    )
    best = max(epochs, key=lambda e: e.accuracy.mean_iou)
    right.plot(best.epoch, best.accuracy.mean_iou, "o", color="#1f5fa8", label="kept")
    right.set(ylim=(0, 1), ylabel="accuracy")
    lines = [*left.get_lines(), *right.get_lines()]
    right.legend(lines, [str(line.get_label()) for line in lines], loc="lower right", frameon=False)
    figure.savefig(path, dpi=110)
