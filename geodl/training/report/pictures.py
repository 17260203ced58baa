"""Small pictures inside the page: a scene, labels, a prediction and its errors."""

from collections.abc import Sequence

import numpy as np

from geodl.assess.labels import IGNORE
from geodl.look.pictures import shown_bands
from geodl.models.spec import BandSpec, ClassSpec
from geodl.tiles import Window
from geodl.training.plots import Plot

UNLABELLED = (214, 214, 214)
WRONG = (214, 0, 110)
_NO_DATA = (32, 32, 32)
_BLACK, _WHITE = -2.0, 3.0  # standard deviations from the mean: more scenes have bright spots than dark ones


def scene_picture(plot: Plot, window: Window, bands: Sequence[BandSpec]) -> np.ndarray:
    """Show a window of a scene: uint8, shape ``(height, width, 3)``; no data is dark.

    All windows share one stretch, by the mean and deviation of the training pixels, so that bright
    places look brighter than dark ones.
    """
    values, valid = plot.window(window)
    shown = list(shown_bands([band.name for band in bands]))
    mean = np.array([bands[k].mean for k in shown])[:, None, None]
    std = np.array([bands[k].std for k in shown])[:, None, None]
    scaled = np.where(valid, (values[shown] - mean) / std, 0)
    scaled = ((np.nan_to_num(scaled) - _BLACK) / (_WHITE - _BLACK)).clip(0, 1)
    picture = np.moveaxis((255 * scaled).round().astype(np.uint8), 0, -1)
    return np.where(valid[..., None], picture, np.array(_NO_DATA, dtype=np.uint8))


def class_picture(codes: np.ndarray, classes: Sequence[ClassSpec]) -> np.ndarray:
    """Paint class positions in the colours of the classes; what has no class is grey."""
    palette = np.full((IGNORE + 1, 3), UNLABELLED, dtype=np.uint8)
    palette[: len(classes)] = [c.rgb for c in classes]
    return palette[codes]


def error_picture(scene: np.ndarray, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Mark the wrong pixels over a pale grey scene; pixels without a label are plain grey."""
    grey = scene.mean(axis=-1, keepdims=True)
    picture = (150 + 0.4 * grey).round().astype(np.uint8).repeat(3, axis=-1)
    picture[labels == IGNORE] = UNLABELLED
    picture[(labels != IGNORE) & (labels != predicted)] = WRONG
    return picture
