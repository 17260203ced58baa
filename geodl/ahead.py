"""Work that goes on while its results are used: the next one is made while the last is consumed."""

import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from queue import Full, Queue
from typing import TypeVar

T = TypeVar("T")

_END = object()
_POLL = 0.2  # seconds after which a producer looks whether anyone still listens


@contextmanager
def ahead(items: Iterable[T], depth: int = 1) -> Iterator[Iterator[T]]:
    """Iterate over `items` in a thread of its own, up to `depth` of them in advance.

    On leaving, the thread is stopped and joined; an exception in it is raised where its item is asked for.

    >>> with ahead(range(3)) as numbers:
    ...     list(numbers)
    [0, 1, 2]
    """
    queue: Queue = Queue(depth)
    left = threading.Event()

    def offer(item: object) -> bool:
        while not left.is_set():
            try:
                queue.put(item, timeout=_POLL)
            except Full:
                continue
            return True
        return False

    def produce() -> None:
        try:
            for item in items:
                if not offer((item, None)):
                    break
            else:
                offer(_END)
        except BaseException as error:  # noqa: BLE001 - raised again where the item is asked for
            offer((None, error))
        finally:
            if isinstance(items, Generator):
                items.close()

    thread = threading.Thread(target=produce, name="geodl-ahead", daemon=True)
    thread.start()
    try:
        yield _received(queue)
    finally:
        left.set()
        thread.join()


def _received(queue: Queue) -> Iterator:
    while (item := queue.get()) is not _END:
        value, error = item
        if error is not None:
            raise error
        yield value


def holding(lock: threading.Lock, items: Iterator[T]) -> Iterator[T]:
    """Iterate over `items`, holding a lock from the first one on until the end."""
    for first in items:
        with lock:
            yield first
            yield from items
