"""`Recipe`: the parts as one."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from geodl.models.spec import Units
from geodl.training.recipe.data import LabelClass, Source, Split
from geodl.training.recipe.fields import Count, Positive, Strict
from geodl.training.recipe.learning import Augment, Optimisation


class Recipe(Strict):
    """A validated recipe; `load_recipe` makes one from a file.

    `tile`, `halo` and `stitch` are taken from the architecture's row of `MODELS` where not given. With
    `half` the weights are stored as float16, in half the space; the accuracy is that of what is stored.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.\-]{0,63}$")]
    title: str = ""
    task: str = "landcover"
    architecture: str = "unet_compact"
    parameters: Annotated[dict[str, Any], Field(default_factory=dict)]
    bands: Annotated[list[str], Field(min_length=1)]
    units: Units
    dtype: Literal["uint8", "uint16", "int16", "float32"] | None = None
    pixel_size: Positive | None = None
    pixel_size_range: tuple[float, float] | None = None
    tile: Count | None = None
    halo: Annotated[int, Field(ge=0)] | None = None
    stitch: Literal["crop", "blend"] | None = None
    half: bool = False
    classes: Annotated[list[LabelClass], Field(min_length=2)]
    data_root: Path = Path()
    sources: Annotated[list[Source], Field(min_length=1)]
    split: Split = Split()
    optimisation: Optimisation = Optimisation()
    augment: Augment = Augment()
    seed: int = 0
    licence: str = ""
    note: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        keys = [key for c in self.classes for key in c.keys]
        for what, seen in (
            ("class value", [c.value for c in self.classes]),
            ("class name", [c.name for c in self.classes]),
            ("label value", keys),
            ("band", self.bands),
        ):
            if len(set(seen)) != len(seen):
                raise ValueError(f"a {what} occurs twice: {seen}")
        roles = {source.role for source in self.sources}
        if "auto" not in roles and not {"train", "validation"} <= roles:
            raise ValueError(
                "sources: some scenes must have the role 'train' and some 'validation', or 'auto' for both"
            )
        return self

    @property
    def mapping(self) -> dict[int | str, int]:
        """From what label files hold to the position of the class in `classes`."""
        return {key: code for code, c in enumerate(self.classes) for key in c.keys}

    def position(self, value: int) -> int | None:
        """Position in `classes` of the class with raster value `value`."""
        return next((code for code, c in enumerate(self.classes) if c.value == value), None)

    def written(self) -> dict[str, Any]:
        """Return what the recipe says beyond the defaults, without local paths: for ``model.json``."""
        return self.model_dump(mode="json", by_alias=True, exclude={"data_root"}, exclude_defaults=True)
