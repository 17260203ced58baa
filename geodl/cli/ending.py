"""How a long command ends before its time."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

TERMINATED = 128 + signal.SIGTERM  # as shells report it


class _Terminated(BaseException):
    """SIGTERM; not an Exception, so that nothing on the way takes it for a failure."""


@contextmanager
def tidy_end() -> Iterator[None]:
    """Have SIGTERM unwind the command as Ctrl-C does: unfinished folders go, finished blocks stay."""
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers belong to the main thread
        return

    def unwind(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of handlers
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: the second would stop the tidying
        raise _Terminated

    before = signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    except _Terminated:
        message = "stopped: what is finished is kept, and the same command goes on from there"
        click.secho(message, err=True, fg="yellow")
        sys.exit(TERMINATED)
    finally:
        signal.signal(signal.SIGTERM, before)
