"""From a run to ``report.html``: a page without scripts that needs nothing but itself."""

import os
from contextlib import suppress
from pathlib import Path

from geodl.errors import ProductError
from geodl.look.templates import templates
from geodl.training.report.content import Run, content
from geodl.words import duration

REPORT_FILE = "report.html"


def write_report(path: Path, run: Run) -> None:
    """Write the page, complete or not at all.

    Raises
    ------
    ProductError
        If the file cannot be written.
    """
    put(path, render(run).encode())


def put(path: Path, data: bytes) -> None:
    """Write a file of the model folder beside itself, flush it and rename it.

    Raises
    ------
    ProductError
        If the file cannot be written.
    """
    beside = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        cure = "the model is kept; make room, or let the folder be written to, and train again"
        raise ProductError(str(path), f"cannot be written ({error.strerror})", cure) from error
    finally:
        with suppress(OSError):
            beside.unlink()


def render(run: Run) -> str:
    """Return the page as HTML. Every text that comes from a recipe or a scene is escaped."""
    home = templates("geodl.training.report")
    home.filters.update(duration=duration)
    told = content(run)
    return home.get_template("report.html").render(
        **told, scripts="'none'", version=told["versions"]["geodl"]
    )
