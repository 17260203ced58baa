"""What a wrong prediction costs: losses by name, and sums of them.

The losses of regions are those of segmentation-models-pytorch, but for Lovász's, which knows no class
weights there. They are given the labelled pixels alone, as one long row, so that an ignored pixel costs
nothing whichever loss counts it and how. Losses of shape need whole images and see to ignored pixels
themselves.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F

from geodl.assess.labels import IGNORE
from geodl.training.lovasz import lovasz_softmax
from geodl.training.topology import centreline_dice

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From logits ``(N, classes, y, x)`` and labels ``(N, y, x)`` to one number."""


def cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor, smoothing: float = 0.0
) -> torch.Tensor:
    """Cross-entropy over the labelled pixels, weighted by class.

    Parameters
    ----------
    logits : torch.Tensor
        Shape ``(N, classes, y, x)``.
    labels : torch.Tensor
        int64, shape ``(N, y, x)``; 255 is ignored. A batch without any label costs 0.
    weights : torch.Tensor
        Shape ``(classes,)``.
    smoothing : float
        Share of the target spread over all classes (arXiv:1512.00567).
    """
    logits = logits.float()
    if torch.are_deterministic_algorithms_enabled():  # of the sum over images CUDA has no such variant
        logits, labels = labelled(logits, labels)
    total = F.cross_entropy(
        logits, labels, weights, ignore_index=IGNORE, reduction="sum", label_smoothing=smoothing
    )
    known = labels[labels != IGNORE]
    return total / weights[known].sum().clamp(min=1e-6)


def labelled(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Take the labelled pixels out: logits ``(pixels, classes)`` and labels ``(pixels,)``."""
    known = labels != IGNORE
    return logits.movedim(1, -1)[known], labels[known]


def make_loss(parts: Mapping[str, float], weights: torch.Tensor, smoothing: float = 0.0) -> Loss:
    """Return the weighted sum of losses.

    Parameters
    ----------
    parts : mapping of str to float
        Weight of each loss by its name: ``cross_entropy``, ``cldice`` or one in `LOSSES`.
    weights : torch.Tensor
        Weights of the classes, shape ``(classes,)``, on the device of the logits.
    smoothing : float
        Label smoothing of cross-entropy and binary cross-entropy; regions have sharp borders.
    """
    regions = [(share, LOSSES[name](weights, smoothing)) for name, share in parts.items() if name in LOSSES]
    entropy, shape = parts.get("cross_entropy", 0.0), parts.get("cldice", 0.0)

    def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if entropy:
            total = entropy * cross_entropy(logits, labels, weights, smoothing)
        else:
            total = logits.float().sum() * 0  # what a batch without labels costs, and what it teaches
        if shape:
            total = total + shape * centreline_dice(logits, labels, weights)
        if regions:
            values, codes = labelled(logits.float(), labels)
            if len(codes):
                row, codes = (
                    values.T[None, :, None],
                    codes[None, None],
                )  # (1, classes, 1, pixels), (1, 1, pixels)
                total = total + sum(share * part(row, codes) for share, part in regions)
        return total

    return loss


def _dice(weights: torch.Tensor, _: float) -> Loss:
    from segmentation_models_pytorch.losses import DiceLoss

    return DiceLoss("multiclass", class_weights=weights.tolist())


def _jaccard(weights: torch.Tensor, _: float) -> Loss:
    from segmentation_models_pytorch.losses import JaccardLoss

    return JaccardLoss("multiclass", class_weights=weights.tolist())


def _tversky(weights: torch.Tensor, _: float) -> Loss:
    from segmentation_models_pytorch.losses import TverskyLoss

    # A missed pixel costs more than a false one, as the paper advises for rare classes.
    return TverskyLoss("multiclass", alpha=0.3, beta=0.7, class_weights=weights.tolist())


def _focal(weights: torch.Tensor, _: float) -> Loss:
    from segmentation_models_pytorch.losses import FocalLoss

    return FocalLoss("multiclass", gamma=2.0, class_weights=weights.tolist())


def _lovasz(weights: torch.Tensor, _: float) -> Loss:
    return lambda row, codes: lovasz_softmax(row[0, :, 0].T, codes[0, 0], weights)


def _bce(weights: torch.Tensor, smoothing: float) -> Loss:
    def loss(row: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        target = F.one_hot(codes, row.shape[1]).movedim(-1, 1).to(row.dtype)
        target = target * (1 - smoothing) + smoothing / row.shape[1]
        each = F.binary_cross_entropy_with_logits(row, target, reduction="none").mean(dim=(0, 2, 3))
        return (each * weights).sum() / weights.sum()

    return loss


LOSSES: dict[str, Callable[[torch.Tensor, float], Loss]] = {
    "bce": _bce,  # each class against the rest
    "dice": _dice,  # arXiv:1606.04797
    "focal": _focal,  # arXiv:1708.02002
    "jaccard": _jaccard,  # doi:10.1007/978-3-319-50835-1_22
    "lovasz": _lovasz,  # arXiv:1705.08790
    "tversky": _tversky,  # arXiv:1706.05721
}
"""Losses besides cross-entropy: from class weights and label smoothing to ``loss(row, codes)``."""
