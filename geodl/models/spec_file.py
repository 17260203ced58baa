"""``model.json`` on disk: read with every mistake named, and written."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from geodl.errors import ModelError
from geodl.models.item import check_item, from_item, place_of, to_item, written
from geodl.models.spec import FORMAT_VERSION, ModelSpec, problem_of

SPEC_FILE = "model.json"
MAX_SPEC_BYTES = 4 * 1024**2


def read_spec(folder: Path) -> ModelSpec:
    """Read and validate the ``model.json`` of a folder.

    Raises
    ------
    ModelError
        The file is missing, too large, no JSON, from a newer geodl, or invalid.
    """
    path = folder / SPEC_FILE
    what = f"model {folder}"
    if not path.is_file():
        raise ModelError(
            what, f"{SPEC_FILE} is missing", f"name a folder that holds {SPEC_FILE} and the weights"
        )
    if path.stat().st_size > MAX_SPEC_BYTES:
        raise ModelError(
            what, f"{SPEC_FILE} is larger than {MAX_SPEC_BYTES} bytes", "it is no model.json of geodl"
        )
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelError(
            what, f"{SPEC_FILE} is not JSON ({error})", "fetch or train the model again"
        ) from None
    version = version_of(content)
    if type(version) is int and version != FORMAT_VERSION:
        raise ModelError(
            what,
            f"format version {version}; this geodl reads version {FORMAT_VERSION}",
            "upgrade geodl" if version > FORMAT_VERSION else "train or import the model again",
        )
    with naming(folder):
        try:
            spec = ModelSpec.model_validate(from_item(content))
        except ValidationError as error:
            place, why = problem_of(error)
            raise ModelError(written(place_of(place)) or "content", why, "mend that entry") from None
        check_item(content, spec)
    return spec


def spec_bytes(spec: ModelSpec) -> bytes:
    """Return the content of the ``model.json`` of a model."""
    return (json.dumps(to_item(spec), indent=2, ensure_ascii=False) + "\n").encode()


def version_of(content: Any) -> Any:
    """Return the format version of a ``model.json``, None where it has none; old ones had it on top."""
    properties = content.get("properties") if isinstance(content, dict) else None
    if isinstance(properties, dict):
        return properties.get("geodl:format_version")
    return content.get("format_version") if isinstance(content, dict) else None


@contextmanager
def naming(folder: Path) -> Iterator[None]:
    """Say which model an error about an architecture is about."""
    try:
        yield
    except ModelError as error:
        raise ModelError(
            f"model {folder}", f"{SPEC_FILE}: {error.what}: {error.cause}", error.remedy
        ) from error
