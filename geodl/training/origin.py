"""Where weights to begin with come from: a model, a file, or torchgeo's collection."""

from collections.abc import Sequence
from pathlib import Path

from geodl.errors import ModelError, RecipeError
from geodl.models.bundle import bundled_models, load_model
from geodl.models.imports.tensors import only_tensors, read_checkpoint, read_safetensors
from geodl.scene.bands import canonical_name
from geodl.training.recipe.start import Start
from geodl.training.transfer import Source

_SENSORS = {
    "SENTINEL2": "sentinel-2",
    "LANDSAT_TM": "landsat-5",
    "LANDSAT_ETM": "landsat-7",
    "LANDSAT": "landsat-8",
}
"""By the words in torchgeo's names, the more special ones first."""


def read_source(start: Start, root: Path) -> Source:
    """Read the weights that a recipe names.

    Parameters
    ----------
    start : Start
        From the recipe.
    root : Path
        What its paths are relative to.

    Raises
    ------
    ModelError
        There is no such model or file, it is damaged, holds code, or cannot be downloaded.
    RecipeError
        torchgeo has no weights of that name.
    """
    if start.model is not None:
        return _of_model(start.model, root)
    if start.weights is not None:
        return _of_file(root / start.weights, start.bands)
    assert start.torchgeo is not None
    return _of_torchgeo(start.torchgeo)


def _of_model(name: str, root: Path) -> Source:
    folder = root / name
    # As elsewhere a bundled name wins over a folder, which may hold anything else.
    bundled = any(spec.name == name for spec in bundled_models())
    model = load_model(folder if folder.is_dir() and not bundled else name)
    return Source(
        origin=f"model {model.spec.name}",
        tensors=model.network().state_dict(),
        bands=tuple(model.spec.band_names),
        classes=tuple(c.name for c in model.spec.classes),
    )


def _of_file(path: Path, bands: list[str] | None) -> Source:
    if path.suffix == ".safetensors":
        tensors = read_safetensors(path)
    else:
        tensors = only_tensors(read_checkpoint(path), f"file {path}")
    return Source(origin=f"file {path.name}", tensors=tensors, bands=tuple(bands) if bands else None)


def _of_torchgeo(name: str) -> Source:
    from torchgeo.models import get_weight

    try:
        weights = get_weight(name)
    except ValueError as error:
        raise RecipeError(
            "start.torchgeo",
            f"torchgeo has no weights named {name!r}",
            "write it like ResNet18_Weights.SENTINEL2_ALL_MOCO; torchgeo's documentation lists them",
        ) from error
    try:
        # Its files are pickles; only tensors in them are read.
        tensors = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except OSError as error:
        raise ModelError(
            f"start.torchgeo {name}",
            f"it cannot be downloaded ({error})",
            f"fetch {weights.url} elsewhere and write `start: {{weights: FILE}}`",
        ) from error
    return Source(
        origin=f"torchgeo's {name}",
        tensors=only_tensors(tensors, name),
        bands=_common_names(name, weights.meta.get("bands") or ()),
    )


def _common_names(name: str, bands: Sequence[str]) -> tuple[str, ...] | None:
    """Give torchgeo's bands the names that geodl uses; None where they are unknown, or of several dates.

    >>> _common_names("ResNet18_Weights.LANDSAT_ETM_SR_MOCO", ["SR_B1", "SR_B7"])
    ('blue', 'swir2')
    """
    sensor = next((sensor for word, sensor in _SENSORS.items() if word in name), None)
    named = tuple(canonical_name(band.removeprefix("SR_"), sensor) or band for band in bands)
    return named if named and len(set(named)) == len(named) else None
