"""The map of a product, taken out of its page: the page may come from anyone, so every value is checked."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

LARGEST = 64 * 2**20  # bytes of a page; those of geodl hold a few megabytes

Color = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]
Label = Literal["scene", "before", "after"]
_PICTURE = re.compile(
    r'<img id="base-(scene|before|after)"[^>]* src="(data:image/jpeg;base64,[A-Za-z0-9+/=]+)"'
)
_BLOCK = re.compile(r'<script type="application/json" id="map-data">(.*?)</script>', re.DOTALL)


class _Checked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MapClass(_Checked):
    """A class as the map paints it."""

    value: Annotated[int, Field(ge=0, le=254)]
    name: Annotated[str, Field(max_length=512)]
    color: Color
    clear: bool
    gap: bool


class Base(_Checked):
    """A picture of the scene."""

    id: Label
    name: Annotated[str, Field(max_length=512)]


class VectorLayer(_Checked):
    """Outlines as SVG paths by class value."""

    name: Annotated[str, Field(max_length=512)]
    kind: Literal["polygon", "line", "point"]
    steps: Annotated[int, Field(gt=0, le=64)]
    paths: list[tuple[int, Annotated[str, Field(pattern=r"^[MlhzZ0-9, \-]*$")]]]


class MapData(_Checked):
    """What the script of a map needs; see `geodl.page.page.map_data`."""

    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]
    factor: Annotated[int, Field(gt=0)]
    bases: Annotated[list[Base], Field(min_length=1, max_length=2)]
    classes: Annotated[list[MapClass], Field(max_length=256)]
    confidence: bool
    ramp: Annotated[list[Color], Field(min_length=2, max_length=64)]
    vectors: Annotated[list[VectorLayer], Field(max_length=64)]
    metres: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] | None
    transform: Annotated[list[float], Field(min_length=6, max_length=6)]
    crs: Annotated[str, Field(max_length=512)]


def read_map(page: Path) -> tuple[MapData, dict[str, str]] | None:
    """Return the map of a page and its pictures as data URIs by label; None if it holds no sound one.

    >>> read_map(Path("nowhere.html")) is None
    True
    """
    try:
        if page.stat().st_size > LARGEST:
            return None
        text = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    block = _BLOCK.search(text)
    try:
        data = MapData.model_validate_json(block[1]) if block else None
    except ValidationError:
        return None
    pictures: dict[str, Any] = dict(_PICTURE.findall(text))
    if data is None or not {base.id for base in data.bases} <= set(pictures):
        return None
    return data, pictures
