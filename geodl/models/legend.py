"""All values that a class map can hold, with names and colours: the classes of the model, and more."""

from geodl.models.method import MethodSpec
from geodl.models.spec import ClassSpec, ModelSpec
from geodl.task import NO_AFTER, NO_BEFORE, TASKS

# 255, where neither date holds data, is the nodata value of the file and needs no entry.
GAPS = (
    ClassSpec(value=NO_BEFORE, name="no data before", color="#b8c4d6"),
    ClassSpec(value=NO_AFTER, name="no data after", color="#8794a8"),
)
"""Values of a change map where one of the two dates holds no data."""


def legend_of(spec: ModelSpec | MethodSpec) -> tuple[ClassSpec, ...]:
    """Return the classes of a map; of a change map, also the values that say which date holds no data."""
    return (*spec.classes, *(GAPS if TASKS[spec.task].dates == 2 else ()))
