"""From a recipe to a model folder: decode, learn, check, keep the best."""

import copy
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from geodl.device import resolve_device
from geodl.errors import RecipeError
from geodl.heap import keep_heap
from geodl.models.bundle import Model, load_model
from geodl.models.spec import ModelSpec
from geodl.models.table import build_network
from geodl.training.apart import shared_warnings
from geodl.training.batch_size import settle_batch
from geodl.training.blend import Blend
from geodl.training.cache import open_storage
from geodl.training.checkpoint import (
    STATE_FILE,
    State,
    check_same,
    discard,
    fingerprint,
    hold,
    load_state,
    save_state,
    training_folder,
)
from geodl.training.clock import Clock
from geodl.training.description import check_patch, make_spec
from geodl.training.evaluate import Validation
from geodl.training.keeper import Keeper
from geodl.training.labelled import label_table, label_warnings
from geodl.training.learner import Learner
from geodl.training.loader import make_loader
from geodl.training.origin import read_source
from geodl.training.plots import Plot, decode, find_pairs, folders
from geodl.training.recipe import Recipe
from geodl.training.resuming import go_on
from geodl.training.samples import band_statistics, class_weights
from geodl.training.showing import Showing
from geodl.training.trainer import (
    check_devices,
    make_trainer,
    precision_of,
    quiet_lightning,
    rank,
    refuse_foreign,
    stop_on_interrupt,
    unchanged_torch,
)
from geodl.training.transfer import Source, transfer

Echo = Callable[[str], None]


def fit(
    recipe: Recipe,
    out: str | Path,
    *,
    device: str = "auto",
    devices: int = 1,
    workers: int | None = None,
    restart: bool = False,
    cache: Path | None = None,
    echo: Echo = print,
) -> Model:
    """Train the network of a recipe and keep the best state as a model folder.

    A run that was stopped or killed goes on where its last whole epoch ended, and on a CPU comes to
    the same weights as if nothing had happened.

    Parameters
    ----------
    recipe : Recipe
        From `geodl.training.recipe.load_recipe`.
    out : str or Path
        The model folder; also receives ``metrics.csv``, ``curve.png``, ``report.html`` and ``logs/``.
        An existing model folder is replaced as soon as the first epoch has been checked. Beside it,
        ``.NAME.training`` holds the state of an unfinished run.
    device : str
        ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:1``.
    devices : int
        Number of devices of that kind; each batch is divided among them, one process each.
    workers : int, optional
        Processes that prepare samples; by default none on a CPU, where the network needs every core.
    restart : bool
        Forget an unfinished run and begin anew.
    cache : Path, optional
        Folder that keeps the decoded scenes for later runs; by default they go with this one.
    echo : callable
        Called with a line of text per epoch.

    Returns
    -------
    Model
        The model kept: the epoch of the highest mean IoU, with its accuracy and its temperature on all
        validation pixels, and what the training data look like to it.
        On Ctrl-C the best so far.

    Raises
    ------
    RecipeError, SceneError, MismatchError, ModelError, OptionError, ProductError
        Where the recipe, its files, the device or the output folder cannot be used.
    """
    keep_heap()
    out = Path(out).absolute()
    place = resolve_device(device)
    check_devices(devices, place, recipe.optimisation)
    refuse_foreign(out)
    echo = echo if rank() == 0 else _say_nothing
    halo = make_spec(recipe).halo
    check_patch(recipe)
    pairs = find_pairs(recipe)
    # The folder of the run is held by the process that was started; the others read in it.
    holding = hold(out) if rank() == 0 else nullcontext(training_folder(out))
    with holding as folder, unchanged_torch(), quiet_lightning():
        if restart and rank() == 0:
            discard(folder)
        state = load_state(folder)
        source = None
        if state is None and recipe.start is not None:
            source = read_source(recipe.start, recipe.data_root)
        with open_storage(folder, cache) as storage:
            echo(f"decoding {len(pairs)} scenes")
            plots = decode(recipe, storage.run, gap=halo, cache=storage.scenes)
            for line in [
                *label_table(recipe, plots),
                *label_warnings(recipe, plots),
                *shared_warnings(plots),
            ]:
                echo(line)
            spec = make_spec(recipe, band_statistics(plots, recipe.bands), folders(recipe, "train"))
            run = _Run(recipe, spec, plots, out, folder, state, place, echo)
            return run.learn(source, devices, workers)


