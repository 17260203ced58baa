"""What the machine has left: processors, memory, disk."""

import os
import shutil
import tempfile
from pathlib import Path

from geodl.doctor.finding import Check, Finding

LITTLE_MEMORY = 2e9  # bytes; a run with the bundled models takes about one gigabyte
LITTLE_DISK = 5e9
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def _threads() -> Finding:
    able = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS")
    found = f"{able} processor{'s' if able > 1 else ''}" + (f", OMP_NUM_THREADS={asked}" if asked else "")
    if asked is None:
        return Finding(name="threads", state="ok", found=found)
    if not asked.isdigit() or not 1 <= int(asked) <= able:
        cure = f"unset OMP_NUM_THREADS, or set it to a number from 1 to {able}"
        return Finding(name="threads", state="warn", found=found, cure=cure)
    if int(asked) < able:
        cure = "unset OMP_NUM_THREADS, unless other programs need the rest"
        return Finding(name="threads", state="warn", found=f"{found}: networks use no more", cure=cure)
    return Finding(name="threads", state="ok", found=found)


def _memory() -> Finding:
    import psutil

    memory = psutil.virtual_memory()
    limits = [limit for limit in map(_limit, _LIMITS) if limit is not None and limit < memory.total]
    whole = min([memory.total, *limits])
    free = min(memory.available, whole)
    found = f"{free / 1e9:.1f} of {whole / 1e9:.1f} GB free"
    if free < LITTLE_MEMORY:
        cure = "close other programs, or keep runs small with --memory 1GB"
        return Finding(name="memory", state="warn", found=found, cure=cure)
    return Finding(name="memory", state="ok", found=found)


def _limit(path: str) -> int | None:
    """Return the bytes that a container may take."""
    try:
        text = Path(path).read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _disk() -> list[Finding]:
    places = {"disk here": Path.cwd(), "disk for scratch": Path(tempfile.gettempdir())}
    return [_room(name, folder) for name, folder in places.items()]


def _room(name: str, folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.1f} GB free in {folder}"
    if not os.access(folder, os.W_OK):
        cure = "give --out a folder that you may write to"
        return Finding(name=name, state="warn", found=f"{found}, which cannot be written", cure=cure)
    if free < LITTLE_DISK:
        return Finding(name=name, state="warn", found=found, cure="make room, or --out on another disk")
    return Finding(name=name, state="ok", found=found)


MACHINE: dict[str, Check] = {"threads": _threads, "memory": _memory, "disk": _disk}
