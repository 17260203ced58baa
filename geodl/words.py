"""Numbers as people read them, and progress as other programs read it."""

import os


def progress_line(done: int, total: int, name: str) -> str | None:
    """Return ``progress 12/48 valley`` if a program reads along (``GEODL_PROGRESS=lines``), else None."""
    return f"progress {done}/{total} {name}" if os.environ.get("GEODL_PROGRESS") == "lines" else None


def duration(seconds: float) -> str:
    """Give a duration in two units.

    >>> duration(42.1), duration(125), duration(7300)
    ('42 s', '2 min 5 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return (
        f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"
    )
