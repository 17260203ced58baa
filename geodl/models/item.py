"""``model.json`` as a STAC Item: what a catalogue reads and what a prediction reads are one file.

The Item follows STAC 1.1 (https://github.com/radiantearth/stac-spec) and the Machine Learning Model
extension (https://github.com/stac-extensions/mlm). What that extension has a word for is written in its
words and nowhere else: bands and their scaling, classes, tile, architecture. The rest stands beside it
under ``geodl:`` names. Reading is strict: whatever `to_item` would not have written is an error, except for
what catalogues add (links, a collection, an extent, other properties, other assets).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from geodl.errors import ModelError
from geodl.models.spec import ModelSpec
from geodl.task import TASKS

STAC_VERSION = "1.1.0"
EXTENSIONS = [
    "https://stac-extensions.github.io/mlm/v1.4.0/schema.json",
    "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
]
_SHA256 = "1220"  # as multihash, which `file:checksum` is: function 0x12, 0x20 bytes
_PROPERTIES = ("properties",)
_INPUT = (*_PROPERTIES, "mlm:input", 0)
_OUTPUT = (*_PROPERTIES, "mlm:output", 0)
_CLASSES = (*_OUTPUT, "classification:classes")
_CHECKSUM = ("assets", "weights", "file:checksum")
_IN_MLM = {"name", "title", "architecture", "bands", "classes", "tile", "weights_sha256"}
_OWN = tuple(field for field in ModelSpec.model_fields if field not in _IN_MLM)
_RARE = {"calendar"}  # said only of models that have one
_FROM_CATALOGUES = ("links", "collection", "geometry", "bbox")

Place = tuple[str | int, ...]


def written(place: Place) -> str:
    """Return a path of keys as one word.

    >>> written(("properties", "mlm:input", 0, "bands"))
    'properties.mlm:input.0.bands'
    """
    return ".".join(str(key) for key in place)


def to_item(spec: ModelSpec) -> dict[str, Any]:
    """Return the STAC Item that describes a model, as plain values for JSON.

    Parameters
    ----------
    spec : ModelSpec
        What is to be written.

    Returns
    -------
    dict
        `from_item` makes the same `spec` of it.
    """
    content = spec.model_dump(mode="json")
    properties = {
        "title": spec.title,
        # A model belongs to no day and no place; STAC wants an interval and an extent all the same.
        "datetime": None,
        "start_datetime": "1900-01-01T00:00:00Z",
        "end_datetime": "9999-12-31T23:59:59Z",
        "license": spec.licence if re.fullmatch(r"[\w\-.+]+", spec.licence, re.ASCII) else "other",
        "mlm:name": spec.name,
        "mlm:architecture": spec.architecture,
        "mlm:tasks": ["semantic-segmentation"],
        "mlm:framework": "ONNX" if _is_onnx(spec) else "PyTorch",
        "mlm:accelerator_constrained": False,
        "mlm:pretrained": True,
        "mlm:input": [_input(spec)],
        "mlm:output": [_output(spec)],
        **{f"geodl:{name}": content[name] for name in _OWN if name not in _RARE or content[name] is not None},
    }
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": list(EXTENSIONS),
        "id": spec.name,
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[-180, -90], [180, -90], [180, 90], [-180, 90], [-180, -90]]],
        },
        "bbox": [-180, -90, 180, 90],
        "properties": properties,
        "links": [],
        "assets": {"weights": _weights(spec)},
    }


def from_item(item: Any) -> dict[str, Any]:
    """Return the fields of a `ModelSpec`, not yet validated, from the content of a ``model.json``.

    Raises
    ------
    ModelError
        A key is missing or holds another kind of value.
    """
    if not isinstance(item, dict):
        raise _wrong((), "it is no JSON object")
    present = _at(item, _PROPERTIES)
    if not isinstance(present, dict):
        raise _wrong(_PROPERTIES, "it is no JSON object")
    fields = {name: _at(item, (*_PROPERTIES, f"geodl:{name}")) for name in _OWN if f"geodl:{name}" in present}
    names = _listed(item, (*_INPUT, "bands"))
    scaling = _listed(item, (*_INPUT, "value_scaling"))
    if len(names) != len(scaling):
        raise _wrong((*_INPUT, "value_scaling"), f"{len(scaling)} entries for {len(names)} bands")
    classes = _listed(item, _CLASSES)
    checksum = _at(item, _CHECKSUM)
    if not isinstance(checksum, str) or not checksum.startswith(_SHA256):
        raise _wrong(_CHECKSUM, f"it is no sha256 as multihash ({_SHA256}...)")
    return {
        **fields,
        "name": _at(item, (*_PROPERTIES, "mlm:name")),
        "title": _at(item, (*_PROPERTIES, "title")),
        "architecture": _at(item, (*_PROPERTIES, "mlm:architecture")),
        "bands": [
            {"name": name, **{ours: _at(item, (*_INPUT, "value_scaling", i, theirs))
                              for ours, theirs in _BAND_KEYS.items()}}
            for i, name in enumerate(names)
        ],
        "classes": [
            {ours: _at(item, (*_CLASSES, i, theirs)) for ours, theirs in _CLASS_KEYS.items()}
            | {"color": f"#{_at(item, (*_CLASSES, i, 'color_hint'))}"}
            for i in range(len(classes))
        ],
        "tile": _at(item, (*_INPUT, "input", "shape", 3)),
        "weights_sha256": checksum.removeprefix(_SHA256),
    }  # fmt: skip


def check_item(item: Mapping[str, Any], spec: ModelSpec) -> None:
    """Check that an Item says nothing but what `to_item` says of the model that was read from it.

    Raises
    ------
    ModelError
        Names the first key that is missing, unknown or contradicts another one.
    """
    expected = to_item(spec)
    found = {key: value for key, value in item.items() if key not in _FROM_CATALOGUES}
    known, given = expected["properties"], item["properties"]
    # Values under geodl: names were validated one by one, and those that are not there have defaults.
    own = {key: value for key, value in known.items() if key.startswith("geodl:")}
    theirs = {key: value for key, value in given.items() if key in known or key.startswith("mlm:")}
    unknown = {key: value for key, value in given.items() if key.startswith("geodl:") and key not in own}
    found["properties"] = {**theirs, **own, **unknown}
    found["assets"] = {"weights": item["assets"]["weights"]}
    listed = found.get("stac_extensions")
    if isinstance(listed, list):  # others may be added
        found["stac_extensions"] = [name for name in listed if name in EXTENSIONS]
    _compare(found, {key: value for key, value in expected.items() if key not in _FROM_CATALOGUES}, ())


def place_of(location: Sequence[str | int]) -> Place:
    """Return where in the Item a field of `ModelSpec` stands, given as pydantic locates it.

    >>> written(place_of(("bands", 2, "std")))
    'properties.mlm:input.0.value_scaling.2.stddev'
    >>> written(place_of(("halo",)))
    'properties.geodl:halo'
    """
    if not location:
        return ()
    field, *rest = location
    if field == "bands" and rest:
        if len(rest) > 1 and rest[1] in _BAND_KEYS:
            return (*_INPUT, "value_scaling", rest[0], _BAND_KEYS[str(rest[1])])
        return (*_INPUT, "bands", rest[0])
    if field == "classes" and rest:
        inside = [({**_CLASS_KEYS, "color": "color_hint"}).get(str(key), key) for key in rest[1:]]
        return (*_CLASSES, rest[0], *inside)
    whole: dict[str, Place] = {
        "name": (*_PROPERTIES, "mlm:name"),
        "title": (*_PROPERTIES, "title"),
        "architecture": (*_PROPERTIES, "mlm:architecture"),
        "bands": (*_INPUT, "bands"),
        "classes": _CLASSES,
        "tile": (*_INPUT, "input", "shape", 3),
        "weights_sha256": _CHECKSUM,
    }
    return whole[str(field)] if field in whole else (*_PROPERTIES, f"geodl:{field}", *rest)


_BAND_KEYS = {"mean": "mean", "std": "stddev"}
_CLASS_KEYS = {"value": "value", "name": "description"}


def _is_onnx(spec: ModelSpec) -> bool:
    return spec.weights_file.endswith(".onnx")


def _input(spec: ModelSpec) -> dict[str, Any]:
    return {
        "name": spec.units,
        "bands": spec.band_names,
        "input": {
            "shape": [-1, len(spec.bands), spec.tile, spec.tile],
            "dim_order": ["batch", "bands", "height", "width"],
            "data_type": "float32",
        },
        "value_scaling": [{"type": "z-score", "mean": b.mean, "stddev": b.std} for b in spec.bands],
    }


def _output(spec: ModelSpec) -> dict[str, Any]:
    return {
        "name": re.sub(r"\W", "_", TASKS[spec.task].title.lower()),
        "tasks": ["semantic-segmentation"],
        "result": {
            "shape": [-1, len(spec.classes), spec.tile, spec.tile],
            "dim_order": ["batch", "classes", "height", "width"],
            "data_type": "float32",
        },
        "classification:classes": [
            {
                "value": c.value,
                "name": re.sub(r"[^A-Za-z0-9_\-]", "_", c.name),
                "description": c.name,
                "color_hint": c.color[1:].upper(),
            }
            for c in spec.classes
        ],
    }


def _weights(spec: ModelSpec) -> dict[str, Any]:
    kind = "onnx" if _is_onnx(spec) else "safetensors"
    return {
        "href": spec.weights_file,
        "type": f"application/octet-stream; application={kind}",
        "title": "Network with its weights" if _is_onnx(spec) else "Weights",
        "roles": ["mlm:model", "mlm:weights", "data"],
        "mlm:artifact_type": "onnx" if _is_onnx(spec) else "safetensors.torch.save",
        "file:checksum": _SHA256 + spec.weights_sha256,
        "bands": [{"name": name} for name in spec.band_names],  # STAC describes bands beside a file only
    }


def _wrong(place: Place, cause: str) -> ModelError:
    return ModelError(
        written(place) or "content", cause, "mend that entry, or train or import the model again"
    )


def _at(item: Any, place: Place) -> Any:
    value = item
    for depth, key in enumerate(place):
        inside = isinstance(value, dict) if isinstance(key, str) else isinstance(value, list)
        present = inside and (key in value if isinstance(key, str) else key < len(value))
        if not present:
            raise _wrong(place[: depth + 1], "it is missing")
        value = value[key]
    return value


def _listed(item: Any, place: Place) -> list[Any]:
    value = _at(item, place)
    if not isinstance(value, list):
        raise _wrong(place, "it is no list")
    return value


def _compare(found: Any, expected: Any, place: Place) -> None:
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in found:
            if key not in expected:
                raise _wrong((*place, key), "unknown")
        for key, value in expected.items():
            if key not in found:
                raise _wrong((*place, key), "it is missing")
            _compare(found[key], value, (*place, key))
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for i, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
            _compare(ours, theirs, (*place, i))
    elif found != expected:
        raise _wrong(place, f"it is {found!r}; the rest of the file makes it {expected!r}")
