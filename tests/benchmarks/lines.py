"""What was measured, a line of JSON for each row: a run that was stopped goes on where its file ends."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def append_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add lines to a file of rows, all at once."""
    lines = [json.dumps(row) + "\n" for row in rows]
    with path.open("a") as file:
        file.write("".join(lines))


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read a file of rows; none where there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line]
