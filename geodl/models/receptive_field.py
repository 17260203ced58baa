"""How far an output pixel of an encoder-decoder looks, from integers alone."""

from collections.abc import Sequence


def overhang(*, encoder: Sequence[int], bottom: int, decoder: Sequence[int]) -> int:
    """Pixels that a cell of output pixels sees beyond its own border.

    The networks meant here halve the grid between levels with 2 x 2 pooling, double it by copying
    (nearest upsampling or unpooling), and have nothing else but 3 x 3 convolutions. A cell is the
    ``stride x stride`` square of pixels that share one value at the coarsest level,
    ``stride = 2 ** len(encoder)``. Tiles start on cell borders, so a halo of this size is exact.

    Parameters
    ----------
    encoder, decoder : sequence of int
        Number of 3 x 3 convolutions in a row before each pooling and after each doubling, finest
        level first.
    bottom : int
        Number of 3 x 3 convolutions in a row at the coarsest level.

    Returns
    -------
    int
        Pixels of the input grid. Beyond them the gradient of the output is exactly zero.

    Raises
    ------
    ValueError
        Encoder and decoder differ in their number of levels.

    Examples
    --------
    One convolution at full size looks one pixel far; the same at half size looks two:

    >>> overhang(encoder=[], bottom=1, decoder=[])
    1
    >>> overhang(encoder=[0], bottom=1, decoder=[0])
    2
    """
    if len(encoder) != len(decoder):
        raise ValueError(f"encoder has {len(encoder)} levels, decoder has {len(decoder)}")
    stride = 2 ** len(encoder)
    farthest = 0
    for pixel in range(stride):
        # Walk from the output back to the input along the deepest path; first and last index seen.
        first = last = pixel
        for convolutions in decoder:
            first, last = (first - convolutions) // 2, (last + convolutions) // 2
        first, last = first - bottom, last + bottom
        for convolutions in reversed(encoder):
            first, last = 2 * first - convolutions, 2 * last + 1 + convolutions
        farthest = max(farthest, -first, last - (stride - 1))
    return farthest


def rounded_up(pixels: int, stride: int) -> int:
    """Return the smallest multiple of `stride` that is at least `pixels`."""
    return -(-pixels // stride) * stride
