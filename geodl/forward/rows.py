"""A panel of a scene that the network is fed from top to bottom."""

from collections.abc import Collection
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from geodl.errors import GeodlError
from geodl.forward.tiles import Tiles
from geodl.scores import Scores
from geodl.stream import Stream

if TYPE_CHECKING:
    from geodl.forward.network import Forward


class RowStream:
    """A panel of a scene on its way through a network, from `Forward.start_rows`."""

    def __init__(
        self, forward: "Forward", stream: Stream, height: int, margin: int, layers: Collection[str]
    ) -> None:
        self._forward, self._stream, self._left = forward, stream, height
        beside = margin - stream.plan.trims[-1]  # the others are left out on the way
        self._columns = slice(beside, -beside or None)
        self._layers = layers

    def push(self, tiles: Tiles) -> list[tuple[int, Scores]]:
        """Feed the next rows, as a single tile.

        Returns
        -------
        list of (int, Scores)
            First row on the canvas of what has become ready, and its scores, of shapes (1, rows, columns).

        Raises
        ------
        GeodlError
            If the device's memory does not hold the panel.
        """
        try:
            return self._forward.on_device(self._push, tiles)
        except torch.OutOfMemoryError as error:
            raise GeodlError(
                f"device {self._forward.device}",
                f"its memory does not hold a panel of {self._stream.width} columns",
                "free the device, use tiles with --tile, or --device cpu",
            ) from error

    @torch.inference_mode()
    def _push(self, tiles: Tiles) -> list[tuple[int, Scores]]:
        ready = [self._stream.push(self._forward.inputs(tiles))]
        self._left -= tiles.valid.shape[1]
        if self._left <= 0:
            ready += self._stream.finish()
        return [(part[0], self._classify(part[1])) for part in ready if part is not None]

    def _classify(self, scores: Tensor) -> Scores:
        return self._forward.meaning.layers(scores[..., self._columns].float(), self._layers)
