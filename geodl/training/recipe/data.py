"""What to learn from: classes, scenes with their labels, and how they are divided."""

from typing import Annotated, Literal

from pydantic import Field

from geodl.models.spec import NODATA_CLASS
from geodl.training.recipe.fields import Count, Strict


class LabelClass(Strict):
    """One class of the model, and what stands for it in the label files.

    `source` (``from`` in the file) lists label values, colours ``"#rrggbb"`` or attribute values; by
    default the class value itself.
    """

    value: Annotated[int, Field(ge=0, lt=NODATA_CLASS)]
    name: Annotated[str, Field(min_length=1)]
    color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
    source: Annotated[list[int | str], Field(alias="from", default_factory=list)]

    @property
    def keys(self) -> list[int | str]:
        """What stands for this class in label files; colours in lower case."""
        keys: list[int | str] = list(self.source) or [self.value]
        return [key.lower() if isinstance(key, str) and key.startswith("#") else key for key in keys]


class Source(Strict):
    """Scenes with their labels.

    Parameters
    ----------
    scenes : str or list of str
        Files or glob patterns, each match a scene; with `stack`, all matches together are the
        bands of one scene.
    labels : str
        One file, or a pattern in which ``{stem}`` is the scene's file name without suffix and
        ``{folder}`` the folder it lies in.
    attribute, background : str, int, optional
        For vector labels: the column of the class, and the class value outside all polygons.
    role : {"auto", "train", "validation"}
        ``auto`` divides each scene into spatial blocks for either use.
    bands, scale, sensor, crs, ungeoreferenced
        Passed to `geodl.open_scene`.
    """

    scenes: str | list[str]
    labels: str
    stack: bool = False
    attribute: str | None = None
    background: int | None = None
    role: Literal["auto", "train", "validation"] = "auto"
    bands: list[str] | None = None
    scale: float | str | None = None
    sensor: str | None = None
    crs: str | None = None
    ungeoreferenced: bool = False

    @property
    def patterns(self) -> list[str]:
        """The scene patterns as a list."""
        return [self.scenes] if isinstance(self.scenes, str) else list(self.scenes)


class Split(Strict):
    """How scenes of role ``auto`` are divided.

    `block` is the side of a block and `gap` the distance between training and validation pixels, in
    pixels. The default gap is the halo of the model: then no training pixel is predicted from
    anything inside a validation block.
    """

    block: Count = 128
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.25
    gap: Annotated[int, Field(ge=0)] | None = None
