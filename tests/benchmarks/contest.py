"""Contenders for one scene and network: each is run between two measurements of its bounds."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from geodl.cli import SETTINGS
from geodl.models.bundle import load_model
from tests.benchmarks import bounds, peers, runs, seams
from tests.benchmarks.process import call
from tests.benchmarks.rows import Bounds, Row

PEER_HALOS = (0, 64)  # what peers use; the halo of the model is tried as well
SUMMED = ("three_layers",)  # networks so cheap that reading and writing belong to the bound


@dataclass(frozen=True, kw_only=True)
class Case:
    """One network over one square scene.

    Parameters
    ----------
    network, precision, layout : str
    size : int
        Side of the scene, a multiple of 1024.
    scene, model : pathlib.Path
        The file and the model folder.
    folder : pathlib.Path
        Where results go, and are removed again.
    """

    network: str
    precision: str
    layout: str
    size: int
    scene: Path
    model: Path
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How to measure.

    Parameters
    ----------
    threads : int
        Threads that compute, in runs and in bounds.
    seconds : float
        For which a bound is measured at most; the rest is extrapolated.
    commands : bool
        Also time the whole command.
    seams : bool
        Also compare the maps with that of the network that sees the whole scene.
    """

    threads: int
    seconds: float = 10.0
    commands: bool = True
    seams: bool = True


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A way to make the map: a function that takes scene, model, out, precision and `arguments`."""

    mode: str
    function: Callable[..., dict[str, Any]]
    arguments: dict[str, Any]

    @property
    def ours(self) -> bool:
        """Whether it is geodl."""
        return self.function is runs.run


def geodl_contenders(modes: Iterable[str], tile: int) -> Iterator[Contender]:
    """geodl in the modes ``stream`` and ``tiles``."""
    tiles = {"stream": None, "tiles": tile}
    for mode in modes:
        yield Contender(mode=mode, function=runs.run, arguments={"tile": tiles[mode]})


def peer_contenders(model: Path) -> Iterator[Contender]:
    """Both peers with each halo."""
    for function in (peers.map_overlap, peers.window_loop):
        for halo in sorted({*PEER_HALOS, load_model(model).spec.halo}):
            yield Contender(mode=f"{function.__name__} {halo}", function=function, arguments={"halo": halo})


def contest(case: Case, contenders: Iterable[Contender], effort: Effort) -> Iterator[Row]:
    """Measure the contenders one after the other."""
    best, reference = _best_tile(case, effort), case.folder / "reference.npy"
    if effort.seams:
        call(seams.write_reference, threads=effort.threads, path=reference, **_common(case))
    for contender in contenders:
        yield _measured(case, contender, effort, best, reference)
    reference.unlink(missing_ok=True)


def _measured(case: Case, contender: Contender, effort: Effort, best: int, reference: Path) -> Row:
    out = case.folder / "out"
    before = _bounds(case, contender, effort, best)
    outcome = call(
        contender.function,
        threads=effort.threads,
        settings=SETTINGS if contender.ours else None,  # those of the command
        out=out,
        **_common(case),
        **contender.arguments,
    )
    bounds_met = before.mean(_bounds(case, contender, effort, best))
    made = outcome.value["map"]
    if contender.ours and case.network in SUMMED:
        written = call(bounds.write_map, threads=effort.threads, source=made, model=case.model)
        bounds_met = replace(bounds_met, write=written.value)
    flips, difference = _seams(case, contender, effort, made, reference) if effort.seams else (None, None)
    _remove(out)
    return Row(
        network=case.network,
        mode=contender.mode,
        precision=case.precision,
        layout=case.layout,
        size=case.size,
        wall_s=outcome.value["seconds"],
        again_s=outcome.value.get("again"),
        command_s=_command(case, contender, effort) if contender.ours and effort.commands else None,
        bounds=bounds_met,
        peak_gib=outcome.peak_gib,
        flips=flips,
        difference=difference,
    )


def _common(case: Case) -> dict[str, Any]:
    return {"scene": case.scene, "model": case.model, "precision": case.precision}


def _best_tile(case: Case, effort: Effort) -> int:
    outcome = call(
        bounds.best_tile, threads=effort.threads, model=case.model, precision=case.precision, size=case.size
    )
    return int(outcome.value)


def _bounds(case: Case, contender: Contender, effort: Effort, best: int) -> Bounds:
    """Measure what can be measured before the run as well: the speed of a shared machine drifts."""
    limit = {"threads": effort.threads, "seconds": effort.seconds}
    forward = {"model": case.model, "precision": case.precision}
    bare = call(bounds.bare_scene, size=case.size, tile=best, **forward, **limit).value
    tile, tiles, read = contender.arguments.get("tile"), None, None
    if tile is not None:
        tiles = call(bounds.bare_tiles, scene=case.scene, tile=tile, **forward, **limit).value
    if contender.ours and case.network in SUMMED:
        read = call(bounds.read_scene, threads=effort.threads, scene=case.scene).value
    return Bounds(bare=bare, tiles=tiles, read=read)


def _seams(
    case: Case, contender: Contender, effort: Effort, made: str, reference: Path
) -> tuple[float, float | None]:
    """Share of flipped classes in the map, and, of geodl, the largest difference of a probability."""
    flips = call(seams.flipped, threads=1, path=made, model=case.model, reference=reference).value
    if not contender.ours:
        return flips, None
    arguments = {**_common(case), **contender.arguments, "reference": reference}
    return flips, call(seams.largest_difference, threads=effort.threads, **arguments).value


def _command(case: Case, contender: Contender, effort: Effort) -> float:
    out = case.folder / "out"
    seconds = runs.run_command(
        case.scene, case.model, out, case.precision, contender.arguments["tile"], effort.threads
    )
    _remove(out)
    return seconds


def _remove(out: Path) -> None:
    if out.is_dir():
        shutil.rmtree(out)
    else:
        out.unlink()
