"""Names and colours of the classes of a raster file: those of geodl, or those of other software.

GDAL keeps the colour table in the file, and names in a file beside it.
"""

import colorsys
import json
from collections.abc import Mapping
from pathlib import Path

import rasterio
from pydantic import TypeAdapter, ValidationError

from geodl.errors import SceneError
from geodl.models.spec import NODATA_CLASS, ClassSpec
from geodl.sidecar import hex_colour, read_sidecar

CLASSES_TAG = "GEODL_CLASSES"
_GOLDEN = 0.618034  # of the colour circle between two classes without colours: none look alike for long


def read_legend(dataset: rasterio.DatasetReader, band: int) -> tuple[tuple[ClassSpec, ...], dict[int, str]]:
    """Read the classes of a raster file.

    Returns
    -------
    classes : tuple of ClassSpec
        Those whose values fit into geodl's own maps, with colours; empty where nothing is known.
    names : dict of int to str
        Names of all values that have one.

    Raises
    ------
    SceneError
        The table in the file or beside it is damaged.
    """
    path = Path(dataset.name)
    text = dataset.tags().get(CLASSES_TAG)
    if text is not None:
        classes = _tagged_classes(path, text)
        return classes, {c.value: c.name for c in classes}
    beside = read_sidecar(path, band)
    names, colours = beside.names, {**_colour_table(dataset, band), **beside.colours}
    classes = tuple(
        ClassSpec(value=value, name=names.get(value, str(value)), color=colours.get(value) or _colour(i))
        for i, value in enumerate(sorted(names or colours))
        if 0 <= value < NODATA_CLASS and value != dataset.nodatavals[band - 1]
    )
    return classes, names


def _tagged_classes(path: Path, text: str) -> tuple[ClassSpec, ...]:
    """Read the class table that `geodl.publish.write_cog` leaves in a tag."""
    try:
        return tuple(TypeAdapter(list[ClassSpec]).validate_python(json.loads(text)))
    except (ValidationError, json.JSONDecodeError) as error:
        raise SceneError(
            str(path), f"its tag {CLASSES_TAG} is damaged", "give the classes yourself"
        ) from error


def _colour_table(dataset: rasterio.DatasetReader, band: int) -> dict[int, str]:
    try:
        table: Mapping[int, tuple[int, ...]] = dataset.colormap(band)
    except ValueError:  # rasterio's word for none
        return {}
    return {value: hex_colour(*rgba[:3]) for value, rgba in table.items() if any(rgba[:3])}


def _colour(index: int) -> str:
    return hex_colour(*(round(255 * part) for part in colorsys.hsv_to_rgb(index * _GOLDEN % 1, 0.55, 0.85)))
