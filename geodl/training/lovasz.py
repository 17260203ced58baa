"""The Lovász-Softmax loss, with a weight for each class.

Berman et al. 2018, "The Lovász-Softmax loss: a tractable surrogate for the optimization of the
intersection-over-union measure in neural networks", https://arxiv.org/abs/1705.08790. The loss of
segmentation-models-pytorch is the same without weights.
"""

import torch
import torch.nn.functional as F


def lovasz_softmax(logits: torch.Tensor, codes: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the weighted mean, over the classes that occur, of the extended Jaccard loss.

    The errors of a class, worst first, are summed, each times what it adds to the Jaccard loss if the
    pixels before it are wrong already (equation 9 and algorithm 1 of the paper).

    Parameters
    ----------
    logits : torch.Tensor
        Scores of labelled pixels, shape ``(pixels, classes)``.
    codes : torch.Tensor
        Their classes, int64, shape ``(pixels,)``.
    weights : torch.Tensor
        Weights of the classes in the mean, shape ``(classes,)``.
    """
    shares = torch.softmax(logits.float(), dim=1).T  # (classes, pixels)
    truth = F.one_hot(codes, logits.shape[1]).T.to(shares.dtype)
    errors, order = (truth - shares).abs().sort(dim=1, descending=True)
    truth = truth.gather(1, order)
    total = truth.sum(dim=1, keepdim=True)
    both = total - truth.cumsum(dim=1)
    either = total + (1 - truth).cumsum(dim=1)
    grown = 1 - both / either.clamp(min=1)  # Jaccard loss with the worst pixels wrong
    steps = torch.diff(grown, dim=1, prepend=torch.zeros_like(total))
    weights = weights * (total[:, 0] > 0)
    return ((errors * steps).sum(dim=1) * weights).sum() / weights.sum().clamp(min=1e-6)
