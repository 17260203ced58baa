"""A first recipe, filled in after looking at scenes and labels: `geodl train --init`."""

from pathlib import Path

from geodl.errors import OptionError
from geodl.task import TASKS
from geodl.training.draft.choose import choose_sizes
from geodl.training.draft.classes import look_at_labels
from geodl.training.draft.scenes import look_at_scenes
from geodl.training.draft.write import write_draft

__all__ = ["draft_recipe"]


def draft_recipe(task: str, scenes: str, labels: str, *, folder: Path | None = None) -> str:
    """Look at scenes and labels and write a commented recipe for them.

    Parameters
    ----------
    task : str
        Row of `geodl.task.TASKS`.
    scenes, labels : str
        A file or a pattern each, as in a recipe: ``images/*.tif`` and ``masks/{stem}.png``. Several
        single-band files with one label file are taken as the bands of one scene.
    folder : Path, optional
        What they are relative to; by default the current folder.

    Returns
    -------
    str
        YAML that `load_recipe` reads.

    Raises
    ------
    OptionError
        There is no such task.
    RecipeError, SceneError
        A file is missing or cannot be read, or the labels hold no classes.
    """
    if task not in TASKS:
        raise OptionError(f"--init {task}", "geodl knows no such task", f"use one of {', '.join(TASKS)}")
    seen = look_at_scenes(scenes, labels, (folder or Path()).resolve())
    found = look_at_labels(seen)
    return write_draft(task, seen, found, choose_sizes(seen, found))
