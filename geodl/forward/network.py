"""`Forward`: a network on a device, and the one thread that feeds it."""

import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from geodl.errors import GeodlError, ModelError
from geodl.forward.rows import RowStream
from geodl.forward.tiles import Tiles
from geodl.heap import keep_heap
from geodl.match import Scaling
from geodl.models.bundle import Model
from geodl.models.distances import CONVOLUTIONS, WithDistances
from geodl.models.fold import fold_batch_norms
from geodl.models.precision import as_bfloat16
from geodl.scores import Meaning, Scores, classify
from geodl.stream import Graph, NotLocalError, Plan, Stream, trace
from geodl.views import VIEWS, Views, turn, turn_back

T = TypeVar("T")


class Forward:
    """A network on a device, and the one thread that feeds it.

    Blocks take turns: `reading` and `computing` are held by the one whose pixels are read, and whose tiles
    are computed.

    Parameters
    ----------
    model : Model
        What to load.
    device : str
        ``"cpu"`` or ``"cuda"``.
    precision : str
        ``"fp32"`` or ``"bf16"``.
    novelty : bool
        Whether to measure how far pixels lie from the training data, too.
    """

    def __init__(self, model: Model, device: str, precision: str = "fp32", *, novelty: bool = False) -> None:
        keep_heap()
        self.reading, self.computing = threading.Lock(), threading.Lock()
        self.device = torch.device(device)
        self.spec = model.spec
        self._singly = self.device.type == "cpu"
        self._dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self._streams: dict[tuple[int, int, int], Stream] = {}
        self._model = model
        self._familiar = model.familiar() if novelty else None
        quantiles = None
        if self._familiar is not None:
            quantiles = torch.from_numpy(self._familiar.quantiles).to(self.device)
        self.meaning = Meaning(
            values=model.spec.class_values, temperature=model.spec.temperature, quantiles=quantiles
        )
        self._network: nn.Module | None = None
        self._graph: Graph | GeodlError | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="geodl-device")

    def _over_tiles(self) -> nn.Module:
        """Return the network as it runs over tiles, loading it on first use."""
        if self._network is None:
            network = fold_batch_norms(self._model.network(self.device))
            network = network.to(memory_format=torch.channels_last)
            if self._dtype == torch.bfloat16:
                network = as_bfloat16(network)
            self._network = self._measuring(network)
        return self._network

    def _measuring(self, network: nn.Module) -> nn.Module:
        """Return a network that gives distances as well, if these are wanted."""
        return network if self._familiar is None else WithDistances(network, self._familiar)

    @property
    def graph(self) -> Graph | GeodlError:
        """The network as a graph that runs as a stream of rows, or what forbids it."""
        return self._thread.submit(self._traced).result()

    def _traced(self) -> Graph | GeodlError:
        if self._graph is None:
            try:
                self._graph = self._trace()
            except GeodlError as error:
                self._graph = error
        return self._graph

    def _trace(self) -> Graph:
        if self.spec.stitch == "blend":
            what, cause = f"model {self.spec.name}", "it asks for its tiles to be blended"
            raise NotLocalError(what, cause, "use a local architecture")
        dtype = None if self._dtype == torch.float32 else self._dtype
        return trace(
            self._measuring(self._model.network(self.device)),
            bands=len(self.spec.bands),
            stride=self.spec.stride,
            dtype=dtype,
            kept=1 if self._familiar is None else CONVOLUTIONS,
        )

    def start_rows(
        self,
        *,
        strip: int,
        width: int,
        height: int,
        first: int,
        margin: int,
        rows: tuple[int, int] | None = None,
        layers: Collection[str] = ("class",),
    ) -> RowStream:
        """Begin to feed a panel of a canvas to the network, which must have a `graph`, from top to bottom.

        Parameters
        ----------
        strip, width : int
            Rows that are fed at a time, and columns of the panel.
        height, first : int
            Rows of the canvas, and the row with which the panel begins.
        margin : int
            Columns to leave out on each side of the result.
        rows : tuple of int, optional
            Rows ``start..stop`` of the canvas of which the result is wanted; by default all.
        layers : collection of str
            What to give, of `geodl.task.LAYERS`.
        """
        stream = self._stream(strip, width, margin)
        stream.start(height=height, first=first, rows=rows)
        return RowStream(self, stream, height - first, margin, layers)

    def _stream(self, strip: int, width: int, margin: int) -> Stream:
        """Return the network as a stream; the one used last is kept, with its buffers."""
        key = (strip, width, margin)
        if key not in self._streams:
            graph = self.graph
            if isinstance(graph, GeodlError):
                raise graph
            self._streams.clear()
            plan = Plan(graph=graph, strip=strip, beside=margin)
            stream = self._thread.submit(lambda: Stream(plan, width=width, device=self.device)).result()
            self._streams[key] = stream
        return self._streams[key]

    def warm(self, *, tile: tuple[int, int], strip: int | None, batch: int) -> None:
        """Let the network take the memory that it needs: run it once over nothing, as it will be run."""
        count, rows = (batch, tile[0]) if strip is None else (1, strip)
        zeros = np.zeros((count, len(self.spec.bands), rows, tile[1]), dtype=np.float32)
        scaling = Scaling(gain=(1.0,) * zeros.shape[1], bias=(0.0,) * zeros.shape[1])
        tiles = Tiles(pixels=zeros, valid=np.ones((count, rows, tile[1]), dtype=bool), scaling=scaling)
        if strip is None:
            self.classify(tiles, ("class", "confidence"))
            return
        stream = self.start_rows(strip=strip, width=tile[1], height=2**30, first=0, margin=0)
        for _ in range(-(-tile[0] // strip)):
            stream.push(tiles)

    def on_device(self, run: Callable[[Tiles], T], tiles: Tiles) -> T:
        """Run a function in the thread that the device belongs to."""
        return self._thread.submit(run, tiles).result()

    def shares(self, tiles: Tiles) -> np.ndarray:
        """Probabilities of the classes of a batch of tiles, float32, ``(N, classes, height, width)``.

        Where novelty is measured it is the last plane.

        Raises
        ------
        GeodlError
            If the device's memory does not hold even one tile; larger batches are halved first.
        """
        parts = self._in_parts(tiles, self._shares)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    @torch.inference_mode()
    def _shares(self, tiles: Tiles) -> np.ndarray:
        output = self._output(tiles)
        shares = self.meaning.probabilities(output)
        if self._familiar is not None:
            shares = torch.cat([shares, self.meaning.novelty(output).unsqueeze(1)], dim=1)
        return shares.cpu().numpy()

    def classify(
        self, tiles: Tiles, layers: Collection[str], margin: int = 0, *, turned: bool = False
    ) -> Scores:
        """Classify a batch of tiles but for `margin` pixels on each side; `layers` as for `classify`.

        With `turned` by the mean probabilities of the eight views of a tile, turned and mirrored.

        Raises
        ------
        GeodlError
            As `probabilities`.
        """
        parts = self._in_parts(tiles, lambda part: self._classify(part, margin, layers, turned))
        if len(parts) == 1:
            return parts[0]
        return {layer: np.concatenate([part[layer] for part in parts]) for layer in layers}

    def _in_parts(self, tiles: Tiles, run: Callable[[Tiles], T]) -> list[T]:
        """Run the batch on the device; where its memory is too small, by halves.

        A processor takes tiles one by one: a batch gains nothing there, and its size would change the
        last bits of a convolution.
        """
        count = len(tiles.pixels)
        if self._singly and count > 1:
            return [part for half in tiles.halves() for part in self._in_parts(half, run)]
        try:
            return [self.on_device(run, tiles)]
        except torch.OutOfMemoryError as error:
            if count == 1:
                size = " x ".join(map(str, tiles.valid.shape[1:]))
                raise GeodlError(
                    f"device {self.device}",
                    f"its memory does not hold one tile of {size} pixels",
                    "free the device, use smaller tiles with --tile, or --device cpu",
                ) from error
            return [part for half in tiles.halves() for part in self._in_parts(half, run)]

    def _views(self, tiles: Tiles) -> tuple[Views, Tensor]:
        """Probabilities of the tiles as they are, turned by 90, 180 and 270 degrees, and mirrored.

        And the mean novelty over these views, if it is measured; else zeros.
        """
        inputs, views = self.inputs(tiles), Views()
        novelty = torch.zeros((), device=self.device)
        for view in range(VIEWS):
            seen = turn(inputs, view).contiguous(memory_format=torch.channels_last)
            output = turn_back(self._run(seen), view)
            views.add(self.meaning.probabilities(output))
            if self._familiar is not None:
                novelty = novelty + self.meaning.novelty(output) / VIEWS
        return views, novelty

    @torch.inference_mode()
    def _output(self, tiles: Tiles) -> Tensor:
        return self._run(self.inputs(tiles))

    def _run(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self._over_tiles()(inputs)
        planes = len(self.spec.classes)
        if self._familiar is not None:
            planes += len(self._familiar.means)
        if outputs.shape[1] != planes or outputs.shape[-2:] != inputs.shape[-2:]:
            raise ModelError(
                f"model {self.spec.name}",
                f"its network turns {tuple(inputs.shape)} into {tuple(outputs.shape)}",
                f"it must give {len(self.spec.classes)} class scores per pixel",
            )
        return outputs.float()

    def inputs(self, tiles: Tiles) -> Tensor:
        """Scaled tiles on the device, (N, bands, height, width), channels last."""
        pixels = torch.from_numpy(tiles.pixels).to(self.device, torch.float32)
        gain, bias = (
            torch.tensor(values, dtype=torch.float32, device=self.device).view(1, -1, 1, 1)
            for values in (tiles.scaling.gain, tiles.scaling.bias)
        )
        pixels = torch.addcmul(bias, pixels, gain)
        if not tiles.valid.all():
            mask = torch.from_numpy(tiles.valid).to(self.device).unsqueeze(1)
            pixels = torch.where(mask, pixels, 0.0)
        return pixels.to(self._dtype, memory_format=torch.channels_last)

    @torch.inference_mode()
    def _classify(self, tiles: Tiles, margin: int, layers: Collection[str], turned: bool) -> Scores:
        rows, columns = (slice(margin, size - margin) for size in tiles.valid.shape[1:])
        if not turned:
            return self.meaning.layers(self._output(tiles)[..., rows, columns], layers)
        views, novelty = self._views(tiles)
        told = [name for name in layers if name not in ("spread", "novelty")]
        found = classify(views.mean.log()[..., rows, columns], self.meaning.values, told)
        for layer, plane in (("spread", views.spread()), ("novelty", novelty)):
            if layer in layers:
                found[layer] = plane[..., rows, columns].cpu().numpy()
        return found
