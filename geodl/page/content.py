"""What a page says, as its template takes it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from geodl.page.measure import NODATA, Measured
from geodl.page.outlines import Outlines
from geodl.page.picture import Picture
from geodl.page.subject import Subject
from geodl.task import NO_AFTER, NO_BEFORE

BINS = 20  # of the histogram, 5 percent each


def content(subject: Subject, measured: Measured, pictures: list[Picture]) -> dict[str, Any]:
    """Return all that the template shows but the map's own data and the files."""
    spec, provenance = subject.spec, subject.provenance
    rows = class_rows(subject, measured)
    return {
        "title": str(subject.scene.name),
        "task": subject.task.title,
        "spec": spec,
        "height": subject.shape[0],
        "width": subject.shape[1],
        "rows": rows,
        "widest": max((row["share"] or 0 for row in rows), default=0) or 1,
        "measured_areas": measured.areas is not None,
        "gaps": gap_rows(subject, measured),
        "figures": _figures(subject, measured),
        "bars": histogram(measured.percents),
        "pictures": pictures,
        "two_dates": len(pictures) == 2,
        "provenance": provenance,
        "reading": _reading(provenance["scene"]),
        "options": {key: _words(value) for key, value in provenance["options"].items()},
        "citation": citation(subject),
    }


def class_rows(subject: Subject, measured: Measured) -> list[dict[str, Any]]:
    """Area of each class: hectares, and its share of what is mapped."""
    classes = [c for c in subject.legend if c.value not in (NO_BEFORE, NO_AFTER)]
    size = measured.pixels if measured.areas is None else measured.areas
    whole = sum(size[c.value] for c in classes)
    certainty = measured.certainty
    return [
        {
            "name": c.name,
            "color": c.color,
            "pixels": int(measured.pixels[c.value]),
            "hectares": None if measured.areas is None else hectares(measured.areas[c.value]),
            "share": float(size[c.value] / whole) if whole else None,
            "certainty": None if certainty is None else float(certainty[c.value]),
            "accuracy": subject.spec.accuracy.iou.get(c.name),
        }
        for c in classes
    ]


def gap_rows(subject: Subject, measured: Measured) -> list[tuple[str, int]]:
    """Pixels without a class, by reason."""
    rows = [
        (c.name, int(measured.pixels[c.value])) for c in subject.legend if c.value in (NO_BEFORE, NO_AFTER)
    ]
    rows.append(("no data", int(measured.pixels[NODATA])))
    return [row for row in rows if row[1]]


def hectares(square_metres: float) -> str:
    """Hectares with as many digits as a reader can use.

    >>> hectares(12_345_678), hectares(51_234), hectares(26), hectares(0)
    ('1,235', '5.12', '0.0026', '0')
    """
    value = square_metres / 1e4
    if value >= 1000:
        return f"{value:,.0f}"
    if value == 0:
        return "0"
    digits = max(0, 2 - int(np.floor(np.log10(value)))) if value >= 0.1 else 4
    return f"{value:.{min(digits, 4)}f}"


def histogram(percents: np.ndarray | None) -> list[dict[str, Any]] | None:
    """Shares of the pixels by confidence, in `BINS` steps; None where it is not known."""
    if percents is None or not percents.sum():
        return None
    step = 100 // BINS
    index = np.minimum(np.arange(101) // step, BINS - 1)  # a hundred percent belong to the last step
    shares = np.bincount(index, weights=percents, minlength=BINS) / percents.sum()
    return [
        {"from": step * number, "to": step * (number + 1), "share": float(share),
         "height": float(share / shares.max())}
        for number, share in enumerate(shares)
    ]  # fmt: skip


def _figures(subject: Subject, measured: Measured) -> list[tuple[str, str]]:
    mapped = int(measured.pixels[:NO_BEFORE].sum())
    found = [("pixels mapped", f"{mapped:,}")]
    if measured.areas is not None:
        found.insert(0, ("area mapped", f"{hectares(measured.areas[:NO_BEFORE].sum())} ha"))
    if measured.percents is not None and measured.percents.sum():
        mean = (measured.percents * np.arange(101)).sum() / measured.percents.sum()
        found.append(("mean confidence", f"{mean:.0f} %"))
    rows = [row for row in class_rows(subject, measured) if row["pixels"]]
    if rows:
        found.append(("classes found", f"{len(rows)} of {len(subject.spec.classes)}"))
    return found


def citation(subject: Subject) -> str:
    """One sentence that names what a map was made from and by what."""
    given, spec = subject.provenance, subject.spec
    title = f"{subject.task.title}: map of {subject.scene.name}"
    sources = ", ".join(str(row["name"]) for row in given["inputs"])
    called = f"{spec.title} ({spec.name})" if spec.title else spec.name
    made = f"{title}. Made from {sources} with geodl {given['geodl']}"
    if "model" not in given:
        return f"{made} by the method {called}."
    return f"{made} and the model {called}, SHA-256 {given['model']['hash'][:12]}."


def _reading(scene: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How the scene was read."""
    keys = ("units", "scale", "offset", "nodata", "sensor", "resampling")
    known = [(key.capitalize(), _words(scene[key])) for key in keys if scene.get(key) is not None]
    rows = [("Bands", ", ".join(scene["bands"])), *known]
    for date in scene.get("dates", ()):
        told = [date.get("date") or "date unknown", ", ".join(date.get("source", ()))]
        rows.append((f"Date: {date['label']}", ", ".join(part for part in told if part)))
    return rows


def _words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return (
            " × ".join(map(str, value))
            if all(isinstance(v, int) for v in value)
            else ", ".join(map(str, value))
        )
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def limits(outlines: list[Outlines]) -> list[str]:
    """Say where not every feature is drawn."""
    return [
        f"Of the {one.total:,} features of the layer {one.name}, the {one.shown:,} largest are drawn."
        for one in outlines
        if one.shown < one.total
    ]
