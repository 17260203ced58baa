"""A command that runs while QGIS goes on: its lines as they come, its progress, its end on request."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Any

PATIENCE = 15.0  # seconds that a cancelled command has to end tidily
PAUSE = 0.2  # seconds between two looks at whether it was cancelled
TAIL = 20  # last lines that are kept, for the message of a failure
_PROGRESS = re.compile(r"^progress (\d+)/(\d+)\b")


class RunError(Exception):
    """The command ended with an error, or was cancelled."""


def progress_of(line):
    """Return the percentage that a line of output tells, or None.

    >>> progress_of("progress 12/48 valley"), progress_of("done")
    (25.0, None)
    """
    found = _PROGRESS.match(line.strip())
    if found is None or int(found[2]) == 0:
        return None
    return min(100.0, 100.0 * int(found[1]) / int(found[2]))


def run(command, say, cancelled, variables):
    """Run a command and return its lines, once it has ended well.

    Parameters
    ----------
    command : list of str
        Program and arguments; no shell sees them.
    say : callable
        Called with each line, in the thread of the caller.
    cancelled : callable
        Whether to end; asked several times a second. The command and all that it has started then get
        `PATIENCE` seconds to end before they are killed.
    variables : dict
        Environment variables of the command.

    Raises
    ------
    RunError
        It did not start, ended with a status other than 0, or was cancelled.
    """
    try:
        process = _start(command, variables)
    except OSError as error:
        raise RunError(f"{command[0]} does not start: {error}") from error
    lines: queue.Queue = queue.Queue()
    reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
    reader.start()
    kept = []
    try:
        while True:
            if cancelled():
                raise RunError("cancelled: what is finished is kept, the same run goes on from there")
            try:
                line = lines.get(timeout=PAUSE)
            except queue.Empty:
                continue
            if line is None:
                break
            kept.append(line)
            say(line)
        status = process.wait()
    finally:
        _end(process)
    if status:
        told = [line for line in kept[-TAIL:] if line.startswith("error:")] or kept[-3:]
        raise RunError("\n".join(told) or f"{command[0]} ended with status {status}")
    return kept


def _start(command, variables):
    group: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return subprocess.Popen(
        command,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        **group,
    )


def _read(stream, lines):
    with stream:
        for line in stream:
            lines.put(line.rstrip("\n"))
    lines.put(None)


def _end(process):
    """End the process, and what it has started and left behind."""
    if sys.platform == "win32":
        if process.poll() is None:
            subprocess.run(
                ["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False
            )
        process.wait()
        return
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process, number):
    with suppress(ProcessLookupError, PermissionError):  # nobody of the group is left
        os.killpg(process.pid, number)  # the process leads its group
