"""The state of an unfinished run: one file beside the model, replaced whole after each epoch.

It is a safetensors file: tensors by name, and everything else as JSON in its header. A run that is
killed goes on from it and comes to the weights of a run that was left alone: samples are numbered,
and each batch has random numbers of its own, so no generator has to be kept.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from geodl.errors import OptionError, ProductError
from geodl.folder_lock import take

STATE_FILE = "state.safetensors"
_FORMAT = "geodl-training-1"


@dataclass(kw_only=True)
class State:
    """What a run goes on from: `tensors` by name with ``/`` between the parts, and `facts` for JSON."""

    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def put(self, part: str, tensors: Mapping[str, torch.Tensor]) -> None:
        """Add tensors under ``part/``."""
        self.tensors.update({f"{part}/{name}": tensor for name, tensor in tensors.items()})

    def part(self, part: str) -> dict[str, torch.Tensor]:
        """Return the tensors under ``part/``, by the rest of their names."""
        start = f"{part}/"
        return {
            name.removeprefix(start): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(start)
        }

    def put_optimiser(self, state: dict[str, Any]) -> None:
        """Add the ``state_dict`` of an optimiser: its tensors per weight, and its groups."""
        for number, values in state["state"].items():
            self.put(f"optimiser/{number}", {k: v for k, v in values.items() if torch.is_tensor(v)})
        self.facts["optimiser"] = state["param_groups"]

    def optimiser(self) -> dict[str, Any]:
        """Return what `put_optimiser` took."""
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in self.part("optimiser").items():
            number, key = name.split("/")
            state.setdefault(int(number), {})[key] = tensor
        return {"state": state, "param_groups": self.facts["optimiser"]}


def training_folder(out: Path) -> Path:
    """Folder beside a model in which its unfinished training is kept."""
    return out.parent / f".{out.name}.training"


@contextmanager
def hold(out: Path) -> Iterator[Path]:
    """Keep the training folder of a model for this process alone; removed afterwards if nothing is in it.

    Raises
    ------
    ProductError
        Another process trains this model, or the folder cannot be made.
    """
    folder = training_folder(out)
    with ExitStack() as stack:
        try:
            lock = take(folder)
            if lock is not None:
                stack.enter_context(lock)
                folder.mkdir(exist_ok=True)
        except OSError as error:
            raise ProductError(
                f"model {out}", f"cannot be written ({error.strerror})", "choose another folder with --out"
            ) from error
        if lock is None:
            raise ProductError(
                f"model {out}", "another process is training it", "wait for it, or choose another --out"
            )
        try:
            for stale in folder.glob("*.partial"):
                stale.unlink()
            _sweep(out)
            yield folder
        finally:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def _sweep(out: Path) -> None:
    """Clear away what a process left that was killed while it saved the model."""
    beside = [path for path in out.parent.iterdir() if path.is_dir()]
    for old in (path for path in beside if path.name.startswith(f".{out.name}.old-")):
        if not out.exists() and (old / out.name).is_dir():
            (old / out.name).rename(out)  # killed between two renames: it is the last whole one
        shutil.rmtree(old)
    for half in (path for path in beside if path.name.startswith(f".{out.name}.partial-")):
        shutil.rmtree(half)


def save_state(folder: Path, state: State) -> None:
    """Replace the state of a run: the old one or the new one is there, whole, at any time."""
    path = folder / STATE_FILE
    staged = path.with_suffix(".partial")
    tensors = {name: t.detach().to("cpu", copy=True).contiguous() for name, t in state.tensors.items()}
    facts = json.dumps(state.facts)
    save_file(tensors, staged, metadata={"format": _FORMAT, "facts": facts})
    with staged.open("rb") as file:
        os.fsync(file.fileno())
    staged.replace(path)


def load_state(folder: Path) -> State | None:
    """Read the state of an unfinished run; None where there is none.

    Raises
    ------
    ProductError
        The file is damaged, or from another version of geodl.
    """
    path = folder / STATE_FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no mapping
        facts = json.loads(about.get("facts", "{}"))
    except (SafetensorError, ValueError, OSError) as error:
        raise ProductError(f"training state {path}", str(error), "begin anew with --restart") from error
    if about.get("format") != _FORMAT:
        raise ProductError(
            f"training state {path}",
            f"its format is {about.get('format')!r}, not {_FORMAT!r}",
            "begin anew with --restart",
        )
    return State(tensors=tensors, facts=facts)


def discard(folder: Path) -> None:
    """Remove everything in a training folder."""
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def fingerprint(content: Any) -> str:
    """Hash of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def check_same(state: State, recipe: dict[str, Any], data: str, out: Path) -> None:
    """Check that a state belongs to a recipe and its data.

    Parameters
    ----------
    state : State
        Its facts hold the `recipe` and the fingerprint of the `data` that it was begun with.
    recipe : dict
        The recipe as JSON.
    data : str
        The fingerprint of the decoded scenes and labels.
    out : Path
        The model folder, for the message.

    Raises
    ------
    OptionError
        They are others; the message names what differs.
    """
    before = state.facts["recipe"]
    changed = sorted(_differences(before, recipe))
    if not changed and state.facts["data"] != data:
        changed = ["the scenes or labels"]
    if changed:
        raise OptionError(
            f"model {out}",
            f"an unfinished training lies beside it, and since then {', '.join(changed)} changed",
            "begin anew with --restart, go on with the old recipe, or choose another --out",
        )


def _differences(before: Any, after: Any, where: str = "") -> Iterator[str]:
    """Yield the keys, as ``a.b``, whose values differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() | after.keys():
            yield from _differences(before.get(key), after.get(key), f"{where}.{key}" if where else str(key))
    elif before != after:
        yield where
