"""Haze, shadow and missing bands: what the weather and the sensor do to an image.

As in `geodl.training.augment`, images are float32 ``(bands, y, x)`` in normalised units, and a
`torch.Generator` fixes everything.
"""

import torch
import torch.nn.functional as F


def smooth_field(height: int, width: int, cells: int, generator: torch.Generator) -> torch.Tensor:
    """Draw a smooth field between 0 and 1: random values on a coarse grid, interpolated.

    Parameters
    ----------
    height, width : int
        Size in pixels.
    cells : int
        Grid points along a side; the fewer, the larger the patches.

    Returns
    -------
    torch.Tensor
        Shape ``(height, width)``.
    """
    coarse = torch.rand((1, 1, cells, cells), generator=generator)
    return F.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)[0, 0].clamp(0, 1)


def add_haze(image: torch.Tensor, amount: float, generator: torch.Generator) -> torch.Tensor:
    """Lay a veil of uneven thickness over the image: bright, and in each band a little different.

    `amount` is the largest possible veil in standard deviations.
    """
    thickest = amount * torch.rand((), generator=generator)
    share = 0.5 + 0.5 * torch.rand((image.shape[0], 1, 1), generator=generator)
    return image + thickest * share * smooth_field(image.shape[-2], image.shape[-1], 4, generator)


def add_shadow(image: torch.Tensor, amount: float, generator: torch.Generator) -> torch.Tensor:
    """Take light from patches with soft borders.

    In normalised units no value stands for darkness; the darkest pixel of each band does. `amount` is
    the largest share of the light that can be missing.
    """
    depth = amount * torch.rand((), generator=generator)
    level = 0.4 + 0.4 * torch.rand((), generator=generator)
    patches = torch.sigmoid(20 * (smooth_field(image.shape[-2], image.shape[-1], 5, generator) - level))
    dark = image.amin(dim=(-2, -1), keepdim=True)
    return dark + (image - dark) * (1 - depth * patches)


def drop_channels(image: torch.Tensor, chance: float, generator: torch.Generator) -> torch.Tensor:
    """Replace bands by their mean, each with a chance of `chance`; one band at least stays."""
    draws = torch.rand(image.shape[0], generator=generator)
    kept = draws >= chance
    kept[draws.argmax()] = True
    return torch.where(kept[:, None, None], image, 0.0)
