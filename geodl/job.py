"""A run of scenes: check, compute block by block, publish. It composes and holds no logic of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from geodl.alignment.tolerance import MOST
from geodl.batch import Entry, Outcome, SceneRun, Watch, run_batch
from geodl.batch import connect as connect
from geodl.change_run import prepare_pair
from geodl.changes.options import ChangeOptions
from geodl.errors import OptionError
from geodl.models.bundle import Model
from geodl.plan import parse_bytes
from geodl.publish import safe_name
from geodl.publish.collection import write_collection
from geodl.scene_run import Planner, prepare
from geodl.sources import Source
from geodl.task import PRODUCTS, USUAL

if TYPE_CHECKING:
    from distributed import Client

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How to run, and what to make.

    Parameters
    ----------
    block : int, optional
        Rows of a block, at most.
    memory : str, optional
        Memory that each process is to keep within, ``"4GB"``; decides how wide blocks are.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    precision : str
        ``auto``, ``fp32`` or ``bf16``; see `geodl.predict`.
    batch : int, optional
        Tiles per forward pass on a GPU.
    tile : int, optional
        Largest side of a tile in pixels, for networks that else run as a stream of rows, too.
    probabilities : bool
        Also write the probability of every class.
    tta : bool
        Average eight views of every tile, turned and mirrored, and write their spread.
    suppress_shift : int
        Take back changes that a shift of up to so many pixels explains; 0: none. Models of change only.
    products : tuple of str
        Which of ``map``, ``confidence``, ``entropy``, ``novelty`` and ``vectors`` to write.
    """

    block: int | None = None
    memory: str | None = None
    device: str = "auto"
    precision: str = "auto"
    batch: int | None = None
    tile: int | None = None
    probabilities: bool = False
    tta: bool = False
    suppress_shift: int = 0
    products: tuple[str, ...] = USUAL

    def __post_init__(self) -> None:
        for name in ("block", "batch", "tile"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OptionError(f"--{name} {value}", "it is less than 1", "give 1 or more")
        if self.memory is not None:
            parse_bytes(self.memory)
        if not 0 <= self.suppress_shift <= MOST:
            raise OptionError(
                f"--suppress-shift {self.suppress_shift}", f"is not from 0 to {MOST} pixels", "give 1"
            )
        unknown = [name for name in self.products if name not in PRODUCTS]
        if unknown or not self.products:
            said = ",".join(self.products)
            raise OptionError(
                f"--products {said}", f"{(unknown or ['nothing'])[0]!r} is none", f"use {', '.join(PRODUCTS)}"
            )


def run_scenes(
    sources: Sequence[Source],
    model: Model,
    out: Path,
    options: RunOptions,
    *,
    client: "Client",
    watches: Sequence[Watch] = (),
) -> list[Outcome]:
    """Map scenes one after the other with one model, and publish each as ``out/<scene name>``.

    The blocks of all scenes form one queue. A scene whose product is there already, of the same input,
    model and options, is skipped; one that was interrupted goes on where it stopped; one that fails
    stops no other. Of two scenes of one name the second fails. A folder of several products gets a
    ``collection.json`` for catalogues.

    Parameters
    ----------
    sources : sequence of Source
        The scenes.
    model : Model
        From `geodl.load_model`.
    out : pathlib.Path
        Folder of products, made if need be.
    options : RunOptions
        How to run, and what to make.
    client : distributed.Client
        From `geodl.cluster.connect`.
    watches : sequence of Watch
        Are told what happens.

    Returns
    -------
    list of Outcome
        In the order of the scenes.
    """
    planner = Planner(client, options)
    start = partial(prepare, model=model, out=out, options=options, planner=planner, skip=True)
    return _run_all(sources, start, out, client, watches)


def run_changes(
    sources: Sequence[Source],
    out: Path,
    options: ChangeOptions,
    *,
    client: "Client",
    watches: Sequence[Watch] = (),
) -> list[Outcome]:
    """Find what changed in pairs of dates without a model, one after the other, as `run_scenes` maps scenes.

    Parameters
    ----------
    sources : sequence of Source
        From `geodl.pairs.find_pairs`.
    out, client, watches
        As for `run_scenes`.
    options : ChangeOptions
        How change is found.

    Returns
    -------
    list of Outcome
        In the order of the pairs.
    """
    return _run_all(sources, partial(prepare_pair, out=out, options=options), out, client, watches)


def _run_all(
    sources: Sequence[Source],
    start: Callable[[xr.DataArray], SceneRun | Path],
    out: Path,
    client: "Client",
    watches: Sequence[Watch],
) -> list[Outcome]:
    names: dict[str, str] = {}

    def open_one(source: Source) -> SceneRun | Path:
        scene = source.open()
        _refuse_twin(names, str(scene.name), source.label[0])
        return start(scene)

    entries = [
        Entry(
            name=source.name or Path(source.label[0]).stem,
            sources=source.label,
            open=partial(open_one, source),
        )
        for source in sources
    ]
    outcomes = run_batch(entries, client, watches)
    if any(outcome.product for outcome in outcomes):
        write_collection(out)
    return outcomes


def run_scene(
    scene: xr.DataArray,
    model: Model,
    out: Path,
    options: RunOptions,
    *,
    client: "Client",
    progress: Progress | None = None,
) -> Path:
    """Map one scene and publish its product as ``out/<scene name>``, in the place of an older one.

    Blocks that an earlier, interrupted run of the same scene, model and options finished are taken up.

    Parameters
    ----------
    scene : xarray.DataArray
        From `geodl.open_scene`.
    model, out, options, client
        As for `run_scenes`.
    progress : callable, optional
        Called with (chunks done, chunks in all).

    Returns
    -------
    pathlib.Path
        The product folder.

    Raises
    ------
    GeodlError
        If scene and model do not fit, a block fails, or the product cannot be written; the folder then
        is absent or still holds the previous product.
    """
    planner = Planner(client, options)
    entry = Entry(
        name=str(scene.name),
        sources=tuple(scene.attrs["source"]),
        open=partial(prepare, scene, model=model, out=out, options=options, planner=planner, skip=False),
    )
    (outcome,) = run_batch([entry], client, [_Progress(progress)] if progress else ())
    if outcome.error is not None:
        raise outcome.error
    assert outcome.product is not None
    return outcome.product


class _Progress(Watch):
    """Passes the blocks of a single scene on to a function."""

    def __init__(self, show: Progress) -> None:
        self.show = show

    def advanced(self, number: int, run: Any, done: int) -> None:  # noqa: ARG002 - there is one scene
        self.show(done, run.chunks)


def _refuse_twin(names: dict[str, str], name: str, path: str) -> None:
    """Refuse a second scene of one name: its product would replace that of the first."""
    folder = safe_name(name).casefold()  # some file systems do not tell A from a
    if folder in names:
        raise OptionError(
            f"scene {path}",
            f"has the name of {names[folder]}",
            "map it in a run of its own with another --out",
        )
    names[folder] = path
