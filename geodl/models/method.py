"""What made a map where no trained model did: the same questions, other answers."""

from dataclasses import dataclass

from geodl.models.spec import AccuracySpec, ClassSpec, TrainingSpec


@dataclass(frozen=True, kw_only=True)
class MethodSpec:
    """A method that needs no training data, as far as readers of a map ask; see `ModelSpec`."""

    name: str
    """As users type it: ``cva``."""
    title: str
    task: str
    """Row of `geodl.task.TASKS`."""
    classes: tuple[ClassSpec, ...]
    licence: str = ""

    @property
    def accuracy(self) -> AccuracySpec:
        """Nothing: nobody can measure beforehand how well it does on a scene."""
        return AccuracySpec()

    @property
    def training(self) -> TrainingSpec:
        """Nothing: it was not trained."""
        return TrainingSpec()
