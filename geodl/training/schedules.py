"""The course of the learning rate over a run, as a share of the full one."""

import math
from collections.abc import Sequence

from geodl.training.recipe import Optimisation

_START, _END = 1 / 25, 1e-4 / 25
"""First and last share of one cycle, as in `torch.optim.lr_scheduler.OneCycleLR`."""


def learning_rate(settings: Optimisation, progress: float, scores: Sequence[float] = ()) -> float:
    """Share of the full learning rate.

    Parameters
    ----------
    settings : Optimisation
        Its `schedule`, `rise` and `plateau_checks` are used.
    progress : float
        Part of the run that is over, 0 to 1.
    scores : sequence of float
        What each check so far found (mean IoU); only ``plateau`` looks at it.
    """
    if settings.schedule == "one_cycle":
        return one_cycle(progress, settings.rise)
    if settings.schedule == "cosine":
        return cosine(progress, settings.rise)
    risen = min(1.0, progress / settings.rise) if settings.rise else 1.0
    return risen if settings.schedule == "constant" else risen * plateau(scores, settings.plateau_checks)


def cosine(progress: float, warmup: float) -> float:
    """Rise linearly, then fall by half a cosine (arXiv:1608.03983).

    >>> [round(cosine(p, 0.1), 2) for p in (0.05, 0.1, 0.55, 1.0)]
    [0.5, 1.0, 0.5, 0.0]
    """
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / max(1e-9, 1 - warmup)))


def one_cycle(progress: float, warmup: float) -> float:
    """Rise from a 25th by half a cosine, then fall to next to nothing by another (arXiv:1708.07120).

    >>> [round(one_cycle(p, 0.3), 3) for p in (0, 0.15, 0.3, 0.65, 1.0)]
    [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    if progress < warmup:
        return _between(_START, 1.0, progress / warmup)
    return _between(1.0, _END, (progress - warmup) / max(1e-9, 1 - warmup))


def plateau(scores: Sequence[float], checks: int) -> float:
    """Divide by ten each time that `checks` checks in a row brought no better score.

    >>> plateau([0.3, 0.5, 0.4, 0.5], 2), plateau([0.3, 0.5, 0.4, 0.6], 2)
    (0.1, 1.0)
    """
    best, waited, share = -math.inf, 0, 1.0
    for score in scores:
        waited = 0 if score > best else waited + 1
        best = max(best, score)
        if waited == checks:
            share, waited = share / 10, 0
    return share


def checks_since_best(scores: Sequence[float]) -> int:
    """Count the checks after the first one of the highest score.

    >>> checks_since_best([0.2, 0.6, 0.5, 0.6])
    2
    """
    return len(scores) - 1 - max(range(len(scores)), key=lambda i: (scores[i], -i)) if scores else 0


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))
