"""Random changes to training samples: geometry for image and labels, radiometry for the image alone.

All functions are pure and take a `torch.Generator`, so that a seed fixes every sample. Images are
float32 tensors ``(bands, y, x)`` in normalised units (mean 0, standard deviation 1 per band), labels
are integer tensors ``(y, x)``.
"""

import math

import torch
import torch.nn.functional as F

from geodl.training.recipe import Augment
from geodl.training.weather import add_haze, add_shadow, drop_channels
from geodl.views import VIEWS, turn


def uniform(low: float, high: float, generator: torch.Generator, size: tuple[int, ...] = ()) -> torch.Tensor:
    """Draw uniformly from ``[low, high)``."""
    return low + (high - low) * torch.rand(size, generator=generator)


def zoom_to(image: torch.Tensor, labels: torch.Tensor, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Resample to squares of `side` pixels: the image bilinearly, the labels by nearest neighbour.

    Shrinking smooths first (anti-aliasing), as a coarser sensor would.
    """
    if image.shape[-1] == side:
        return image, labels
    image = F.interpolate(image[None], (side, side), mode="bilinear", antialias=True)[0]
    labels = F.interpolate(labels[None, None].float(), (side, side), mode="nearest-exact")[0, 0]
    return image, labels.to(torch.int64)


def change_light(image: torch.Tensor, amounts: Augment, generator: torch.Generator) -> torch.Tensor:
    """Vary brightness, contrast, the balance of the channels and the gamma curve."""
    channels = (image.shape[0], 1, 1)
    gain = 1 + uniform(-amounts.contrast, amounts.contrast, generator)
    shift = uniform(-amounts.brightness, amounts.brightness, generator)
    gains = 1 + uniform(-amounts.channels, amounts.channels, generator, channels)
    shifts = uniform(-amounts.channels, amounts.channels, generator, channels)
    image = image * (gain * gains) + (shift + shifts)
    if amounts.gamma:
        exponent = math.exp(float(uniform(-amounts.gamma, amounts.gamma, generator)))
        low, high = image.min(), image.max()
        spread = (high - low).clamp(min=1e-6)
        image = ((image - low) / spread) ** exponent * spread + low
    return image


def blur(image: torch.Tensor, sigma: float) -> torch.Tensor:
    """Smooth by a Gaussian of standard deviation `sigma` pixels, cut off at three of them."""
    radius = math.ceil(3 * sigma)
    if sigma < 0.1 or radius >= min(image.shape[-2:]):  # below 0.1 px the neighbours' weight is 0
        return image
    position = torch.arange(-radius, radius + 1, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (position / sigma) ** 2)
    taps = (kernel / kernel.sum()).tolist()
    height, width = image.shape[-2:]
    # Shifted sums: on one core three times faster than a convolution of one channel.
    padded = F.pad(image, (radius,) * 4, mode="reflect")
    rows = sum(tap * padded[:, i : i + height] for i, tap in enumerate(taps))
    return sum(tap * rows[:, :, i : i + width] for i, tap in enumerate(taps))


def move(image: torch.Tensor, rows: float, columns: float) -> torch.Tensor:
    """Shift an image down and right by parts of pixels, bilinearly; its border is repeated."""
    margin = math.ceil(max(abs(rows), abs(columns))) + 1
    padded = F.pad(image[None], (margin,) * 4, mode="replicate")[0]
    height, width = image.shape[-2:]
    top, left = math.floor(margin - rows), math.floor(margin - columns)
    down, right = margin - rows - top, margin - columns - left
    across = torch.lerp(padded[..., left : left + width], padded[..., left + 1 : left + 1 + width], right)
    return torch.lerp(across[:, top : top + height], across[:, top + 1 : top + 1 + height], down)


def augment(
    image: torch.Tensor,
    labels: torch.Tensor,
    amounts: Augment,
    generator: torch.Generator,
    *,
    dates: int = 1,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Apply every change of the recipe to one sample.

    But for the zoom, which happens when the sample is cut, and CutMix, which needs two. Several dates are
    turned alike, while each has a light, haze, shadows and noise of its own.

    Parameters
    ----------
    image, labels : torch.Tensor
        Shapes ``(bands, y, x)`` and ``(y, x)``, square.
    amounts : Augment
        The largest amount of each change.
    generator : torch.Generator
        Source of all randomness.
    dates : int
        How many dates the bands are of, equally many of each, one date after the other.

    Returns
    -------
    tuple of torch.Tensor
        New image and labels of the same shapes.
    """
    if amounts.flips_rotations:
        view = int(torch.randint(VIEWS, (), generator=generator))
        image, labels = turn(image, view), turn(labels, view)
    each = [_weathered(date, amounts, generator) for date in image.chunk(dates)]
    if amounts.shift:
        rows, columns = uniform(-amounts.shift, amounts.shift, generator, (2,)).tolist()
        each[1] = move(each[1], rows, columns)
    if amounts.swap_dates and float(uniform(0, 1, generator)) < amounts.swap_dates:
        each.reverse()
    return torch.cat(each), labels


def _weathered(image: torch.Tensor, amounts: Augment, generator: torch.Generator) -> torch.Tensor:
    """Change what one date looks like."""
    image = change_light(image, amounts, generator)
    if amounts.haze:
        image = add_haze(image, amounts.haze, generator)
    if amounts.shadow:
        image = add_shadow(image, amounts.shadow, generator)
    if amounts.blur:
        image = blur(image, float(uniform(0, amounts.blur, generator)))
    if amounts.noise:
        level = uniform(0, amounts.noise, generator)
        image = image + level * torch.randn(image.shape, generator=generator)
    if amounts.channel_dropout:
        image = drop_channels(image, amounts.channel_dropout, generator)
    return image
