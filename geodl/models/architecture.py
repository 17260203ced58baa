"""`Architecture`: what a row of `geodl.models.table.MODELS` says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from geodl.errors import ModelError
from geodl.models.parameters import Parameters
from geodl.models.spec import first_problem

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One way to build a network.

    Parameters
    ----------
    name : str
        The word that recipes and ``model.json`` use.
    title : str
        Name for people.
    source : str
        Paper, and the library whose code is used.
    parameters : type of Parameters
        What may be set, with defaults; also tells the tiling that fits.
    build : callable
        ``build(bands, classes, parameters)`` returns a network (N, bands, H, W) -> logits
        (N, classes, H, W) for H and W that are multiples of the stride.
    note : str
        What a user should know before choosing it.
    trainable : bool
        Whether `build` makes a network of random weights, to be trained.
    """

    name: str
    title: str
    source: str
    parameters: type[Parameters]
    build: "Callable[[int, int, Any], nn.Module]"
    note: str = ""
    trainable: bool = True

    def read_parameters(self, values: Mapping[str, Any]) -> Parameters:
        """Validate `values` and fill in the defaults.

        Raises
        ------
        ModelError
            A name is unknown or a value is out of range.
        """
        try:
            return self.parameters.model_validate(dict(values))
        except ValidationError as error:
            raise ModelError(
                f"architecture {self.name!r}",
                first_problem(error, inside="parameters"),
                f"it takes {', '.join(self.parameters.model_fields)}",
            ) from None
