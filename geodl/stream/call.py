"""One operator of a traced network and its arguments, as the builders of operations see it."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from geodl.errors import ModelError
from geodl.stream.operations import Operation, Pair

TILES = "run this network over tiles with a halo"


class NotLocalError(ModelError):
    """A network holds an operation that cannot be computed from a bounded number of rows."""


@dataclass(frozen=True)
class Source:
    """The result of an earlier node, with its shape for the example.

    (N, C, H, W), or (N, T, C, H, W) where the T C channels of the node are looked at as those of T dates.
    """

    node: int
    shape: tuple[int, ...]


Built = tuple[Operation, list[Source]]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One operator of the traced network.

    Parameters
    ----------
    operator : str
        As torch names it.
    arguments : dict
        By the names of torch's schema, defaults filled in: `Source`, tensors that are the same for every
        input, lists and plain values.
    shape : tuple of int
        Of the (first) result.
    """

    operator: str
    arguments: dict[str, Any]
    shape: tuple[int, ...]

    def refuse(self, why: str) -> NotLocalError:
        """Return the error that names this operator."""
        return NotLocalError(f"operation {self.operator}", why, TILES)

    def map_or_series(self, name: str) -> Source:
        """Return an argument that comes from the pixels: a map of rows and columns, or one per date."""
        value = self.arguments[name]
        if not isinstance(value, Source):
            raise self.refuse("it computes its result from no pixels")
        return value

    def source(self, name: str) -> Source:
        """Return an argument that is one map of rows and columns."""
        value = self.map_or_series(name)
        if len(value.shape) != 4:
            raise self.refuse(f"its input has {len(value.shape)} dimensions, not (N, C, H, W)")
        return value

    def constant(self, name: str) -> Tensor | None:
        """Return an argument that is the same for every input."""
        value = self.arguments[name]
        if isinstance(value, Source):
            raise self.refuse(f"its {name} is computed from the pixels")
        return value

    def pair(self, name: str) -> Pair:
        """Return an argument for rows and columns, of which torch lets one stand for both."""
        value = self.arguments[name]
        if isinstance(value, int):
            return value, value
        return (value[0], value[-1])
