"""The recipe as a file for people: filled in, with the reasons beside the figures."""

import json
import re
from collections.abc import Iterator

from geodl.task import TASKS
from geodl.training.draft.choose import ARCHITECTURE, PARAMETERS, Sizes
from geodl.training.draft.classes import FoundClass, FoundLabels
from geodl.training.draft.scenes import SeenScenes

_DTYPES = ("uint8", "uint16", "int16", "float32")
_PLAIN = re.compile(r"^[A-Za-z][A-Za-z0-9_.\-]*$")
_PICTURES = {"images", "image", "img", "imgs", "scenes", "tiles", "data", "train"}
_WORDS = {"yes", "no", "on", "off", "true", "false", "null", "none", "y", "n"}


def write_draft(task: str, seen: SeenScenes, found: FoundLabels, sizes: Sizes) -> str:
    """Write the YAML text of a recipe."""
    parts = (
        _head(task, seen),
        _model(seen),
        _classes(found),
        _sources(seen, found),
        _split(sizes),
        _learning(sizes),
    )
    return "\n".join("\n".join(_one_line(line) for line in part) + "\n" for part in parts)


def _head(task: str, seen: SeenScenes) -> Iterator[str]:
    first = seen.pairs[0].scene[0]
    stem = _folder_name(seen) if seen.total > 1 else first.stem
    name = re.sub(r"[^a-z0-9_.\-]+", "-", f"{task}-{stem}".lower()).strip("-")[:64]
    shown = f"{first.name} and {seen.total - 1} more" if seen.total > 1 else first.name
    yield f"# A first recipe for {shown}, made by `geodl train --init`. Look through it, then:"
    yield "#"
    yield f"#   geodl train recipe.yaml --out runs/{name}"
    yield "#"
    yield "# What every key means: geodl train --print-schema"
    yield ""
    yield f"name: {_text(name)}"
    yield f"title: {_text(f'{TASKS[task].title}, {stem}')}"
    yield f"task: {task}"
    yield f"architecture: {ARCHITECTURE}"
    yield "# Half the time, a little less accurate: unet_compact, without parameters."
    yield f"parameters: {_mapping(PARAMETERS)}"


def _folder_name(seen: SeenScenes) -> str:
    """Name of the folder of the scenes that says most."""
    names = [name for name in seen.pairs[0].scene[0].parent.parts if name.lower() not in _PICTURES]
    return names[-1].strip("/") or "scenes"


def _model(seen: SeenScenes) -> Iterator[str]:
    for note in seen.notes:
        yield f"# {note}"
    yield f"bands: [{', '.join(_text(name) for name in seen.bands)}]   # leave out those that do not help"
    yield f"units: {seen.units}"
    if seen.units == "digital_number" and seen.dtype in _DTYPES:
        yield f"dtype: {seen.dtype}"
    if not seen.pixel_sizes:
        yield "# pixel_size: 0.5      # metres; the files do not say"
        return
    low, high = min(seen.pixel_sizes), max(seen.pixel_sizes)
    yield f"pixel_size: {_short(sum(seen.pixel_sizes) / len(seen.pixel_sizes))}   # metres"
    yield f"pixel_size_range: [{_short(0.8 * low)}, {_short(1.25 * high)}]   # what the model will accept"


def _classes(found: FoundLabels) -> Iterator[str]:
    kept = [c for c in found.classes if not c.left_out]
    total = max(1, sum(c.pixels for c in kept) + (found.background.pixels if found.background else 0))
    if any(c.name.startswith("class ") for c in kept):
        yield "# The labels do not name their classes: give them names."
    yield "classes:"
    for c in kept:
        yield f"  - {_entry(c)}   # {c.pixels:,} pixels, {c.pixels / total:.1%}"
    if found.background is not None:
        c = found.background
        yield f"  - {_entry(c)}   # all else: {c.pixels:,} pixels, {c.pixels / total:.1%}"
    left_out = [c for c in found.classes if c.left_out]
    if left_out:
        yield "  # taken as unlabelled:"
    for c in left_out[:20]:
        yield f"  # - {_entry(c)}   # {c.pixels:,} pixels; {c.left_out}"
    if len(left_out) > 20:
        yield f"  # ... and {len(left_out) - 20} more"


