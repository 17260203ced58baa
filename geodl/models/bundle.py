"""Model folders: ``model.json``, the weights and a model card, written whole and checked on the way in.

No file of them can hold code, and no other file is read. `load_model` imports no torch; what needs the
network's own shapes is checked by `Model.check` and `Model.network`.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from geodl.errors import ModelError
from geodl.models.card import CARD_FILE, model_card
from geodl.models.familiarity import FAMILIAR_FILE, Familiar, read_familiar
from geodl.models.folder import read_file, refuse_foreign, replace_files, sha256_of
from geodl.models.page import model_page
from geodl.models.spec import ONNX, ONNX_FILE, WEIGHTS_FILE, ModelSpec
from geodl.models.spec_file import SPEC_FILE, naming, read_spec, spec_bytes
from geodl.models.table import build_network, check_tiling, onnx_network
from geodl.models.weights import check_fit, deserialise, expected_tensors, read_header, serialise

if TYPE_CHECKING:
    import torch
    from torch import nn

OWN_FILES = (SPEC_FILE, WEIGHTS_FILE, ONNX_FILE, FAMILIAR_FILE, CARD_FILE)
BUNDLED = Path(__file__).parent / "bundled"
MAX_WEIGHTS_BYTES = 8 * 1024**3
MAX_FAMILIAR_BYTES = 1024**3


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
        sha256 over the canonical ``model.json``, which holds the sha256 of the other files.
    """

    spec: ModelSpec
    folder: Path
    hash: str

    def __repr__(self) -> str:
        names = ", ".join(c.name for c in self.spec.classes)
        bands = ", ".join(self.spec.band_names)
        return f"<geodl model {self.spec.name}: {self.spec.task}; bands {bands}; classes {names}>"

    def _repr_html_(self) -> str:
        """Show it in a notebook."""
        return model_page(self.spec)

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

        if self.spec.architecture == ONNX:
            with naming(self.folder):
                return onnx_network(_read_weights(self.folder, self.spec), self.spec).eval()
        content = self._fitting_weights()
        # The random weights that are about to be replaced must not move the caller's random numbers.
        with torch.random.fork_rng(devices=[]):
            network = build_network(self.spec)
        network.load_state_dict(deserialise(content), strict=True)
        return network.to(device).eval()

    def familiar(self) -> Familiar:
        """Return what the features of the training data look like.

        Raises
        ------
        ModelError
            Nobody measured it, or the file changed since the model was loaded.
        """
        if not self.spec.familiar_sha256:
            raise ModelError(
                f"model {self.spec.name}",
                "it does not know what it has seen",
                f"measure it with `geodl models familiarise {self.folder} RECIPE`, or train it again",
            )
        return read_familiar(_read_familiar(self.folder, self.spec), f"model {self.folder}: {FAMILIAR_FILE}")

    def check(self) -> None:
        """Check that the weights are whole and fit the architecture, without loading them.

        Raises
        ------
        ModelError
            Says what is missing, left over, or of another shape.
        """
        self._fitting_weights()
        if self.spec.familiar_sha256:
            self.familiar()

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
    with naming(folder):
        check_tiling(spec)
    content = _read_weights(folder, spec)
    if spec.architecture != ONNX:
        read_header(content, f"model {folder}")
    if spec.familiar_sha256:
        _read_familiar(folder, spec)
    return Model(spec=spec, folder=folder, hash=_hash(spec))


def bundled_models() -> list[ModelSpec]:
    """Return the ``model.json`` of every model that comes with geodl, by name."""
    return [read_spec(folder) for folder in _bundled_folders()]


def save_model(
    folder: str | Path,
    spec: ModelSpec,
    network: "nn.Module",
    *,
    half: bool = False,
    familiar: Familiar | None = None,
) -> Model:
    """Write a model folder: complete, or not at all.

    An existing model folder is replaced; other files in it (training curves) are kept.

    Parameters
    ----------
    folder : str or Path
        Where the model goes.
    spec : ModelSpec
        Its `weights_sha256` and `familiar_sha256` are filled in.
    network : torch.nn.Module
        What `build_network(spec)` gave, trained; or an `OnnxNetwork`.
    half : bool, optional
        Store float16: half the size; weights are loaded as float32 again, rounded.
    familiar : Familiar, optional
        What the features of the training data look like.

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
    refuse_foreign(folder)
    if spec.architecture == ONNX:
        content: bytes = network.content  # type: ignore[assignment]
    else:
        content = serialise(network, half=half, what=f"model {folder}")
    _check_fit(content, spec, folder)
    return _publish(folder, spec, content, familiar)


def add_familiar(model: Model, familiar: Familiar) -> Model:
    """Write into the folder of a model what the features of its training data look like.

    Returns
    -------
    Model
        The model as a reader finds it, under another hash.

    Raises
    ------
    ModelError
        The model is bundled, or its folder changed since it was loaded.
    """
    refuse_bundled(model)
    return _publish(model.folder, model.spec, _read_weights(model.folder, model.spec), familiar)


def refuse_bundled(model: Model) -> None:
    """Refuse to change a model that comes with geodl, whose files belong to the installation.

    Raises
    ------
    ModelError
        Says so.
    """
    if BUNDLED.resolve() in model.folder.resolve().parents:
        raise ModelError(
            f"model {model.spec.name}", "it comes with geodl and is not changed", "copy its folder first"
        )


def _publish(folder: Path, spec: ModelSpec, content: bytes, familiar: Familiar | None) -> Model:
    """Write the files of a model, whose weights are `content`."""
    seen = None if familiar is None else familiar.to_bytes()
    sums = {"weights_sha256": sha256_of(content), "familiar_sha256": sha256_of(seen) if seen else ""}
    spec = spec.model_copy(update=sums)
    files = {spec.weights_file: content, **({FAMILIAR_FILE: seen} if seen else {})}
    files |= {SPEC_FILE: spec_bytes(spec), CARD_FILE: model_card(spec).encode()}
    replace_files(folder, files, own=OWN_FILES, check=load_model)
    return load_model(folder)


def _check_fit(content: bytes, spec: ModelSpec, folder: Path) -> None:
    with naming(folder):
        if spec.architecture == ONNX:
            onnx_network(content, spec)
            return
        expected = expected_tensors(spec)
    check_fit(read_header(content, f"model {folder}"), expected, f"model {folder}")


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
    content = spec.model_dump(mode="json")
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _read_weights(folder: Path, spec: ModelSpec) -> bytes:
    return read_file(folder / spec.weights_file, spec.weights_sha256, MAX_WEIGHTS_BYTES)


def _read_familiar(folder: Path, spec: ModelSpec) -> bytes:
    return read_file(folder / FAMILIAR_FILE, spec.familiar_sha256, MAX_FAMILIAR_BYTES)
