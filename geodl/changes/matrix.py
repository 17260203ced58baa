"""The from-to matrix as files: a table for people, and JSON for programs."""

import csv
import io
import json
from typing import Any

import numpy as np

from geodl.changes.transitions import Transitions
from geodl.publish import Product
from geodl.publish.files import writing

FILE = "transitions"
_HECTARE = 1e4
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets compute when a cell begins with it


def write_matrix(product: Product, found: Transitions, *, on_earth: bool) -> None:
    """Write ``transitions.csv``, the areas in hectares, and ``transitions.json``, pixels and codes, too.

    Raises
    ------
    ProductError
        A file cannot be written.
    """
    for suffix, text in (("csv", _table(found, on_earth)), ("json", _document(found, on_earth))):
        path = product.path(f"{FILE}.{suffix}")
        with writing(path):
            path.write_bytes(text.encode())


def rows_of(found: Transitions, *, on_earth: bool) -> list[list[str]]:
    """Return the matrix as text: a head, a row for each class that occurs before, and the sums.

    Rows and columns of classes that occur on neither side are left out.
    """
    sizes, digits = sizes_of(found, on_earth=on_earth), 2 if on_earth else 0
    kept = np.flatnonzero(found.pixels.sum(axis=0) + found.pixels.sum(axis=1))
    names = [found.classes[place].name for place in kept]
    inner = sizes[np.ix_(kept, kept)]
    whole = np.vstack([np.column_stack([inner, inner.sum(axis=1)]), [*inner.sum(axis=0), inner.sum()]])
    head = [f"{'ha' if on_earth else 'pixels'}: from \\ to", *names, "all"]
    body = [
        [name, *(f"{size:.{digits}f}" for size in row)]
        for name, row in zip([*names, "all"], whole, strict=True)
    ]
    return [head, *body]


def sizes_of(found: Transitions, *, on_earth: bool) -> np.ndarray:
    """Return the matrix in hectares, or in pixels where the maps have no place on the earth."""
    return found.areas / _HECTARE if on_earth else found.pixels.astype(np.float64)


def _table(found: Transitions, on_earth: bool) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows_of(found, on_earth=on_earth):
        writer.writerow(f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in row)
    return text.getvalue()


def _document(found: Transitions, on_earth: bool) -> str:
    unit = "area_ha" if on_earth else "area_px"
    scale = _HECTARE if on_earth else 1.0
    document: dict[str, Any] = {
        "unit": "ha" if on_earth else "pixels",
        "classes": [c.name for c in found.classes],
        "matrix": sizes_of(found, on_earth=on_earth).round(6).tolist(),
        "pixels": found.pixels.tolist(),
        "changes": [
            {
                "code": change.code,
                "from": change.before,
                "to": change.after,
                "pixels": change.pixels,
                unit: round(change.area / scale, 6),
            }
            for change in found.changes
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
