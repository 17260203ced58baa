"""Model folders: ``model.json`` and ``weights.safetensors``, written whole and checked on the way in.

Neither file can hold code, and no other file is read. `load_model` imports no torch; what needs the
network's own shapes is checked by `Model.check` and `Model.network`.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from geodl.errors import ModelError
from geodl.models.spec import FORMAT_VERSION, ModelSpec, first_problem
from geodl.models.table import build_network, check_tiling
from geodl.models.weights import check_fit, deserialise, expected_tensors, read_header, serialise

if TYPE_CHECKING:
    import torch
    from torch import nn

SPEC_FILE = "model.json"
WEIGHTS_FILE = "weights.safetensors"
BUNDLED = Path(__file__).parent / "bundled"
MAX_SPEC_BYTES = 4 * 1024**2
MAX_WEIGHTS_BYTES = 8 * 1024**3


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model folder whose files were found whole.

    Parameters
    ----------
    spec : ModelSpec
        The validated ``model.json``.
    folder : Path
        Absolute path of the folder.
    hash : str
        sha256 over the canonical ``model.json``, which holds the sha256 of the weights.
    """

    spec: ModelSpec
    folder: Path
    hash: str

    def network(self, device: "str | torch.device" = "cpu") -> "nn.Module":
        """Build the network, load its weights as float32, and return it in evaluation mode.

        Every call builds anew; whoever needs the network often keeps it.

        Parameters
        ----------
        device : str or torch.device, optional
            Where the network goes.

        Returns
        -------
        torch.nn.Module
            (N, bands, H, W) float32, scaled -> logits (N, classes, H, W); H, W multiples of the stride.

        Raises
        ------
        ModelError
            The weights changed since the model was loaded, or do not fit the architecture.
        """
        import torch

        content = self._fitting_weights()
        # The random weights that are about to be replaced must not move the caller's random numbers.
        with torch.random.fork_rng(devices=[]):
            network = build_network(self.spec)
        network.load_state_dict(deserialise(content), strict=True)
        return network.to(device).eval()

    def check(self) -> None:
        """Check that the weights are whole and fit the architecture, without loading them.

        Raises
        ------
        ModelError
            Says what is missing, left over, or of another shape.
        """
        self._fitting_weights()

    def _fitting_weights(self) -> bytes:
        content = _read_weights(self.folder, self.spec)
        _check_fit(content, self.spec, self.folder)
        return content


def load_model(name_or_folder: str | Path) -> Model:
    """Open a model by the name of a bundled one, or by its folder.

    Parameters
    ----------
    name_or_folder : str or Path
        A bundled name such as ``"landcover-s2"`` (which wins over a folder of that name in the
        working directory; write ``"./landcover-s2"`` for that), or a path.

    Returns
    -------
    Model
        Its ``model.json`` is valid and its weights are those that belong to it.

    Raises
    ------
    ModelError
        There is no such model, or its files are damaged, incomplete or from another version.
    """
    folder = _folder_of(name_or_folder)
    spec = read_spec(folder)
    with _naming(folder):
        check_tiling(spec)
    read_header(_read_weights(folder, spec), f"model {folder}")
    return Model(spec=spec, folder=folder, hash=_hash(spec))


def bundled_models() -> list[ModelSpec]:
    """Return the ``model.json`` of every model that comes with geodl, by name."""
    return [read_spec(folder) for folder in _bundled_folders()]


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
            what, f"{SPEC_FILE} is missing", f"name a folder that holds {SPEC_FILE} and {WEIGHTS_FILE}"
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
    version = content.get("format_version") if isinstance(content, dict) else None
    if type(version) is int and version != FORMAT_VERSION:
        raise ModelError(
            what,
            f"format version {version}; this geodl reads version {FORMAT_VERSION}",
            "upgrade geodl" if version > FORMAT_VERSION else "train or import the model again",
        )
    try:
        return ModelSpec.model_validate(content)
    except ValidationError as error:
        raise ModelError(what, f"{SPEC_FILE}: {first_problem(error)}", "mend that entry") from None


