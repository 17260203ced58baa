"""A small network that learns, from a pair of dates alone, to tell one date from the other.

Most of a pair did not change: what a network of few weights learns is what light, season and sensor do to
each kind of surface. Where its prediction fails, something else happened. After L. T. Luppino, F. M. Bianchi,
G. Moser, S. N. Anfinsen, "Unsupervised image regression for heterogeneous change detection", IEEE
Transactions on Geoscience and Remote Sensing 57, 2019, doi:10.1109/TGRS.2019.2930348.
"""

import numpy as np
import torch
from torch import Tensor, nn

REACH = 2  # pixels that two convolutions of 3 x 3 look in each direction
_WIDTH = 16
_STEPS, _BATCH, _RATE = 150, 4, 1e-2
_SEED = 0


class Translator(nn.Module):
    """Tells of the values of one date, (N, bands, H, W), those of the other.

    It sees 5 x 5 pixels and not its place in the scene: it cannot learn changes by heart.

    Parameters
    ----------
    bands : int
    """

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.look = nn.Sequential(
            nn.Conv2d(bands, _WIDTH, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1),
            nn.ReLU(),
        )
        self.direct = nn.Conv2d(bands, bands, 1)
        self.further = nn.Conv2d(_WIDTH, bands, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the prediction, (N, bands, H, W)."""
        predicted: Tensor = self.direct(x) + self.further(self.look(x))
        return predicted


def learn(source: np.ndarray, target: np.ndarray, known: np.ndarray) -> Translator:
    """Fit a translator of one direction.

    Absolute errors are made small, not squared ones: what changed weighs little.

    Parameters
    ----------
    source, target : numpy.ndarray
        float32 (patches, bands, rows, columns), scaled, 0 without data.
    known : numpy.ndarray
        Where both hold data: bool (patches, rows, columns).

    Returns
    -------
    Translator
        The same for the same patches: the random numbers are its own.
    """
    inner = np.zeros(known.shape[1:], bool)
    inner[REACH:-REACH, REACH:-REACH] = True  # further out, it would look beyond its patch
    x, y = torch.from_numpy(source), torch.from_numpy(target)
    weight = torch.from_numpy((known & inner)[:, None].astype(np.float32))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        network = Translator(source.shape[1])
        optimiser = torch.optim.Adam(network.parameters(), lr=_RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=_RATE, total_steps=_STEPS)
        for _ in range(_STEPS):
            chosen = torch.randint(len(x), (min(_BATCH, len(x)),))
            error = (network(x[chosen]) - y[chosen]).abs()
            counted = weight[chosen]
            loss = (error * counted).sum() / (counted.sum() * y.shape[1]).clamp(min=1)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval().requires_grad_(requires_grad=False)
