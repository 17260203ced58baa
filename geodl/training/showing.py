"""Everything that people see of a run: the bar while it goes on, the logs, the report at its end."""

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from lightning.pytorch.callbacks import Callback
from rich.console import Console

from geodl.models.spec import ModelSpec
from geodl.tiles import Window
from geodl.training.board import Board, has_tensorboard
from geodl.training.clock import Clock
from geodl.training.evaluate import Tile, Validation
from geodl.training.journal import Epoch
from geodl.training.live import Live
from geodl.training.recipe import Recipe
from geodl.training.report import REPORT_FILE, Examples, Meter, Run, find_counters, put, write_report
from geodl.training.report.examples import side_of
from geodl.training.split_map import draw_split
from geodl.words import progress_line

SPLIT_FILE = "split.png"


class Showing(Callback):
    """Lightning calls it during the run, and the keeper, as a watcher, at each check and at the end.

    Parameters
    ----------
    recipe : Recipe
        What was asked for.
    validation : Validation
        What is checked on.
    out : Path
        The model folder.
    clock : Clock
        How far the run is.
    start : sequence of str
        What the weights were before the first step, in lines of text for the report.
    """

    def __init__(
        self, recipe: Recipe, validation: Validation, out: Path, clock: Clock, start: Sequence[str] = ()
    ) -> None:
        self._recipe, self._validation, self._out, self._clock = recipe, validation, out, clock
        self._start = start or (f"random weights, seed {recipe.seed}",)
        self._meter = Meter(find_counters(validation.device))
        self._board: Board | None = None
        self._split: bytes | None = None
        self._examples = Examples([c.name for c in validation.spec.classes], side=side_of(recipe))
        terminal = Console(stderr=True)
        self._told = 0  # per cent, to programs that read along
        self._live = Live(clock, recipe.optimisation.epochs, terminal) if terminal.is_terminal else None

    @property
    def callbacks(self) -> list[Callback]:
        """For Lightning, to be called before the keeper."""
        return [self] if self._live is None else [self._live, self]

    def on_train_start(self, *_: object) -> None:
        """Open the logs: now it is known whether the run goes on from an earlier part."""
        if has_tensorboard():
            self._board = Board(self._out, resumed=self._clock.epoch > 0)

    def on_train_batch_end(self, *_: object) -> None:
        """Read the energy counters now and then."""
        self._meter.look()
        percent = int(100 * self._clock.progress)
        if percent > self._told and (line := progress_line(percent, 100, "of the training")):
            print(line, file=sys.stderr, flush=True)
            self._told = percent

    def checked(self, epoch: Epoch) -> None:
        """Log a check, and show it beside the bar."""
        self._draw_split()
        if self._board is not None:
            self._board.checked(epoch)
        if self._live is not None:
            self._live.checked(epoch)

    def look(self, tile: Tile, core: Window, labels: np.ndarray, predicted: np.ndarray) -> None:
        """Remember the best and the worst of the last pass over the validation part."""
        self._examples.look(tile, core, labels, predicted)

    def finished(self, spec: ModelSpec, epochs: Sequence[Epoch], matrix: np.ndarray) -> None:
        """Close the logs and write the report of the kept model."""
        if self._board is not None:
            self._board.close()
        run = Run(
            recipe=self._recipe,
            spec=spec,
            plots=self._validation.plots,
            epochs=epochs,
            matrix=matrix,
            examples=self._examples,
            seconds=self._clock.elapsed,
            device=self._validation.device,
            precision=self._validation.precision,
            start=self._start,
            energy=self._meter.text(),
            split_map=self._draw_split(),
        )
        write_report(self._out / REPORT_FILE, run)

    def _draw_split(self) -> bytes:
        """Write ``split.png``, once; as early as there is a folder, for it may show a mistake."""
        if self._split is None:
            with TemporaryDirectory(prefix="geodl-split-") as folder:
                draw_split(self._validation.plots, Path(folder) / SPLIT_FILE)
                self._split = (Path(folder) / SPLIT_FILE).read_bytes()
            put(self._out / SPLIT_FILE, self._split)
        return self._split