def _entry(c: FoundClass) -> str:
    source = "" if c.key in (c.value, "") else f", from: [{_text(c.key)}]"
    return f"{{value: {c.value}, name: {_text(c.name)}, color: {_text(c.color)}{source}}}"


def _sources(seen: SeenScenes, found: FoundLabels) -> Iterator[str]:
    source = seen.source
    yield f"data_root: {_text(str(seen.root))}   # scenes and labels are relative to it, it to this file"
    yield "sources:"
    yield f"  - scenes: {_text(str(source.scenes))}"
    yield f"    labels: {_text(source.labels)}"
    if source.stack:
        yield "    stack: true          # the files are the bands of one scene"
    for key in ("scale", "xyz", "ungeoreferenced", "bands"):
        value = getattr(source, key)
        if value:
            yield f"    {key}: {json.dumps(value, ensure_ascii=False)}"
    for note in found.notes:
        yield f"    # {note}"
    for key, value in found.options.items():
        if value is not None:
            yield f"    {key}: {_text(value)}"
    if found.background is not None:
        yield f"    background: {found.background.value}        # the ground outside"
    elif found.options:
        yield "    # background: VALUE   # class of the ground outside; without it nothing is known there"


def _split(sizes: Sizes) -> Iterator[str]:
    yield "split:"
    if sizes.by == "scene":
        yield "  by: scene              # scenes that overlap stay together"
        yield "  validation: 0.25"
        return
    yield f"  block: {sizes.block}             # pixels; whole blocks are held out"
    yield "  validation: 0.25"
    if sizes.gap == sizes.halo:
        reason = "the halo of the network: no training pixel sees a validation block"
    else:
        reason = f"the network sees {sizes.halo} pixels far, but the scene is small: figures flatter a little"
    yield f"  gap: {sizes.gap}                # {reason}"
    if sizes.train:
        shares = (
            f"{sizes.train:.0%} of the labelled pixels for training, {sizes.validation:.0%} for validation"
        )
        yield f"  # leaves {shares}"
    yield "  # folds: 5             # instead of validation: five runs, --fold 0 to --fold 4"


def _learning(sizes: Sizes) -> Iterator[str]:
    yield "optimisation:"
    yield "  epochs: 30"
    yield f"  samples_per_epoch: {sizes.samples}"
    yield f"  patch: {sizes.patch}             # side of a sample in pixels"
    yield "  batch: 8"
    yield "  learning_rate: 0.002"
    yield "  loss: {cross_entropy: 1, lovasz: 0.5}"
    yield "  class_weights: auto    # a class below 2 % gets help; or none, sqrt, balanced"
    yield "  balanced_draws: auto   # then half of the samples begin with a class, all alike; or a share"
    yield "  ema: 0.99"
    yield "  # time_limit_minutes: 30"
    yield ""
    yield "augment:"
    yield "  after_passes: 200      # changes come in by and by, as the same places are seen again"
    yield "  zoom: [0.8, 1.25]"
    yield "  brightness: 0.1        # in standard deviations of the bands"
    yield "  contrast: 0.1"
    yield "  channels: 0.05"
    yield "  noise: 0.02"
    yield ""
    yield "seed: 1"
    yield 'licence: ""              # of the data, and so of the weights'
    yield 'note: ""                 # what users of the model should know of its data'


def _text(value: object) -> str:
    """Write a value so that YAML reads it back as it is."""
    if isinstance(value, str) and not (_PLAIN.match(value) and value.lower() not in _WORDS):
        return json.dumps(value, ensure_ascii=not value.isprintable())
    return str(value)


def _mapping(values: dict[str, str]) -> str:
    return "{" + ", ".join(f"{name}: {_text(value)}" for name, value in values.items()) + "}"


def _short(number: float) -> str:
    return f"{number:.3g}"


def _one_line(text: str) -> str:
    """Take out what would end a comment early; values are quoted already."""
    return "".join(c if c.isprintable() else " " for c in text).rstrip()
