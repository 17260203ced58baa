"""The model card: what a person should know before using a model, in Markdown.

After Mitchell et al. 2019, https://arxiv.org/abs/1810.03993. Everything in it comes from the `ModelSpec`;
what the spec does not say, the card names as unknown, so that nobody takes silence for a good sign.
"""

import re
from collections.abc import Sequence

from geodl.models.spec import ModelSpec
from geodl.task import TASKS

CARD_FILE = "README.md"
_UNKNOWN = "not stated"
_UNITS = {
    "reflectance": "reflectance, 0 to 1",
    "digital_number": "digital numbers as in the file",
    "z_score": "standard scores within each scene",
}


def model_card(spec: ModelSpec) -> str:
    """Return the text of the model card.

    Parameters
    ----------
    spec : ModelSpec
        What is known about the model.

    Returns
    -------
    str
        Markdown with a final newline.

    Examples
    --------
    >>> from geodl.models.bundle import load_model
    >>> print(model_card(load_model("landcover-s2").spec).splitlines()[0])
    # Land cover, Sentinel-2, generated landscapes
    """
    parts = [
        f"# {_plain(spec.title or spec.name)}",
        _purpose(spec),
        "## What it needs",
        _needs(spec),
        "## What it gives",
        _classes(spec),
        "## How good it is",
        _accuracy(spec),
        "## Limits",
        _limits(spec),
        "## Licence",
        f"Weights: {_plain(spec.licence) or _UNKNOWN}.\n"
        f"Training data: {_plain(spec.training.licence) or _UNKNOWN}.",
        "## How to use it",
        f"```\ngeodl models check FOLDER\ngeodl predict SCENE.tif --model FOLDER --out map\n```\n\n"
        f"FOLDER is the folder of this file, SCENE.tif an image with the bands {', '.join(spec.band_names)}.",
        "## How to cite it",
        _citation(spec),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _purpose(spec: ModelSpec) -> str:
    data = "; ".join(_plain(name) for name in spec.training.data) or _UNKNOWN
    note = f"\n\n{_plain(spec.training.note)}" if spec.training.note else ""
    return (
        f"Model `{spec.name}` for the task {TASKS[spec.task].title.lower()}: a class for every pixel of an "
        f"image. Network: `{spec.architecture}`. Trained on: {data}"
        f"{f' ({spec.training.date})' if spec.training.date else ''}.{note}"
    )


def _needs(spec: ModelSpec) -> str:
    sizes = spec.pixel_size_range
    accepted = f", accepted from {sizes[0]:g} to {sizes[1]:g} m" if sizes else ""
    pixel = f"{spec.pixel_size:g} m{accepted}" if spec.pixel_size else _UNKNOWN
    kind = f" ({spec.dtype})" if spec.dtype else ""
    bands = _table(
        ("band", "mean", "deviation"), [(b.name, f"{b.mean:.6g}", f"{b.std:.6g}") for b in spec.bands]
    )
    return f"Units: {_UNITS[spec.units]}{kind}. Pixel size: {pixel}.\n\n{bands}"


def _classes(spec: ModelSpec) -> str:
    return _table(
        ("value", "class", "colour"), [(str(c.value), _plain(c.name), c.color) for c in spec.classes]
    )


def _accuracy(spec: ModelSpec) -> str:
    found = spec.accuracy
    if found.overall is None and found.mean_iou is None:
        return "Not measured. Compare a map with labels of your own (`geodl assess`) before you rely on it."
    shares = [(c.name, found.iou.get(c.name)) for c in spec.classes]
    rows = [(_plain(name), _percent(share)) for name, share in shares if share is not None]
    rows += [("mean IoU", _percent(found.mean_iou)), ("overall accuracy", _percent(found.overall))]
    split = _plain(found.split) or f"split {_UNKNOWN}"
    where = f"{_plain(found.reference) or f'labels {_UNKNOWN}'}; {split}; {found.pixels:,} pixels"
    return f"{_table(('class', 'IoU, %'), rows)}\n\nMeasured on: {where}."


def _limits(spec: ModelSpec) -> str:
    seams = (
        f"A pixel of the map depends on {spec.halo} pixels around its tile's core at most: no seams."
        if spec.stitch == "crop"
        else "The network looks at whole tiles, which are blended: their size has a say in the result."
    )
    calibrated = (
        "Probabilities are not calibrated: they say which pixels are surer, not how often they are right."
        if spec.temperature == 1
        else f"Probabilities are calibrated with temperature {spec.temperature:g}."
    )
    new = (
        "`geodl predict --products map,novelty` tells where a scene is unlike what it has seen."
        if spec.familiar_sha256
        else "It cannot tell what it has not seen."
    )
    limits = [
        "It knows the classes above and nothing else: every pixel gets one of them.",
        "Landscapes, seasons and sensors that it was not trained on may be mapped wrongly, with confidence.",
        new,
        calibrated,
        seams,
    ]
    return "\n".join(f"- {limit}" for limit in limits)


def _citation(spec: ModelSpec) -> str:
    date = f", {spec.training.date}" if spec.training.date else ""
    return (
        f"{_plain(spec.title or spec.name)} (model `{spec.name}`{date}), weights sha256 "
        f"`{spec.weights_sha256[:16]}`, made with geodl. Name its training data as their licences ask."
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _percent(share: float | None) -> str:
    return _UNKNOWN if share is None else f"{100 * share:.1f}"


def _plain(text: str) -> str:
    """Escape what Markdown or HTML would take for a sign: names come from files."""
    one_line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_\[\]|#!])", r"\\\1", one_line)
