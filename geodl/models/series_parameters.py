"""What ``model.json`` may say under ``parameters`` of networks that look at series of many dates."""

from typing import Annotated

from pydantic import Field, model_validator

from geodl.models.parameters import Parameters, Tiling, Width


class LtaeParameters(Parameters):
    """`geodl.models.ltae`: a pixel's series, and how far around it the network looks.

    `steps` are those of the calendar. Each is embedded in `width` channels; attention of so many `heads`
    works on `attention` channels and leaves `features`, which `context` residual blocks of 3 x 3
    convolutions share with the neighbours; without any, each pixel is mapped by itself.
    """

    steps: Annotated[int, Field(ge=2, le=366)] = 12
    width: Width = 32
    attention: Width = 64
    heads: Annotated[int, Field(ge=1, le=64)] = 4
    features: Width = 64
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    context: Annotated[int, Field(ge=0, le=32)] = 0

    @model_validator(mode="after")
    def _heads_share_channels(self) -> "LtaeParameters":
        if self.attention % self.heads or self.attention % 2:
            raise ValueError(f"attention {self.attention} must be even and a multiple of heads {self.heads}")
        return self

    def tiling(self) -> Tiling:  # noqa: D102
        halo = 2 * self.context  # two convolutions per block
        return Tiling(tile=128 + 2 * halo, halo=halo, stride=1, local=True)