def save_model(folder: str | Path, spec: ModelSpec, network: "nn.Module", *, half: bool = False) -> Model:
    """Write a model folder: complete, or not at all.

    An existing model folder is replaced; other files in it (training curves) are kept.

    Parameters
    ----------
    folder : str or Path
        Where the model goes.
    spec : ModelSpec
        Its `weights_sha256` is filled in.
    network : torch.nn.Module
        What `build_network(spec)` gave, trained.
    half : bool, optional
        Store float16: half the size; weights are loaded as float32 again, rounded.

    Returns
    -------
    Model
        The model as a reader finds it.

    Raises
    ------
    ModelError
        The folder exists and is no model, weights are not finite, or do not fit `spec`.
    """
    folder = Path(folder).absolute()
    _refuse_foreign(folder)
    content = serialise(network, half=half, what=f"model {folder}")
    _check_fit(content, spec, folder)
    spec = spec.model_copy(update={"weights_sha256": hashlib.sha256(content).hexdigest()})
    folder.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=f".{folder.name}.partial-", dir=folder.parent))
    try:
        staged.chmod(0o755)  # mkdtemp makes private folders
        _write(staged / WEIGHTS_FILE, content)
        _write(staged / SPEC_FILE, (spec.model_dump_json(indent=2) + "\n").encode())
        load_model(staged)
        _put_in_place(staged, folder)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return load_model(folder)


def _check_fit(content: bytes, spec: ModelSpec, folder: Path) -> None:
    with _naming(folder):
        expected = expected_tensors(spec)
    check_fit(read_header(content, f"model {folder}"), expected, f"model {folder}")


@contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """Say which model an error about an architecture is about."""
    try:
        yield
    except ModelError as error:
        raise ModelError(
            f"model {folder}", f"{SPEC_FILE}: {error.what}: {error.cause}", error.remedy
        ) from error


def _folder_of(name_or_folder: str | Path) -> Path:
    bundled = {folder.name: folder for folder in _bundled_folders()}
    if isinstance(name_or_folder, str) and name_or_folder in bundled:
        return bundled[name_or_folder]
    folder = Path(name_or_folder)
    if folder.is_dir():
        return folder.absolute()
    raise ModelError(
        f"model {str(name_or_folder)!r}",
        "it is a file, a model is a folder"
        if folder.exists()
        else "there is no such folder and no such bundled model",
        f"use a model folder or one of {', '.join(bundled) or '(none is bundled)'}",
    )


def _bundled_folders() -> list[Path]:
    return sorted(path.parent for path in BUNDLED.glob(f"*/{SPEC_FILE}"))


def _hash(spec: ModelSpec) -> str:
    content = spec.model_dump(mode="json", exclude={"mlm"})
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _read_weights(folder: Path, spec: ModelSpec) -> bytes:
    path = folder / WEIGHTS_FILE
    what = f"model {folder}"
    if not path.is_file():
        raise ModelError(what, f"{WEIGHTS_FILE} is missing", "fetch or train the model again")
    if path.stat().st_size > MAX_WEIGHTS_BYTES:
        raise ModelError(
            what, f"{WEIGHTS_FILE} is larger than {MAX_WEIGHTS_BYTES} bytes", "it is no model of geodl"
        )
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != spec.weights_sha256:
        raise ModelError(
            what,
            f"{WEIGHTS_FILE} is not the file that {SPEC_FILE} describes",
            "fetch or train the model again",
        )
    return content


def _refuse_foreign(folder: Path) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        if json.loads((folder / SPEC_FILE).read_bytes()).get("format") == "geodl-model":
            return
    except (OSError, ValueError, AttributeError, RecursionError):
        pass
    raise ModelError(
        f"model {folder}", "it exists and is no geodl model", "remove it or choose another folder with --out"
    )


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _put_in_place(staged: Path, folder: Path) -> None:
    if not folder.exists():
        staged.rename(folder)
        return
    # A folder that is not empty cannot be renamed over: the old one steps aside, whole, first.
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old-", dir=folder.parent)) / folder.name
    folder.rename(old)
    staged.rename(folder)
    for other in old.iterdir():
        if other.name not in (SPEC_FILE, WEIGHTS_FILE):
            other.rename(folder / other.name)
    shutil.rmtree(old.parent)
