"""Many scenes as one queue of blocks: one is published while the next is computed and a third opened.

The queue knows neither rasters nor networks. Whatever it does to a scene it asks of its `SceneRun`; what
happens comes back as events, which one thread handles in turn.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future as ThreadFuture
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event
from typing import TYPE_CHECKING, Any

from geodl.batch.cluster import threads
from geodl.batch.parts import Entry, Outcome, SceneRun, Status, Watch
from geodl.errors import GeodlError
from geodl.tiles import Block

if TYPE_CHECKING:
    from distributed import Client

AHEAD = 2  # scenes whose headers are read before their turn
PUBLISHING = 2  # scenes whose products may be unfinished while further ones are computed
_LOOK = 1.0  # seconds after which the chunks of unfinished blocks are counted
_RECOUNT = 5.0  # seconds after which workers are counted again: they come and go


@dataclass(kw_only=True, eq=False)
class _Lane:
    """One scene on its way through the queue."""

    number: int
    run: SceneRun
    todo: deque[Block] = field(init=False)
    taken_up: int = field(init=False)  # chunks that an earlier run computed
    running: dict[Any, Block] = field(default_factory=dict)  # futures of Dask
    computed: int = 0
    failure: Exception | None = None
    killers: list[Block] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.todo = deque(self.run.todo)
        self.taken_up = self.run.chunks - sum(map(self.run.size, self.todo))

    @property
    def done(self) -> int:
        return self.taken_up + self.computed

    @property
    def is_open(self) -> bool:
        """Whether there are blocks to submit; a scene that failed gets no more."""
        return bool(self.todo) and self.failure is None


def run_batch(entries: Iterable[Entry], client: "Client", watches: Sequence[Watch] = ()) -> list[Outcome]:
    """Run scenes through one queue of blocks.

    Blocks are submitted in the order of the scenes, one more than there are threads at a time; those of
    the next scene follow the last of the one before. A scene that fails stops no other.

    Parameters
    ----------
    entries : iterable of Entry
        The scenes.
    client : distributed.Client
        From `geodl.cluster.connect`.
    watches : sequence of Watch
        Are told what happens.

    Returns
    -------
    list of Outcome
        In the order of the scenes.

    Raises
    ------
    GeodlError
        If the scheduler has gone. Finished blocks are kept, as after any other end.
    """
    return _Batch(list(entries), client, watches).run()


class _Batch:
    def __init__(self, entries: list[Entry], client: "Client", watches: Sequence[Watch]) -> None:
        self.entries, self.client, self.watches = entries, client, watches
        self.outcomes: dict[int, Outcome] = {}
        self.events: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.stop = Event()
        self.next_entry = 0
        self.opening = 0
        self.ready: deque[_Lane] = deque()
        self.computing: list[_Lane] = []
        self.publishing: list[_Lane] = []
        self.alive: list[_Lane] = []  # not closed yet
        self.counted, self.limit = -_RECOUNT, 1

    def run(self) -> list[Outcome]:
        for watch in self.watches:
            watch.begin(self.entries)
        self.opener = ThreadPoolExecutor(1, thread_name_prefix="geodl-open")
        self.publisher = ThreadPoolExecutor(1, thread_name_prefix="geodl-publish")
        try:
            while len(self.outcomes) < len(self.entries):
                self._open_ahead()
                self._submit_blocks()
                try:
                    event = self.events.get(timeout=_LOOK)
                except Empty:
                    self._look()
                else:
                    event()
        finally:
            self._end()
        return [self.outcomes[number] for number in range(len(self.entries))]

    def _end(self) -> None:
        """Leave nothing behind: after the last scene, and after an error or an interrupt."""
        self.stop.set()
        self.client.cancel([future for lane in self.alive for future in lane.running])
        self.opener.shutdown(wait=True, cancel_futures=True)
        self.publisher.shutdown(wait=True, cancel_futures=True)
        while not self.events.empty():  # a scene may have been opened or published meanwhile
            event = self.events.get()
            if getattr(event, "func", None) in (self._opened, self._published):
                event()
        for lane in list(self.alive):
            self._close(lane)

    def _open_ahead(self) -> None:
        while self.next_entry < len(self.entries) and self.opening + len(self.ready) < AHEAD:
            number = self.next_entry
            self.next_entry += 1
            self.opening += 1
            future = self.opener.submit(self.entries[number].open)
            future.add_done_callback(partial(self._tell, self._opened, number))

    def _tell(self, handler: Callable[..., None], *arguments: Any) -> None:
        self.events.put(partial(handler, *arguments))

    def _opened(self, number: int, future: "ThreadFuture[SceneRun | Path]") -> None:
        self.opening -= 1
        if future.cancelled():
            return
        error = future.exception()
        if isinstance(error, Exception):
            self._finish(number, "failed", error=error)
        elif error is not None:
            raise error
        elif isinstance(found := future.result(), Path):
            self._finish(number, "skipped", product=found)
        else:
            lane = _Lane(number=number, run=found)
            self.ready.append(lane)
            self.alive.append(lane)

    def _lane(self) -> _Lane | None:
        """Return the scene whose turn it is: one that has blocks left, or the next that may start."""
        for lane in self.computing:
            if lane.is_open:
                return lane
        while self.ready and len(self.publishing) < PUBLISHING:
            lane = self.ready.popleft()
            lane.begun = time.monotonic()
            self.computing.append(lane)
            for watch in self.watches:
                watch.started(lane.number, lane.run)
            self._advanced(lane)
            if lane.is_open:
                return lane
            self._leave(lane)
        return None

    def _submit_blocks(self) -> None:
        if time.monotonic() - self.counted > _RECOUNT:
            self.counted, self.limit = time.monotonic(), sum(threads(self.client)) + 1
        while sum(len(lane.running) for lane in self.computing) < self.limit:
            lane = self._lane()
            if lane is None:
                return
            block = lane.todo.popleft()
            # Each task carries what it needs, a few kilobytes: nothing is lost with a worker.
            function, argument = lane.run.task(block)
            future = self.client.submit(function, argument, block, pure=False)
            lane.running[future] = block
            future.add_done_callback(partial(self._tell, self._computed, lane))

    def _computed(self, lane: _Lane, future: Any) -> None:
        from distributed import KilledWorker

        block = lane.running.pop(future)
        if future.status in ("cancelled", "lost"):
            raise GeodlError(
                "the Dask scheduler",
                "the connection to it is lost",
                "start it again and run the same command: what is finished is kept",
            )
        error = future.exception()
        if error is None:
            lane.computed += lane.run.size(block)
            self._advanced(lane)
        else:
            if isinstance(error, KilledWorker):
                lane.killers.append(block)
            lane.failure = lane.failure or error  # what is in flight may finish: a rerun takes it up
        if not lane.running and not lane.is_open:
            self._leave(lane)

    def _look(self) -> None:
        """Tell how far blocks are that take long: a scene may be a single one."""
        for lane in self.computing:
            self._advanced(lane, max(lane.done, lane.run.stored()))

    def _advanced(self, lane: _Lane, done: int | None = None) -> None:
        for watch in self.watches:
            watch.advanced(lane.number, lane.run, lane.done if done is None else done)

    def _leave(self, lane: _Lane) -> None:
        """All blocks of a scene are done, or the last one in flight of a scene that failed."""
        self.computing.remove(lane)
        if lane.failure is not None:
            self._close(lane)
            self._finish(lane.number, "failed", lane, error=_explained(lane))
            return
        self.publishing.append(lane)
        future = self.publisher.submit(lane.run.publish, self.stop)
        future.add_done_callback(partial(self._tell, self._published, lane))

    def _published(self, lane: _Lane, future: "ThreadFuture[Path]") -> None:
        if future.cancelled():
            return
        self.publishing.remove(lane)
        self._close(lane)
        error = future.exception()
        if isinstance(error, Exception):
            self._finish(lane.number, "failed", lane, error=error)
        elif error is not None:
            raise error
        else:
            self._finish(lane.number, "done", lane, product=future.result())

    def _close(self, lane: _Lane) -> None:
        lane.run.close()
        self.alive.remove(lane)

    def _finish(self, number: int, status: Status, lane: _Lane | None = None, **known: Any) -> None:
        if self.stop.is_set() and status == "failed":
            return  # interrupted, not failed
        entry = self.entries[number]
        if lane is not None:
            known |= {"name": lane.run.name, "pixels": lane.run.pixels, "chunks": lane.run.chunks,
                      "computed": lane.computed, "seconds": time.monotonic() - lane.begun}  # fmt: skip
        outcome = Outcome(**{"name": entry.name, "sources": entry.sources, "status": status, **known})
        self.outcomes[number] = outcome
        for watch in self.watches:
            watch.finished(number, outcome)


def _explained(lane: _Lane) -> Exception | None:
    """Name the block that killed its workers; Dask names but the task."""
    if not lane.killers:
        return lane.failure
    places = [
        f"rows {w.row} to {w.row_stop - 1}, columns {w.col} to {w.col_stop - 1}"
        for w in sorted((block.window for block in lane.killers), key=lambda w: (w.row, w.col))
    ]
    error = GeodlError(
        f"scene {lane.run.name}, block at {' or '.join(places)}",
        "it killed its worker again and again",
        "give workers more memory, or make blocks smaller with --block",
    )
    error.__cause__ = lane.failure
    return error
