"""Which labels there are to learn from and to check on, told before a run begins."""

from collections.abc import Sequence

from geodl.training.plots import Plot
from geodl.training.recipe import Recipe


def label_table(recipe: Recipe, plots: Sequence[Plot]) -> list[str]:
    """Return the labelled pixels of each class as lines of text."""
    lines = ["labelled pixels          training  validation"]
    for code, c in enumerate(recipe.classes):
        lines.append(f"  {c.name:<20} {_learnt(plots, code):>11,} {_checked(plots, code):>11,}")
    return lines


def label_warnings(recipe: Recipe, plots: Sequence[Plot]) -> list[str]:
    """Name the classes that cannot be learnt or not be checked, with the cure."""
    codes = range(len(recipe.classes))
    unseen = [k for k in codes if not _learnt(plots, k) and not _checked(plots, k)]
    unlearnt = [k for k in codes if not _learnt(plots, k) and _checked(plots, k)]
    unchecked = [k for k in codes if _learnt(plots, k) and not _checked(plots, k)]
    cure = "hold out other ground (seed, block and validation of the split), or join classes"
    return [
        f"warning: {_names(recipe, found)} {what}"
        for found, what in (
            (unseen, "in no label: check `from` of the class"),
            (unlearnt, f"in no label to learn from: {cure}"),
            (unchecked, f"in no label to check on, so the accuracy says nothing of it: {cure}"),
        )
        if found
    ]


def _learnt(plots: Sequence[Plot], code: int) -> int:
    return sum(plot.train[code] for plot in plots)


def _checked(plots: Sequence[Plot], code: int) -> int:
    return sum(plot.validation[code] for plot in plots)


def _names(recipe: Recipe, codes: Sequence[int]) -> str:
    names = ", ".join(recipe.classes[code].name for code in codes)
    return f"{names} {'is' if len(codes) == 1 else 'are'}"
