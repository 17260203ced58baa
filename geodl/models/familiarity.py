"""How far the features of a pixel lie from those of the training data: what a model has not seen.

The Mahalanobis distance to the nearest class mean, in the features that the class scores are made of and the
bands of the pixel together, with one covariance for all classes: Lee, Lee, Lee and Shin, *A Simple Unified
Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks* (NeurIPS 2018,
https://arxiv.org/abs/1807.03888).
Whitened, z = W (f - centre), the squared distance to class c is ``|z|^2 - 2 m_c z + |m_c|^2``, linear in
(z * z, z): two convolutions of 1 x 1 and a product, which stream wherever the network does.
"""

from dataclasses import dataclass

import numpy as np

from geodl.errors import ModelError
from geodl.models.weights import read_header

FAMILIAR_FILE = "familiar.safetensors"
QUANTILES = 101
_HELD_OUT = 0.2  # share of the pixels that tell which distances are usual
_SHRINKAGE = 1e-3
"""By which features are taken to be less correlated than they are found: the rest is chance."""
_FLOOR = 1e-4
"""Share of the mean variance that every feature gets at least: one that never varies in training, as that
of a unit that is always off, must not make the distance infinite."""
_SMALLEST = 1e-12  # variance, where nothing varies at all


@dataclass(frozen=True, kw_only=True, eq=False)
class Familiar:
    """What the features of the training data, and their bands, look like; float32 arrays.

    Parameters
    ----------
    centre : numpy.ndarray
        Mean of the features, shape ``(features,)``.
    whitening : numpy.ndarray
        Takes features less the centre to uncorrelated ones of variance 1, ``(features, features)``.
    means : numpy.ndarray
        Whitened mean of each class that occurred, ``(classes, features)``.
    quantiles : numpy.ndarray
        Squared distances that 0, 1, ... 100 % of the training pixels do not exceed, ``(101,)``.
    """

    centre: np.ndarray
    whitening: np.ndarray
    means: np.ndarray
    quantiles: np.ndarray

    def distances(self, features: np.ndarray) -> np.ndarray:
        """Return the squared distance of each pixel to the nearest class.

        Parameters
        ----------
        features : numpy.ndarray
            Shape ``(pixels, features)``.

        Returns
        -------
        numpy.ndarray
            float64, ``(pixels,)``.
        """
        whitened = (features.astype(np.float64) - self.centre) @ self.whitening.T.astype(np.float64)
        nearest = np.full(len(whitened), np.inf)
        for mean in self.means:  # one by one: all at once would take classes times the memory
            np.minimum(nearest, np.square(whitened - mean).sum(axis=1), out=nearest)
        return nearest

    def to_bytes(self) -> bytes:
        """Return the content of ``familiar.safetensors``."""
        from safetensors.numpy import save

        return save({name: np.ascontiguousarray(value) for name, value in vars(self).items()})


def fit_familiar(features: np.ndarray, labels: np.ndarray, *, seed: int = 0) -> Familiar:
    """Describe the features of labelled training pixels.

    Parameters
    ----------
    features : numpy.ndarray
        float, shape ``(pixels, features)``.
    labels : numpy.ndarray
        Class positions, integers, shape ``(pixels,)``.
    seed : int
        Of the choice of the fifth of the pixels that only tells which distances are usual.

    Raises
    ------
    ModelError
        Fewer than ten pixels, or features that are not finite.
    """
    if len(features) < 10 or not np.isfinite(features).all():
        few = len(features) < 10
        raise ModelError(
            "familiarity",
            f"{len(features)} labelled pixels are too few" if few else "the features are not finite",
            "give more labels" if few else "train with a smaller learning rate",
        )
    order = np.random.default_rng(seed).permutation(len(features))
    kept = round(_HELD_OUT * len(order))
    known, classes = features[order[kept:]].astype(np.float64), labels[order[kept:]]
    centre = known.mean(axis=0)
    means = []
    for code in np.unique(classes):
        here = classes == code
        means.append(known[here].mean(axis=0))
        known[here] -= means[-1]  # what is left varies within the class
    covariance = known.T @ known / len(known)
    variance = np.diag(covariance).copy()
    covariance *= 1 - _SHRINKAGE
    np.fill_diagonal(covariance, np.maximum(variance, max(_FLOOR * variance.mean(), _SMALLEST)))
    whitening = np.linalg.inv(np.linalg.cholesky(covariance))
    rounded = {
        "centre": centre.astype(np.float32),
        "whitening": whitening.astype(np.float32),
        "means": ((np.array(means) - centre) @ whitening.T).astype(np.float32),
    }
    usual = Familiar(**rounded, quantiles=np.zeros(QUANTILES, np.float32))
    found = np.quantile(usual.distances(features[order[:kept]]), np.linspace(0, 1, QUANTILES))
    return Familiar(**rounded, quantiles=found.astype(np.float32))


def read_familiar(content: bytes, what: str) -> Familiar:
    """Return what a ``familiar.safetensors`` holds.

    Parameters
    ----------
    content : bytes
        The whole file.
    what : str
        How to name the file in an error.

    Raises
    ------
    ModelError
        It is damaged, or holds something else.
    """
    from safetensors.numpy import load

    shapes = {name: entry.shape for name, entry in read_header(content, what).items()}
    features = shapes.get("centre", ())
    expected = {
        "centre": features,
        "whitening": features * 2,
        "means": (*shapes.get("means", ())[:1], *features),
        "quantiles": (QUANTILES,),
    }
    if shapes != expected or len(features) != 1 or min(shapes["means"]) < 1:
        raise _damaged(what, f"it holds tensors of shapes {shapes}")
    found = Familiar(**{name: value.astype(np.float32) for name, value in load(content).items()})
    if not all(np.isfinite(value).all() for value in vars(found).values()):
        raise _damaged(what, "a number in it is not finite")
    if (np.diff(found.quantiles) < 0).any():
        raise _damaged(what, "its quantiles do not ascend")
    return found


def _damaged(what: str, cause: str) -> ModelError:
    return ModelError(what, cause, "make it anew with `geodl models familiarise`")
