"""From exact outlines to footprints side by side, in three steps of which each knows its neighbours.

Buildings learn the directions of their neighbours, then their shapes; shapes that cover other buildings are
given up; and what still overlaps is parted.
"""

from collections.abc import Iterator

import numpy as np

from geodl.vector.buildings.directions import NEIGHBOURHOOD, ROUNDS, Directions, shared_directions
from geodl.vector.buildings.neighbours import Table, in_context, take
from geodl.vector.buildings.settle import respectful, settle, yielding
from geodl.vector.buildings.shapes import agreement, farthest, generalised, regular_shapes, simplified
from geodl.vector.buildings.wishes import Wishes

CLOSER = (1.0, 0.6)
"""Tolerances, in multiples of the usual one, that outlines are simplified with whose shapes would cover other
buildings; the last one still takes the steps out of slanting walls."""


def footprints(known: Iterator[tuple[Table, int]], wishes: Wishes, pixel: float) -> Iterator[Table]:
    """Draw buildings.

    Parameters
    ----------
    known : iterator of (Table, int)
        As `geodl.vector.buildings.exact.exact_outlines` gives them.
    wishes : Wishes
    pixel : float
        Size of the pixels in metres.

    Yields
    ------
    Table
        With the columns ``shape`` (Polygon in pixel coordinates; valid, none overlaps another), ``regular``
        and ``round`` (bool) and ``iou`` (with the exact outline) besides those of `known`.
    """
    reach = int(np.ceil(farthest(pixel) / pixel)) + 1
    drawn = _drawn(known, wishes, NEIGHBOURHOOD / pixel)
    for table, ready, _ in in_context(_chosen(drawn, wishes, reach), reach):
        settled = settle(table["polygon"], table["shape"])
        chosen = take(table, ready)
        shape, changed = settled.polygon[ready], settled.changed[ready]
        regular, iou = chosen["regular"] & settled.kept[ready], chosen["iou"].copy()
        iou[changed] = agreement(chosen["polygon"][changed], shape[changed])
        yield {**chosen, "shape": shape, "regular": regular, "round": chosen["round"] & regular, "iou": iou}


def _drawn(known: Iterator[tuple[Table, int]], wishes: Wishes, radius: float) -> Iterator[tuple[Table, int]]:
    """Add the shapes of buildings that know their neighbours' directions."""
    for table, ready, frontier in in_context(known, int(np.ceil(ROUNDS * radius)) + 1):
        angle = shared_directions(
            Directions(angle=table["angle"], precision=table["precision"]), table["middle"], radius
        )
        chosen = take(table, ready)
        chosen["angle"] = angle[ready]
        yield {**chosen, **_shapes(chosen, wishes)}, frontier


def _shapes(table: Table, wishes: Wishes) -> Table:
    outline = table["polygon"]
    nothing = np.zeros(len(outline), bool)
    if wishes.regularize == "off" or not len(outline):
        shape = simplified(outline, wishes.simplify)
        return {"shape": shape, "regular": nothing, "round": nothing, "iou": agreement(outline, shape)}
    found = regular_shapes(
        outline,
        table["matrix"],
        table["angle"],
        tolerance=wishes.simplify,
        strict=wishes.regularize == "strict",
    )
    shape, iou, plain = found.polygon, found.agreement, ~found.regular
    shape[plain] = generalised(outline[plain], wishes.simplify)
    iou[plain] = agreement(outline[plain], shape[plain])
    return {"shape": shape, "regular": found.regular, "round": found.round, "iou": iou}


def _chosen(drawn: Iterator[tuple[Table, int]], wishes: Wishes, reach: int) -> Iterator[tuple[Table, int]]:
    """Give up shapes that cover other buildings, for simplified outlines that leave them their pixels."""
    for table, ready, frontier in in_context(drawn, reach):
        outline, shape = table["polygon"], table["shape"].copy()
        good = respectful(outline, shape)
        bad = np.flatnonzero(~good)
        for closer in CLOSER:
            shape[bad] = simplified(outline[bad], closer * wishes.simplify)
            bad = bad[~respectful(outline, shape, bad)]
        shape = yielding(outline, shape, bad)
        iou = np.where(good, table["iou"], np.nan)
        iou[~good] = agreement(outline[~good], shape[~good])
        changed = {"shape": shape, "iou": iou, "regular": table["regular"] & good}
        yield take({**table, **changed}, ready), frontier
