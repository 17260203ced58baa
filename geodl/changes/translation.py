"""Change as what cannot be predicted: each date told from the other by a network fitted to the pair."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from geodl.alignment.dates import Dates
from geodl.changes.patches import take_patches
from geodl.changes.translator import REACH, Translator, learn
from geodl.errors import SceneError
from geodl.publish.files import written_beside

_PATCHES = 256
_NORMAL = 1.4826  # times the median of absolute deviations: the standard deviation of a normal distribution
_FILE = "translation.safetensors"


class Scaled(nn.Module):
    """Both translators with what scales their input, all of it tensors: (2, bands) for the two dates."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.later, self.earlier = Translator(bands), Translator(bands)
        self.centre = nn.Buffer(torch.zeros(2, bands))
        self.spread = nn.Buffer(torch.ones(2, bands))
        self.usual = nn.Buffer(torch.ones(2, bands))

    def scaled(self, before: np.ndarray, after: np.ndarray) -> Tensor:
        """Return both dates as the networks take them: (2, bands, H, W), 0 where either holds no data."""
        known = np.isfinite(before).all(axis=0) & np.isfinite(after).all(axis=0)
        both = torch.from_numpy(np.where(known, np.stack([before, after]), 0))
        values = (both - self.centre[..., None, None]) / self.spread[..., None, None]
        return torch.where(torch.from_numpy(known), values, 0).float()

    def errors(self, both: Tensor) -> Tensor:
        """Return what was not predicted of the later and of the earlier date: (2, bands, H, W).

        In units of the usual error of each band.
        """
        before, after = both[:1], both[1:]
        found = torch.cat([self.later(before) - after, self.earlier(after) - before])
        return found / self.usual[..., None, None]


@dataclass(frozen=True, kw_only=True)
class Translation:
    """By how much two dates fail to predict each other."""

    names: tuple[str, ...]
    network: Scaled

    @property
    def halo(self) -> int:
        """As far as the networks look."""
        return REACH

    @property
    def stride(self) -> int:
        """Windows may begin anywhere."""
        return 1

    def squares(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Return the mean of squared errors over bands and both directions."""
        with torch.inference_mode():
            errors = self.network.errors(self.network.scaled(before, after))
            return errors.square_().mean(dim=(0, 1)).double().numpy()

    def report(self) -> dict[str, Any]:
        """Say which bands were predicted."""
        return {"bands": list(self.names)}


def fit_translation(dates: Dates, kept: Path | None = None) -> Translation:
    """Fit networks that tell each date from the other, or take up those that were fitted.

    Parameters
    ----------
    dates : Dates
    kept : pathlib.Path, optional
        Folder where the weights are left at once, and found by a run that goes on.

    Raises
    ------
    SceneError
        Too little data in common, or a band has one value only.
    ProductError
        The weights cannot be kept.
    """
    file = None if kept is None else kept / _FILE
    network = Scaled(len(dates.names))
    if file is None or not _taken_up(network, file):
        network = _fitted(dates)
        if file is not None:
            with written_beside(file) as beside:
                beside.write_bytes(save(network.state_dict()))
    return Translation(names=dates.names, network=network.eval().requires_grad_(requires_grad=False))


def _taken_up(network: Scaled, file: Path) -> bool:
    """Load weights; those that are damaged are learnt again."""
    try:
        network.load_state_dict(load(file.read_bytes()))
    except (OSError, SafetensorError, RuntimeError):
        return False
    return True


def _fitted(dates: Dates) -> Scaled:
    patches = take_patches(dates, most=_PATCHES, around=REACH)
    known = patches.known
    network = Scaled(len(dates.names))
    for number, date in enumerate((patches.before, patches.after)):
        centre, spread = _robust(np.moveaxis(date, 1, 0)[:, known])
        flat = [name for name, one in zip(dates.names, spread, strict=True) if not one > 0]
        if flat:
            scene = (dates.before, dates.after)[number]
            raise SceneError(
                f"scene {scene.name}", f"band {flat[0]} has one value only", "leave that band out: --bands"
            )
        network.centre[number] = torch.from_numpy(centre)
        network.spread[number] = torch.from_numpy(spread)
    both = torch.stack([network.scaled(*pair) for pair in zip(patches.before, patches.after, strict=True)])
    earlier, later = both[:, 0].numpy(), both[:, 1].numpy()
    network.later, network.earlier = learn(earlier, later, known), learn(later, earlier, known)
    network.usual.copy_(_usual_errors(network, both, known))
    return network


def _robust(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median and usual spread of bands (bands, pixels)."""
    centre = np.median(values, axis=1)
    spread = _NORMAL * np.median(np.abs(values - centre[:, None]), axis=1)
    return centre, np.where(spread > 0, spread, values.std(axis=1))


def _usual_errors(network: Scaled, both: Tensor, known: np.ndarray) -> Tensor:
    """Return the usual error of each band in both directions, (2, bands)."""
    with torch.inference_mode():
        errors = torch.stack([network.errors(one) for one in both])
    inner = torch.from_numpy(known)
    usual = [_NORMAL * errors[:, date, band][inner].abs().median() for date in range(2)
             for band in range(errors.shape[2])]  # fmt: skip
    return torch.stack(usual).view(2, -1).clamp(min=1e-6)
