"""Change in what a trained encoder sees: differences of deep features instead of colours.

Deep change vector analysis: S. Saha, F. Bovolo, L. Bruzzone, "Unsupervised deep change vector analysis for
multiple-change detection in VHR images", IEEE Transactions on Geoscience and Remote Sensing 57, 2019,
doi:10.1109/TGRS.2018.2886643. A network that was trained to map single dates has learnt what a surface looks
like in its surroundings; its features of both dates are compared cell by cell. Cells of several pixels
feel a shift of a part of a pixel little.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from geodl.alignment.dates import Dates
from geodl.changes.encoder import Encoder
from geodl.changes.patches import Patches, take_patches
from geodl.errors import SceneError
from geodl.models.bundle import Model

LEVELS = (0, 1, 2)  # pixels, and cells of 2 x 2 and of 4 x 4
_PATCHES = 64


@dataclass(frozen=True, kw_only=True)
class EncoderFeatures:
    """Distances of the features of both dates, at several scales."""

    encoder: Encoder
    model: Model
    positions: tuple[int, ...]
    """Bands of the dates that the encoder takes, in its order."""
    centre: tuple[np.ndarray, ...]
    """Of each level the mean difference of its features, later less earlier, float32 (channels,)."""
    weights: tuple[np.ndarray, ...]
    """1 / standard deviation of the differences; 0 for features that never differ."""
    usual: float
    """Median over the cells of the mean square of scaled differences: what is usual where nothing changed."""

    @property
    def stride(self) -> int:
        """Of the network."""
        return self.encoder.stride

    @property
    def halo(self) -> int:
        """As far as features look, and a cell more for what is drawn between them."""
        return self.encoder.halo + self.stride

    def squares(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Return the mean over levels and features of squared differences, drawn between the cells."""
        inputs = scaled(self.model, before[list(self.positions)], after[list(self.positions)])
        total = np.zeros(before.shape[1:])
        with torch.inference_mode():
            for number, features in enumerate(self.encoder(inputs)):
                centre, weights = (
                    torch.from_numpy(one[number])[:, None, None] for one in (self.centre, self.weights)
                )
                squares = ((features[1] - features[0] - centre) * weights).square_()
                total += _drawn(squares.mean(dim=0), self.encoder.levels[number])
        return total / (len(self.weights) * self.usual)

    def report(self) -> dict[str, Any]:
        """Say whose features of which scales were compared."""
        return {
            "bands": self.model.spec.band_names,
            "model": {"name": self.model.spec.name, "hash": self.model.hash},
            "levels": list(self.encoder.levels),
        }


def fit_features(dates: Dates, model: Model) -> EncoderFeatures:
    """Measure by how much the features of a model usually differ between two dates.

    Parameters
    ----------
    dates : Dates
        With the bands and units of the model.
    model : Model
        Of any task that maps one date.

    Raises
    ------
    OptionError
        The network has no encoder whose features are local.
    SceneError
        Too little data in common, or the dates do not differ.
    """
    encoder = Encoder(model, LEVELS)
    positions = tuple(dates.names.index(name) for name in model.spec.band_names)
    patches = take_patches(dates, most=_PATCHES, around=encoder.halo)
    differences = _differences(encoder, model, patches, positions)
    centre = tuple(one.mean(axis=0) for one in differences)
    weights = tuple(_inverse(one.std(axis=0)) for one in differences)
    if not any(one.any() for one in weights):
        raise SceneError(
            f"scenes {dates.before.name} and {dates.after.name}",
            "hold the same values at both dates",
            "check that the files are of two dates",
        )
    usual = [
        float(np.median((((one - middle) * weight) ** 2).mean(axis=1)))
        for one, middle, weight in zip(differences, centre, weights, strict=True)
    ]
    return EncoderFeatures(
        encoder=encoder,
        model=model,
        positions=positions,
        centre=centre,
        weights=weights,
        usual=max(float(np.mean(usual)), 1e-6),
    )


def scaled(model: Model, before: np.ndarray, after: np.ndarray) -> Tensor:
    """Return what the network takes: (2, bands, H, W); 0 at both dates where either holds no data."""
    bands = model.spec.bands
    mean, deviation = (np.array([getattr(b, key) for b in bands])[:, None, None] for key in ("mean", "std"))
    known = np.isfinite(before).all(axis=0) & np.isfinite(after).all(axis=0)
    both = [np.where(known, (date - mean) / deviation, 0) for date in (before, after)]
    return torch.from_numpy(np.stack(both).astype(np.float32))


def _differences(
    encoder: Encoder, model: Model, patches: Patches, positions: Sequence[int]
) -> list[np.ndarray]:
    """Return for each level the differences of the features of cells that hold data, (cells, channels)."""
    found: list[list[np.ndarray]] = [[] for _ in encoder.levels]
    chosen = list(positions)
    with torch.inference_mode():
        for before, after, known in zip(patches.before, patches.after, patches.known, strict=True):
            inputs = scaled(model, before[chosen], after[chosen])
            whole = torch.from_numpy(known[None].astype(np.float32))
            for part, level, features in zip(found, encoder.levels, encoder(inputs), strict=True):
                edge = encoder.halo >> level
                inner = slice(edge, features.shape[-1] - edge)
                cells = F.avg_pool2d(whole, 2**level)[0, inner, inner] == 1
                difference = (features[1] - features[0])[:, inner, inner]
                part.append(difference[:, cells].T.numpy())
    return [np.concatenate(part) for part in found]


def _inverse(spread: np.ndarray) -> np.ndarray:
    return np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)


def _drawn(cells: Tensor, level: int) -> np.ndarray:
    """Draw values of cells (rows, columns) as pixels, linear between the middles of the cells."""
    pixels = F.interpolate(cells[None, None], scale_factor=2.0**level, mode="bilinear")
    return pixels[0, 0].double().numpy()
