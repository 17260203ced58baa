"""``run.json``: what became of each scene of a folder of products, readable by machines, always whole."""

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from geodl import __version__
from geodl.batch.parts import Outcome, Watch
from geodl.errors import GeodlError, ProductError

RECORD = "run.json"
FORMAT = "geodl-run"
_PAUSE = 5.0  # seconds between two writings: of thousands of scenes the record is large


class Record(Watch):
    """Keeps ``run.json`` while a batch runs.

    Scenes of earlier runs stay in it until they are run again, so that it always tells of the whole
    folder.

    Parameters
    ----------
    out : pathlib.Path
        Folder of products.
    about : mapping
        What the run is: workflow, model, options; whatever JSON can hold.

    Raises
    ------
    ProductError
        If `out` cannot be made or written.
    """

    def __init__(self, out: Path, about: Mapping[str, Any]) -> None:
        self.out, self.about = out, dict(about)
        self.rows = {tuple(row["sources"]): row for row in read_rows(out)}
        self.begun, self.written = _now(), 0.0
        self.status = "running"
        try:
            out.mkdir(parents=True, exist_ok=True)
            self._write()
        except OSError as error:
            raise ProductError(str(out), f"cannot be written ({error})", "choose another --out") from error

    def finished(self, number: int, outcome: Outcome) -> None:  # noqa: ARG002 - scenes go by their sources
        """Enter a scene."""
        earlier = self.rows.get(outcome.sources, {})
        row = _row(outcome)
        if outcome.status == "skipped":  # what is known of the run that made it stays
            row = {**earlier, **{key: value for key, value in row.items() if value}}
        self.rows[outcome.sources] = row
        if time.monotonic() - self.written > _PAUSE:
            with suppress(OSError):  # a full disk is the trouble of each scene, and `close` tells of it
                self._write()

    def complete(self) -> None:
        """Hear that all scenes were dealt with."""
        self.status = "complete"

    def close(self) -> None:
        """Write the last word.

        Raises
        ------
        ProductError
            If it cannot be written.
        """
        if self.status == "running":
            self.status = "stopped"
        try:
            self._write()
        except OSError as error:
            raise ProductError(
                str(self.out / RECORD), f"cannot be written ({error})", "make room; products are whole"
            ) from error

    def _write(self) -> None:
        self.written = time.monotonic()
        counts = dict.fromkeys(("done", "skipped", "failed"), 0)
        for row in self.rows.values():
            counts[row["status"]] += 1
        content = {
            "format": FORMAT, "format_version": 1, "geodl": __version__, **self.about, "status": self.status,
            "started": self.begun, "written": _now(), "counts": counts, "scenes": list(self.rows.values()),
        }  # fmt: skip
        beside = self.out / f".{RECORD}.partial-{os.getpid()}"
        try:
            beside.write_text(json.dumps(content, indent=1) + "\n")
            beside.replace(self.out / RECORD)
        finally:
            beside.unlink(missing_ok=True)


def read_rows(out: Path) -> list[dict[str, Any]]:
    """Return the scenes of the record in a folder; none where it holds no record.

    Raises
    ------
    ProductError
        If its ``run.json`` is something else, which would be lost.
    """
    path = out / RECORD
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        return []
    except (OSError, ValueError) as error:
        raise _foreign(path, str(error)) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise _foreign(path, "it is another program's")
    rows = content.get("scenes", [])
    known = ("done", "skipped", "failed")
    if not all(isinstance(row, dict) and "sources" in row and row.get("status") in known for row in rows):
        raise _foreign(path, "its rows are damaged")
    return rows


def failed_sources(out: Path) -> set[tuple[str, ...]]:
    """Return the sources of the scenes that failed when they were last run."""
    return {tuple(row["sources"]) for row in read_rows(out) if row["status"] == "failed"}


def _foreign(path: Path, cause: str) -> ProductError:
    return ProductError(str(path), f"is no record of geodl ({cause})", "move it away or choose another --out")


def _row(outcome: Outcome) -> dict[str, Any]:
    error = outcome.error
    told = {"what": "", "cause": repr(error), "remedy": ""}
    if isinstance(error, GeodlError):
        told = {"what": error.what, "cause": error.cause, "remedy": error.remedy}
    return {
        "name": outcome.name,
        "sources": list(outcome.sources),
        "status": outcome.status,
        "product": outcome.product and outcome.product.name,
        "seconds": round(outcome.seconds, 2),
        "pixels": outcome.pixels,
        "chunks": outcome.chunks,
        "computed": outcome.computed,
        "error": told if error is not None else None,
        "finished": _now(),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
