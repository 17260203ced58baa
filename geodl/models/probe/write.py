"""What was measured goes into ``model.json``; the weights are not touched."""

import os
import tempfile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from geodl.errors import ModelError
from geodl.models.bundle import BUNDLED, Model, load_model
from geodl.models.card import CARD_FILE, model_card
from geodl.models.probe.result import Probe
from geodl.models.receptive_field import rounded_up
from geodl.models.spec import ModelSpec, first_problem
from geodl.models.spec_file import SPEC_FILE, spec_bytes

LARGEST_TILE = 8192  # as in `ModelSpec.tile`
_BLEND_HALO = 64  # pixels over which tiles fade where the model names none


def write_probe(model: Model, probe: Probe, *, bundled: bool = False) -> Model:
    """Write what was measured into the ``model.json`` of a model: halo, tile, stitch mode, use of bfloat16.

    The core stays as large as it is, and the tile grows or shrinks by the halo. A network that is not
    local keeps its tile and halo, and is blended. The file is replaced, or left as it was.

    Parameters
    ----------
    model : Model
        The one that was probed.
    probe : Probe
        What `probe(model)` gave.
    bundled : bool, optional
        Allow it for a model that comes with geodl, whose files belong to the installation.

    Returns
    -------
    Model
        The model as a reader finds it; its hash is another one if anything changed.

    Raises
    ------
    ModelError
        The model is bundled, is not the one that was probed, or its folder cannot be written.
    """
    what = f"model {model.folder}"
    if BUNDLED.resolve() in model.folder.resolve().parents and not bundled:
        raise ModelError(what, "it comes with geodl and is not changed", "copy its folder and probe the copy")
    # As the folder is now: training may have gone on since the model was loaded.
    current = load_model(model.folder)
    if current.spec.weights_sha256 != probe.weights or current.spec.stride != probe.stride:
        raise ModelError(what, "it is not the model that was probed", "probe it again")
    spec = tiled_as_probed(current.spec, probe, what)
    if spec != current.spec:
        _replace(model.folder / SPEC_FILE, spec_bytes(spec), what)
        if (model.folder / CARD_FILE).is_file():
            _replace(model.folder / CARD_FILE, model_card(spec).encode(), what)
    return load_model(model.folder)


def tiled_as_probed(spec: ModelSpec, probe: Probe, what: str = "model.json") -> ModelSpec:
    """Return `spec` with the tiling that fits what was measured, and the agreement of bfloat16 on imagery.

    Raises
    ------
    ModelError
        No valid tile holds that halo.
    """
    if probe.local:
        assert probe.halo is not None
        halo = probe.halo
    else:
        halo = spec.halo or rounded_up(_BLEND_HALO, spec.stride)
    room = (LARGEST_TILE - 2 * halo) // spec.stride * spec.stride
    found: dict[str, Any] = {"halo": halo, "tile": min(spec.core, room) + 2 * halo, "stitch": probe.stitch}
    if probe.given_inputs:  # what happens to noise says little
        found["bf16_agreement"] = probe.bf16_agreement
    try:
        return ModelSpec.model_validate(spec.model_dump(mode="json") | found)
    except ValidationError as error:
        raise ModelError(what, first_problem(error), "probe it with a larger tolerance") from None


def _replace(path: Path, content: bytes, what: str) -> None:
    """Write beside, flush, rename: whoever opens `path` finds the old content or the new one, whole."""
    partial: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.partial-", dir=path.parent)
        partial = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.chmod(path.stat().st_mode & 0o777)  # mkstemp makes private files
        partial.replace(path)
    except OSError as error:
        raise ModelError(
            what,
            f"{path.name} cannot be written ({error.strerror or error})",
            "free the disk, or copy the folder to one that can be written",
        ) from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)
