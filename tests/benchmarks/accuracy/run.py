"""One case, from its recipe to a row."""

import math
import tempfile
import time
from pathlib import Path

from geodl.assess.confusion import Accuracy
from geodl.training import train
from geodl.training.floor import floor
from geodl.training.pretrain import pretrain
from geodl.training.recipe import Recipe
from geodl.training.recipe.start import Start
from tests.benchmarks.accuracy.cases import Case
from tests.benchmarks.accuracy.peer import train_peer
from tests.benchmarks.accuracy.rows import Row


def run(case: Case, work: Path) -> Row:
    """Train and check.

    Parameters
    ----------
    case : Case
        What to run.
    work : Path
        Keeps the models that geodl makes, ``DATA-VARIANT-SEED``, with their reports.
    """
    recipe, started = case.recipe(), time.process_time()
    if case.variant == "forest":
        found, parameters = _of_accuracy(floor(recipe)), None
    elif case.variant == "torchgeo":
        with tempfile.TemporaryDirectory(prefix="geodl-accuracy-") as folder:
            trained = train_peer(recipe, Path(folder))
        found, parameters = _of_accuracy(trained.accuracy), trained.parameters
    else:
        found, parameters = _of_geodl(case, recipe, work)
    pixels, mean_iou, overall, iou = found
    return Row(
        data=case.data,
        variant=case.variant,
        seed=case.seed,
        steps=case.effort.steps,
        batch=case.effort.batch,
        patch=case.effort.patch,
        mean_iou=round(mean_iou, 4),
        overall=round(overall, 4),
        iou=iou,
        pixels=pixels,
        parameters=parameters,
        seconds=round(time.process_time() - started, 1),
    )


_Found = tuple[int, float, float, dict[str, float | None]]


def _of_accuracy(found: Accuracy) -> _Found:
    iou = {c.name: None if math.isnan(c.iou) else round(c.iou, 4) for c in found.classes}
    return found.pixels, found.mean_iou, found.overall, iou


def _of_geodl(case: Case, recipe: Recipe, work: Path) -> tuple[_Found, int]:
    out = work.resolve() / f"{case.data}-{case.variant}-{case.seed}"
    if "+pretrained" in case.alterations:
        before = out.with_name(f"{out.name}-before")
        pretrain(recipe, before, device="cpu", restart=True, echo=_say_nothing)
        recipe = recipe.model_copy(update={"start": Start(model=str(before))})
    model = train(recipe, out, device="cpu", restart=True, echo=_say_nothing)
    found = model.spec.accuracy
    assert found is not None
    assert found.mean_iou is not None
    assert found.overall is not None
    parameters = sum(weight.numel() for weight in model.network().parameters())
    return (found.pixels, found.mean_iou, found.overall, dict(found.iou)), parameters


def _say_nothing(_: str) -> None:
    """The rows say what counts."""
