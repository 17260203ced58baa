"""Occlusion of bands: what happens when a band tells nothing, because it has its mean everywhere.

After Zeiler, Fergus 2014, https://arxiv.org/abs/1311.2901, with bands in place of patches.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from geodl.explain.subject import Cut
from geodl.tiles import Window


@dataclass(frozen=True, kw_only=True)
class Occluded:
    """What happens without a band.

    Parameters
    ----------
    drop : float
        The mean probability of the class over the pixels explained, minus what is left.
    changed_target, changed_view : float
        Share of the pixels explained, and of the valid pixels of the view, that get another class.
    """

    drop: float
    changed_target: float
    changed_view: float


@torch.inference_mode()
def probabilities(
    network: nn.Module, seen: Cut, window: Window, temperature: float, *, without: int | None = None
) -> np.ndarray:
    """Probabilities of the classes over a window, float32 (classes, height, width).

    Parameters
    ----------
    network : torch.nn.Module
    seen : Cut
        What the window depends on.
    window : Window
    temperature : float
        Of the model.
    without : int, optional
        Position of a band that has its mean everywhere.
    """
    inputs = seen.inputs
    if without is not None:
        inputs = inputs.clone()
        inputs[:, without] = 0.0  # the mean, as the network sees it
    scores = network(inputs).float()
    rows, columns = window.relative_to(seen.window).slices
    return (scores[0, :, rows, columns] / temperature).softmax(dim=0).cpu().numpy()


def occlude_bands(
    network: nn.Module,
    seen: Cut,
    view: Window,
    temperature: float,
    *,
    number: int,
    explained: np.ndarray,
    valid: np.ndarray,
) -> list[Occluded]:
    """Put the mean of a band in its place, band by band.

    Parameters
    ----------
    network : torch.nn.Module
    seen : Cut
        What the view depends on.
    view : Window
        What is compared.
    temperature : float
        Of the model.
    number : int
        Position of the class that is explained.
    explained, valid : numpy.ndarray
        bool, (view.height, view.width): the pixels that are explained, and those with data.
    """
    whole = probabilities(network, seen, view, temperature)
    found = []
    for band in range(seen.inputs.shape[1]):
        without = probabilities(network, seen, view, temperature, without=band)
        changed = without.argmax(axis=0) != whole.argmax(axis=0)
        drop = float(whole[number][explained].mean()) - float(without[number][explained].mean())
        found.append(
            Occluded(
                drop=drop,
                changed_target=float(changed[explained].mean()),
                changed_view=float(changed[valid].mean()),
            )
        )
    return found
