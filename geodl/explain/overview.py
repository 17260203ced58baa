"""An explanation as one picture: scene, map, attributions and Grad-CAM."""

from pathlib import Path
from textwrap import fill, shorten
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter

from geodl.explain.result import Explanation
from geodl.publish.files import writing
from geodl.tiles import Window

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DPI = 130
FOR, AGAINST = (178, 24, 43), (33, 102, 172)  # red and blue that colour-blind readers tell apart
_HEAT = (235, 80, 20)
_SMOOTHING = 1.0  # pixels; single pixels of opposite signs cancel, as they do in the network
_WITHIN = 0.9  # share of the attributions that the close view holds
_CLOSEST = 24  # pixels; least side of the close view
_TALLEST = 1.6  # of the panels, as a multiple of their width
WORDS: dict[str, Any] = {"parse_math": False}  # names come from files: a dollar sign is a dollar sign


def draw_overview(found: Explanation, path: Path) -> None:
    """Draw scene, map, attributions and Grad-CAM side by side, with the place marked: PNG.

    Raises
    ------
    ProductError
        The file cannot be written.
    """
    from matplotlib.figure import Figure  # without pyplot: no window system, no global state

    tall = min(_TALLEST, max(0.5, found.view.height / found.view.width))
    notes = [fill(f"Note: {note}.", 155) for note in found.notes]
    top, side, between, bottom = 1.45, 5.3, 1.35, 1.0 + 0.2 * len("\n".join(notes).splitlines())
    width, height = 2 * side + 0.9, top + 2 * side * tall + between + bottom
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    grid = {"left": 0.3 / width, "right": 1 - 0.3 / width, "top": 1 - top / height, "bottom": bottom / height,
            "wspace": 0.3 / side, "hspace": between / (side * tall)}  # fmt: skip
    panels = figure.subplots(2, 2, gridspec_kw=grid)
    title = headline(found)
    figure.text(
        0.3 / width, 1 - 0.5 / height, title, fontsize=min(18, 1330 / len(title)), weight="bold", **WORDS
    )
    figure.text(
        0.3 / width, 1 - 0.72 / height, _subtitle(found), fontsize=11, color="0.25", va="top", **WORDS
    )
    near = _close_view(found)
    images = (found.image, _map(found), _cut(_speaking(found), near, found), _active(found))
    windows = (found.view, found.view, near, found.view)
    captions = _captions(found, near)
    for panel, image, window, (title, caption) in zip(panels.flat, images, windows, captions, strict=True):
        _show(panel, image, title, caption)
        _mark(panel, found.target, window)
    if near != found.view:
        _frame(panels[0, 0], near, found.view, ((2.5, "black"), (1.2, "white")), "--")
    if _reached(found) != found.view:
        _frame(panels[1, 1], _reached(found), found.view, ((1.5, "black"),), ":")
    _legend(panels[0, 1], found)
    figure.text(0.3 / width, 0.15 / height, "\n".join(notes), fontsize=10, color="0.25", va="bottom", **WORDS)
    with writing(path):
        figure.savefig(path, format="png")


def headline(found: Explanation) -> str:
    """Ask the question, and say how sure the model is."""
    place = "this place" if found.pixels == 1 else f"these {found.pixels} pixels"
    return f"Why {found.question}?  The model gives {place} a probability of {100 * found.probability:.0f} %"


def _subtitle(found: Explanation) -> str:
    ranked = sorted(found.probabilities.items(), key=lambda item: -item[1])
    others = [
        f"{name} {100 * value:.0f} %" for name, value in ranked if name != found.class_name and value >= 0.005
    ]
    lines = [f"{found.scene}, {found.where}, model {found.model}"]
    if others:
        lines.append(f"Other classes: {', '.join(others[:4])}")
    return "\n".join(shorten(line, 128, placeholder=" \N{HORIZONTAL ELLIPSIS}") for line in lines)


def _captions(found: Explanation, near: Window) -> tuple[tuple[str, str], ...]:
    if len(found.image_bands) == 1:
        colours = f"Band {found.image_bands[0]}"
    elif found.image_bands == ("red", "green", "blue"):
        colours = "Natural colours"
    else:
        colours = f"Red, green and blue show {', '.join(found.image_bands)}"
    frame = "" if near == found.view else " Dashed: the close view below."
    mark = "mark" if (found.target.height, found.target.width) == (1, 1) else "frame"
    beyond = "" if _reached(found) == found.view else f" What lies beyond the dots cannot act on the {mark}."
    cam = (
        f"Orange: coarse patterns that raise the score of {found.class_name}.{beyond} "
        f"(Grad-CAM, layer {found.grad_cam_layer})"
        if found.grad_cam is not None
        else "This network has no layer that Grad-CAM could show."
    )
    return (
        ("The scene", f"{colours}, {found.view.width} x {found.view.height} pixels.{frame}"),
        ("The map", "What the model makes of it."),
        (
            "Which pixels decide" if near == found.view else "Which pixels decide, from close by",
            f"Red pixels speak for {found.class_name}, blue ones against it, grey ones do not matter. "
            "(Integrated gradients, bands added up, smoothed by a pixel)",
        ),
        ("Which patterns count", cam),
    )


