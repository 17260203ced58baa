"""What the report of a run says, as the template takes it."""

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import yaml

from geodl.assess.confusion import Accuracy, accuracy
from geodl.look.figures import percent
from geodl.look.pictures import data_uri, shown_bands
from geodl.models.spec import ModelSpec
from geodl.task import TASKS
from geodl.training.apart import how_apart, shared_warnings
from geodl.training.journal import Epoch
from geodl.training.plots import Plot, folders
from geodl.training.recipe import Recipe
from geodl.training.report import pictures
from geodl.training.report.circumstances import device_name, versions
from geodl.training.report.curves import Chart, draw
from geodl.training.report.examples import Example, Examples
from geodl.words import duration


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything that the report tells of.

    Parameters
    ----------
    recipe : Recipe
        What was asked for.
    spec : ModelSpec
        The model that was kept.
    plots : list of Plot
        Scenes and labels, still decoded.
    epochs : sequence of Epoch
        The journal.
    matrix : numpy.ndarray
        Confusion of the kept model on all validation pixels; labels in rows, shape ``(classes, classes)``.
    examples : Examples
        The squares seen on the way.
    seconds : float
        Time that learning and its checks took.
    device, precision : torch.device, torch.dtype
        Where, and in which precision, the network ran.
    start : sequence of str
        What the weights were before the first step, in lines of text.
    energy : str
        What was measured, as `Meter.text` says it.
    split_map : bytes, optional
        The picture of the split, PNG.
    """

    recipe: Recipe
    spec: ModelSpec
    plots: list[Plot]
    epochs: Sequence[Epoch]
    matrix: np.ndarray
    examples: Examples
    seconds: float
    device: torch.device
    precision: torch.dtype
    start: Sequence[str]
    energy: str
    split_map: bytes | None = None

    @property
    def kept(self) -> Epoch:
        """The epoch whose weights are kept."""
        return max(self.epochs, key=lambda epoch: epoch.accuracy.mean_iou)

    @property
    def accuracy(self) -> Accuracy:
        """Of the kept model on all validation pixels."""
        return accuracy(self.matrix, [c.name for c in self.spec.classes])


def content(run: Run) -> dict[str, Any]:
    """Return what the template needs, by name: figures and plain text, escaped there."""
    recipe, spec, found = run.recipe, run.spec, run.accuracy
    best, worst = run.examples.chosen()
    shown = [spec.bands[k].name for k in shown_bands(spec.band_names)]
    return {
        "title": recipe.title or recipe.name,
        "spec": spec,
        "recipe": recipe,
        "task": TASKS[spec.task].title,
        "accuracy": found,
        "kept": run.kept,
        "last": run.epochs[-1],
        "seconds": run.seconds,
        "rows": _class_rows(run, found),
        "confusion": _confusion(run.matrix),
        "charts": _charts(run),
        "best": [_shown(example, run) for example in best],
        "worst": [_shown(example, run) for example in worst],
        "shown": shown,
        "wrong": "#{:02x}{:02x}{:02x}".format(*pictures.WRONG),
        "unlabelled": "#{:02x}{:02x}{:02x}".format(*pictures.UNLABELLED),
        "split_map": run.split_map and f"data:image/png;base64,{b64encode(run.split_map).decode()}",
        "same_scenes": any(sum(plot.train) and sum(plot.validation) for plot in run.plots),
        "shared": shared_warnings(run.plots),
        "apart": how_apart(recipe, spec.halo, run.plots),
        "scenes": _scenes(run),
        "facts": _facts(run),
        "start": [line.removeprefix("start: ").strip() for line in run.start],
        "versions": versions(),
        "written": yaml.safe_dump(
            recipe.written(), sort_keys=False, allow_unicode=True, default_flow_style=None, width=88
        ),
    }


def _class_rows(run: Run, found: Accuracy) -> list[dict[str, Any]]:
    learnt = np.sum([plot.train for plot in run.plots], axis=0)
    return [
        {"name": c.name, "color": c.color.lower(), "learnt": int(learnt[k]), "figures": found.classes[k]}
        for k, c in enumerate(run.spec.classes)
    ]


def _confusion(matrix: np.ndarray) -> list[list[tuple[int, float | None]]]:
    """Count, and share of the row, of each cell; no share where a class has no labels."""
    totals = matrix.sum(axis=1)
    return [
        [(int(count), float(count / total) if total else None) for count in row]
        for row, total in zip(matrix, totals, strict=True)
    ]


def _charts(run: Run) -> list[Chart]:
    numbers, kept = [epoch.epoch for epoch in run.epochs], run.kept.epoch
    found = [epoch.accuracy for epoch in run.epochs]
    of_validation = {"mean IoU": [a.mean_iou for a in found], "overall accuracy": [a.overall for a in found]}
    loss = {"training loss": [epoch.train_loss for epoch in run.epochs]}
    rate = {"learning rate": [epoch.learning_rate for epoch in run.epochs]}
    return [
        draw("Accuracy on validation tiles", numbers, of_validation, kept=kept, top=1.0),
        draw("Training loss", numbers, loss, kept=kept),
        draw("Learning rate at the end of the epoch", numbers, rate, kept=kept),
    ]


def _shown(example: Example, run: Run) -> dict[str, Any]:
    """Return the four pictures of a square, each with what it says in words."""
    plot, window, classes = run.plots[example.plot], example.window, run.spec.classes
    scene = pictures.scene_picture(plot, window, run.spec.bands)
    labelled = example.labels < len(classes)
    wrong = float((example.labels != example.predicted)[labelled].mean())

    def shares(codes: np.ndarray) -> str:
        counts = np.bincount(codes[labelled], minlength=len(classes))
        order = [k for k in np.argsort(-counts, kind="stable")[:4] if counts[k]]
        return ", ".join(f"{classes[k].name} {percent(counts[k] / counts.sum())}" for k in order)

    def paint(codes: np.ndarray) -> str:
        return data_uri(pictures.class_picture(codes, classes))

    return {
        "place": plot.name,
        "rows": f"{window.row}–{window.row_stop - 1}",
        "columns": f"{window.col}–{window.col_stop - 1}",
        "size": (window.width, window.height),
        "accuracy": example.accuracy,
        "pictures": [
            ("scene", "The scene", data_uri(scene, photograph=True)),
            ("labels", f"Labels: {shares(example.labels)}", paint(example.labels)),
            ("prediction", f"Prediction: {shares(example.predicted)}", paint(example.predicted)),
            ("errors", f"Errors: {percent(wrong)} of the labelled pixels",
             data_uri(pictures.error_picture(scene, example.labels, example.predicted))),
        ],
    }  # fmt: skip


def _scenes(run: Run) -> dict[str, Any]:
    def count(of: Callable[[Plot], tuple[int, ...]]) -> int:
        return sum(sum(of(plot)) for plot in run.plots)

    return {
        "count": len(run.plots),
        "train": count(lambda plot: plot.train),
        "validation": count(lambda plot: plot.validation),
        "train_folders": _places(folders(run.recipe, "train")),
        "validation_folders": _places(folders(run.recipe, "validation")),
    }


def _places(names: list[str]) -> str:
    return "; ".join("the data folder itself" if name == "." else name for name in names)


def _facts(run: Run) -> list[tuple[str, str]]:
    spec, settings = run.spec, run.recipe.optimisation
    parameters = ", ".join(f"{name} {value}" for name, value in spec.parameters.items()) or "its defaults"
    number = "bfloat16 where the network computes" if run.precision == torch.bfloat16 else "float32"
    steps = f"{settings.samples_per_epoch:,} samples of {settings.patch} × {settings.patch} pixels per epoch"
    return [
        ("Network", f"{spec.architecture} ({parameters})"),
        ("Sees", f"{', '.join(spec.band_names)}; {spec.units.replace('_', ' ')}"),
        ("Tiles of the map", f"{spec.tile} px with a halo of {spec.halo} px, {spec.stitch}"),
        ("Samples", steps),
        ("Device", device_name(run.device)),
        ("Precision", number),
        ("Time", f"{duration(run.seconds)} for learning and checks"),
        ("Energy", run.energy),
        ("Weights", f"SHA-256 {spec.weights_sha256}"),
        ("Made on", spec.training.date),
        ("Licence of the weights", spec.licence or "not stated"),
    ]