class _Run:
    """One call of `fit`, after decoding."""

    def __init__(
        self,
        recipe: Recipe,
        spec: ModelSpec,
        plots: list[Plot],
        out: Path,
        folder: Path,
        state: State | None,
        device: torch.device,
        echo: Echo,
    ) -> None:
        self._out, self._folder, self._device, self._echo = out, folder, device, echo
        self._spec, self._plots = spec, plots
        self._state = state
        sizes = [[p.height, p.width, *p.train, *p.validation] for p in plots]
        self._facts: dict[str, Any] = {
            "recipe": recipe.written(whole=True),
            "data": fingerprint([[band.model_dump() for band in spec.bands], sizes]),
        }
        if state is not None:
            check_same(state, self._facts["recipe"], self._facts["data"], out)
        torch.manual_seed(recipe.seed)
        self._network = build_network(spec).to(memory_format=torch.channels_last)
        self._precision = precision_of(recipe.optimisation.precision, device)
        self._recipe = self._with_batch(recipe)

    def _begin(self, source: Source | None) -> list[str]:
        """Take the weights to begin with; return what was taken, in lines of text."""
        if self._state is not None:
            return self._state.facts["start"]
        if source is None:
            return []
        classes = [c.name for c in self._recipe.classes]
        taken = transfer(self._network, source, self._recipe.bands, classes)
        if self._share and taken.left:
            raise RecipeError(
                self._recipe.where("start", "share"),
                f"{len(taken.left)} tensors are not from {taken.origin}, {taken.left[0]} among them: random "
                "numbers would be mixed in",
                "begin with a model of the same architecture, bands and classes, or leave `share` out",
            )
        for line in taken.lines():
            self._echo(line)
        return taken.lines()

    @property
    def _share(self) -> float:
        """How much of the weights in the beginning is mixed into those that are kept."""
        return 0.0 if self._recipe.start is None else self._recipe.start.share

    def _blend(self) -> Blend:
        """Return what mixes the weights of this moment, when nothing is learnt yet, into those to be kept."""
        if not self._share:
            return Blend({}, 0.0)
        if self._state is not None:
            return Blend(self._state.part("begin"), self._share)
        begin = {name: value.detach().clone() for name, value in self._network.state_dict().items()}
        return Blend(begin, self._share)

    def _with_batch(self, recipe: Recipe) -> Recipe:
        """Put a number in the place of ``batch: auto``."""
        batch = settle_batch(self._network, recipe, self._device, self._precision, self._state, self._echo)
        self._facts["batch"] = batch
        settings = recipe.optimisation.model_copy(update={"batch": batch})
        return recipe.model_copy(update={"optimisation": settings})

    def learn(self, source: Source | None, devices: int, workers: int | None) -> Model:
        settings = self._recipe.optimisation
        self._facts["start"] = start = self._begin(source)
        assert isinstance(settings.batch, int)
        per_epoch = -(-settings.samples_per_epoch // devices) * devices
        steps = -(-per_epoch // settings.batch)
        self._clock = clock = Clock(steps=steps * settings.epochs, minutes=settings.time_limit_minutes)
        validation = Validation(
            plots=self._plots, spec=self._spec, device=self._device, precision=self._precision
        )
        showing = Showing(self._recipe, validation, self._out, clock, start)
        keeper = Keeper(
            self._recipe, validation, self._out, clock, self._echo, self._keep, [showing], self._blend()
        )
        learner = self._learner(keeper)
        trainer = make_trainer(
            settings,
            self._device,
            devices,
            self._precision,
            settings.epochs - clock.epoch,
            [*(showing.callbacks if rank() == 0 else []), keeper],
        )
        loader = make_loader(
            self._recipe,
            self._plots,
            self._spec.bands,
            clock,
            self._device,
            batch=settings.batch // devices,
            per_epoch=per_epoch,
            workers=workers,
        )
        if not keeper.over:
            with stop_on_interrupt(clock, self._echo):
                trainer.fit(learner, loader)
        if rank() == 0:
            model = keeper.finish()
            if keeper.over:
                discard(self._folder)
            elif (self._folder / STATE_FILE).is_file():
                self._echo("the same command goes on from here")
        trainer.strategy.barrier()
        return model if rank() == 0 else load_model(self._out)

    def _learner(self, keeper: Keeper) -> Learner:
        settings, state = self._recipe.optimisation, self._state
        average = self._network
        if settings.ema is not None:
            average = copy.deepcopy(self._network).requires_grad_(False)
        weights = class_weights(self._plots, settings.class_weights)
        learner = Learner(self._network, average, self._recipe, weights, self._clock, keeper.scores)
        if state is not None:
            self._resume(state, learner, keeper)
        return learner

    def _resume(self, state: State, learner: Learner, keeper: Keeper) -> None:
        go_on(learner, state, self._device)
        self._clock.resume(state.facts["clock"])
        keeper.resume(state, learner.average, write=rank() == 0)
        self._echo(f"going on after epoch {self._clock.epoch} of an unfinished run")

    def _keep(self, state: State) -> None:
        state.facts |= self._facts | {"clock": self._clock.written()}
        save_state(self._folder, state)


def _say_nothing(_: str) -> None:
    """Of several processes one speaks."""
