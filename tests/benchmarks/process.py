"""Runs one function in a process of its own and tells the memory that it took.

python -m tests.benchmarks.process MODULE:FUNCTION ARGUMENTS_AS_JSON
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a function returned, and the peak resident memory of its process."""

    value: Any
    peak_gib: float


def call(
    function: Callable[..., Any], *, threads: int, settings: Mapping[str, str] | None = None, **arguments: Any
) -> Outcome:
    """Run a function of a module in a fresh process; arguments and result are JSON.

    `settings` are variables of its environment.
    """
    task = f"{function.__module__}:{function.__name__}"
    output = _run(["-m", __name__, task, json.dumps(arguments, default=str)], threads, settings)
    answer = json.loads(output.splitlines()[-1])
    return Outcome(value=answer["value"], peak_gib=answer["peak_gib"])


def command_seconds(*arguments: object, threads: int) -> float:
    """Run ``geodl`` with these arguments; return its wall time, the start of Python included."""
    start = time.perf_counter()
    _run(["-m", "geodl", *map(str, arguments)], threads)
    return time.perf_counter() - start


def _run(arguments: Sequence[str], threads: int, settings: Mapping[str, str] | None = None) -> str:
    # Torch reads the number of its threads here, when it is loaded.
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), **(settings or {})}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: exit status {done.returncode}\n{done.stderr[-4000:]}")
    return done.stdout


def peak_gib() -> float:
    """Peak resident memory of this process so far."""
    # Not ru_maxrss: that of a new process begins with what its parent held.
    status = Path("/proc/self/status").read_text()
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert match is not None
    return int(match[1]) / 1024**2


def _main(task: str, arguments: str) -> None:
    module, _, name = task.partition(":")
    value = getattr(import_module(module), name)(**json.loads(arguments))
    print(json.dumps({"value": value, "peak_gib": peak_gib()}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
