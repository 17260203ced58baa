"""What goes into a batch of scenes and what comes out: entries, outcomes, and whoever watches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Literal, Protocol

from geodl.tiles import Block

Status = Literal["done", "skipped", "failed"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one scene.

    Parameters
    ----------
    name : str
        Name of the scene, or of its file where it could not be opened.
    sources : tuple of str
        What stands for it in the list of scenes.
    status : {"done", "skipped", "failed"}
        ``skipped``: its product was there already, of the same input, model and options.
    product : pathlib.Path, optional
        Folder of its product.
    error : Exception, optional
        Why it failed: a `GeodlError`, or a fault of the program.
    seconds : float
        From its first block to its product.
    pixels, chunks, computed : int
        Size, chunks in all, and those of them that this run computed rather than took up.
    """

    name: str
    sources: tuple[str, ...]
    status: Status
    product: Path | None = None
    error: Exception | None = None
    seconds: float = 0.0
    pixels: int = 0
    chunks: int = 0
    computed: int = 0


class SceneRun(Protocol):
    """What the queue needs of an opened scene; `close` is called once, whatever happens."""

    name: str
    pixels: int
    chunks: int

    @property
    def todo(self) -> Sequence[Block]:
        """Blocks that are still to be computed."""

    def size(self, block: Block) -> int:
        """Return the number of chunks in a block."""

    def task(self, block: Block) -> tuple[Callable[..., None], Any]:
        """Return the function and its first argument that compute and store a block on a worker."""

    def stored(self) -> int:
        """Return the number of chunks that are finished now, also those of blocks that are not."""

    def publish(self, stop: Event) -> Path:
        """Write the product and put it into its place; give up soon after `stop` is set."""

    def close(self) -> None:
        """Leave no trace but finished chunks and the product."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One scene of the list: `open` gives its run, or the product that is there already."""

    name: str
    sources: tuple[str, ...]
    open: Callable[[], SceneRun | Path]


class Watch:
    """Is told what happens, in the thread that runs the batch; by default it does nothing.

    `number` is the scene's place in the list.
    """

    def begin(self, entries: Sequence[Entry]) -> None:
        """Hear of the scenes, before the first is opened."""

    def started(self, number: int, run: SceneRun) -> None:
        """Hear that the first block of a scene is about to be computed."""

    def advanced(self, number: int, run: SceneRun, done: int) -> None:
        """Hear how many chunks of a scene are done."""

    def finished(self, number: int, outcome: Outcome) -> None:
        """Hear what became of a scene."""