def _show(panel: "Axes", image: np.ndarray, title: str, caption: str) -> None:
    panel.imshow(image, interpolation="nearest", aspect="equal")
    panel.set_xticks([])
    panel.set_yticks([])
    panel.set_title(title, fontsize=13, weight="bold", loc="left")
    panel.annotate(
        fill(caption, 72), (0, 0), (0, -7), xycoords="axes fraction", textcoords="offset points", va="top",
        fontsize=10.5, linespacing=1.35, **WORDS,
    )  # fmt: skip


def _mark(panel: "Axes", target: Window, window: Window) -> None:
    """Mark a pixel by a cross that leaves it free, a larger target by its outline."""
    inside = target.relative_to(window)
    if (target.height, target.width) != (1, 1):
        _frame(panel, target, window, ((4.0, "white"), (1.8, "black")), "-")
        return
    x, y = float(inside.col), float(inside.row)
    near, far = (max(window.height, window.width) * share for share in (0.02, 0.055))
    lines = [([x + s * near, x + s * far], [y, y]) for s in (-1, 1)]
    lines += [([x, x], [y + s * near, y + s * far]) for s in (-1, 1)]
    for width, color in ((4.5, "white"), (1.8, "black")):
        for line in lines:
            panel.plot(*line, color=color, lw=width, solid_capstyle="butt", scalex=False, scaley=False)


def _frame(
    panel: "Axes", part: Window, window: Window, strokes: tuple[tuple[float, str], ...], style: str
) -> None:
    from matplotlib.patches import Rectangle

    inside = part.relative_to(window)
    for width, color in strokes:
        place = (inside.col - 0.5, inside.row - 0.5)
        panel.add_patch(
            Rectangle(place, inside.width, inside.height, fill=False, ec=color, lw=width, ls=style)
        )


def _legend(panel: "Axes", found: Explanation) -> None:
    from matplotlib.patches import Patch

    there = set(np.unique(found.classes.values).tolist())
    shown = [item for item in found.legend if item.value in there][:9]
    patches = [Patch(facecolor=item.color, edgecolor="0.4", label=item.name[:24]) for item in shown]
    legend = panel.legend(
        handles=patches, loc="upper left", bbox_to_anchor=(-0.015, -0.05), ncols=3, fontsize=10.5,
        frameon=False, handlelength=1.2, columnspacing=1.5,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)


def _close_view(found: Explanation) -> Window:
    """Return the smallest window of the view's shape around the target that holds most attributions."""
    view, target = found.view, found.target
    felt = np.abs(np.nan_to_num(found.attributions.values)).sum(axis=0)
    total = felt.sum()
    middle = target.row + target.height // 2, target.col + target.width // 2
    smallest = max(_CLOSEST, *(2 * (side + 2) for side in (target.height, target.width)))
    for side in range(smallest, max(view.height, view.width), 8):
        near = Window(middle[0] - side // 2, middle[1] - side // 2, side, side).intersect(view)
        if felt[near.relative_to(view).slices].sum() >= _WITHIN * total:
            return near
    return view


def _cut(image: np.ndarray, window: Window, found: Explanation) -> np.ndarray:
    return image[window.relative_to(found.view).slices]


def _map(found: Explanation) -> np.ndarray:
    values = found.classes.values
    image = np.full((*values.shape, 3), 30, dtype=np.uint8)
    for item in found.legend:
        image[values == item.value] = item.rgb
    return image


def _speaking(found: Explanation) -> np.ndarray:
    """Sum of the bands' attributions: red where for, blue where against, over the faint grey scene."""
    total = gaussian_filter(np.nan_to_num(found.attributions.values).sum(axis=0), _SMOOTHING)
    felt = np.abs(total)
    # Few pixels weigh far more than the rest: the root lets the rest show.
    strength = np.sqrt((felt / (_high(felt) or 1)).clip(0, 1))
    color = np.where((total > 0)[..., None], np.array(FOR), np.array(AGAINST))
    return _over_grey(found, color, strength)


def _active(found: Explanation) -> np.ndarray:
    if found.grad_cam is None:
        return _grey(found).astype(np.uint8)
    heat = np.nan_to_num(found.grad_cam.values)
    strength = np.zeros_like(heat)
    inside = _reached(found).relative_to(found.view).slices
    strength[inside] = (heat[inside] / (_high(heat) or 1)).clip(0, 1)
    return _over_grey(found, np.array(_HEAT), 0.85 * strength)


def _reached(found: Explanation) -> Window:
    """Return what the target depends on, of the view."""
    return found.reach.intersect(found.view)


def _high(values: np.ndarray) -> float:
    """Return a value that few of those that matter exceed."""
    some = values[values > 1e-3 * values.max()] if values.size else values
    return float(np.percentile(some, 99.5)) if some.size else 0.0


def _over_grey(found: Explanation, color: np.ndarray, strength: np.ndarray) -> np.ndarray:
    weight = strength[..., None]
    return (_grey(found) * (1 - weight) + color * weight).astype(np.uint8)


def _grey(found: Explanation) -> np.ndarray:
    """Return the scene, light and without colours: float32, (height, width, 3)."""
    grey = found.image.mean(axis=-1, dtype=np.float32, keepdims=True)
    return np.repeat(140 + 0.43 * grey, 3, axis=-1)
