"""What a batch shows while it runs: bars on a terminal, elsewhere a line for each finished scene."""

import time
import traceback
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from geodl.batch import Entry, Outcome, SceneRun, Watch
from geodl.cli.guide import point_to_page
from geodl.errors import GeodlError
from geodl.words import duration, progress_line

_WIDTH = 140  # of tables that no terminal bounds


class Show(Watch):
    """Shows a batch; a context manager, for as long as the bars are drawn.

    Parameters
    ----------
    paths_only : bool
        Print of a finished scene nothing but the folder of its product.
    """

    def __init__(self, *, paths_only: bool = False) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
        self.bars = Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
        self.paths_only = paths_only
        self.tasks: dict[int, Any] = {}
        self.pixels: dict[int, int] = {}  # of scenes that were begun
        self.mapped: dict[int, float] = {}  # pixels of them that this run has mapped
        self.taken_up: dict[int, int] = {}  # chunks of them that an earlier run has mapped
        self.over: set[int] = set()
        self.count, self.begun = 0, time.monotonic()

    def __enter__(self) -> "Show":
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def begin(self, entries: Sequence[Entry]) -> None:
        """Draw the line of the whole."""
        self.count = len(entries)
        self.whole = self.bars.add_task("all scenes", total=self.count, text="", visible=self.count > 1)

    def started(self, number: int, run: SceneRun) -> None:
        """Draw the line of a scene."""
        self.pixels[number] = run.pixels
        self.taken_up[number] = run.chunks - sum(map(run.size, run.todo))
        self.tasks[number] = self.bars.add_task(escape(run.name), total=run.chunks, text="")

    def advanced(self, number: int, run: SceneRun, done: int) -> None:
        """Move the line of a scene, and that of the whole."""
        self.mapped[number] = run.pixels * (done - self.taken_up[number]) / run.chunks
        text = "writing" if done == run.chunks else f"{done}/{run.chunks} chunks"
        self.bars.update(self.tasks[number], completed=done, text=text)
        self.bars.update(self.whole, completed=len(self.over), text=self.pace())
        if line := progress_line(done, run.chunks, run.name):
            click.echo(line, err=True)

    def finished(self, number: int, outcome: Outcome) -> None:
        """Say what became of a scene."""
        self.over.add(number)
        if number in self.tasks:
            self.bars.remove_task(self.tasks.pop(number))
        self.bars.update(self.whole, completed=len(self.over), text=self.pace())
        if outcome.error is not None:
            _complain(outcome)
        elif self.paths_only:
            click.echo(f"{outcome.product}")
        else:
            took = f"{outcome.seconds:.1f} s" if outcome.status == "done" else "there already"
            place = f"[{len(self.over)}/{self.count}]"
            click.echo(
                f"{place} {outcome.status} {outcome.name}: {took}, {outcome.product} {self.pace()}".rstrip()
            )

    def pace(self) -> str:
        """Rate, and time left: of scenes not opened yet the mean size is assumed."""
        mapped, seconds = sum(self.mapped.values()), time.monotonic() - self.begun
        if not mapped:
            return ""
        rate = mapped / seconds
        begun = [number for number in self.pixels if number not in self.over]
        left = sum(self.pixels[number] - self.mapped[number] for number in begun)
        unknown = self.count - len(self.over | set(self.pixels))
        left += unknown * sum(self.pixels.values()) / len(self.pixels)
        remaining = f", {duration(left / rate)} left" if left else ""
        return f"({rate / 1e6:.2f} Mpx/s{remaining})"


def _complain(outcome: Outcome) -> None:
    if not isinstance(outcome.error, GeodlError):  # a fault of the program keeps its traceback
        click.echo("".join(traceback.format_exception(outcome.error)), err=True)
    click.secho(f"error: {_said(outcome)}", err=True, fg="red")
    if isinstance(outcome.error, GeodlError):
        point_to_page(outcome.error)


def _said(outcome: Outcome) -> str:
    text = str(outcome.error) if isinstance(outcome.error, GeodlError) else repr(outcome.error)
    # Of a scene that was opened some errors name the folder alone.
    return text if outcome.name in text else f"scene {outcome.name}: {text}"


def print_summary(outcomes: Sequence[Outcome]) -> None:
    """Print what became of each scene, failures last."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    table = Table(box=None, padding=(0, 1))
    for column in ("scene", "", "seconds", "where, or why not"):
        table.add_column(column, overflow="fold", justify="right" if column == "seconds" else "left")
    for outcome in sorted(outcomes, key=lambda outcome: outcome.status == "failed"):
        color = {"done": "green", "skipped": "cyan", "failed": "red"}[outcome.status]
        where = str(outcome.product) if outcome.error is None else _said(outcome)
        seconds = f"{outcome.seconds:.1f}" if outcome.seconds else ""
        table.add_row(escape(outcome.name), f"[{color}]{outcome.status}[/]", seconds, escape(where))
    console.print(table)
    counts = [
        f"{sum(o.status == status for o in outcomes)} {status}" for status in ("done", "skipped", "failed")
    ]
    click.echo(f"{len(outcomes)} scenes: {', '.join(counts)}")
