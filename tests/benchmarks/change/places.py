"""Real pairs of dates with labels of change."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import xarray as xr

import geodl
from geodl.models.spec import Units
from geodl.scene import open_scene
from geodl.scene.adopt import select_bands
from geodl.training.recipe import Source

_FOUR = ("blue", "green", "red", "nir")
_NANJING = {
    "before": "LT51200382000124BJC00_Nanjing.tif",
    "after": "LT51200382002193BJC00_Nanjing.tif",
}
_HALVES = {"north": (0, 392), "south": (408, 800)}
"""Rows of the Nanjing pair, with 16 rows left out between."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A pair of dates with its labels.

    Parameters
    ----------
    name : str
    group : str
        Places of one group are held out together.
    before, after : Path
        Files, or folders of the files of a date.
    labels : Path
    reading : mapping
        Options by which both dates are read.
    rows : (int, int), optional
        Only the labels of these rows count.
    """

    name: str
    group: str
    before: Path
    after: Path
    labels: Path
    reading: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[int, int] | None = None

    def source(self, role: str) -> Source:
        """Return the entry of a recipe, for ``train`` or ``validation``."""
        return Source.model_validate(
            {
                "scenes": str(self.before),
                "after": str(self.after),
                "labels": str(self.labels),
                "role": role,
                "rows": self.rows,
                **self.reading,
            }
        )

    def with_after(self, path: Path) -> "Place":
        """Return the place with another file as its later date."""
        return replace(self, after=path)

    def pair(self, bands: tuple[str, ...]) -> xr.DataArray:
        """Open both dates on the whole grid of the first one, which is that of the labels."""
        before, after = (
            open_scene(path if path.is_file() else sorted(map(str, path.glob("*.tif"))), **self.reading)
            for path in (self.before, self.after)
        )
        before, after = (select_bands(date, bands) for date in (before, after))
        box = before.odc.geobox
        return geodl.open_pair(before, after, grid="before" if box is None or box.crs is None else box)


@dataclass(frozen=True, kw_only=True)
class Data:
    """A set of places.

    Parameters
    ----------
    bands : tuple of str
        Of one date.
    units : str
        Of the files, as recipes say it.
    dtype : str or None
        Of digital numbers.
    values : (int, int)
        What the label files hold for unchanged and for changed.
    find : callable
        ``find(root, work)`` lists the places below the folder of the real data; `work` may keep files.
    sparse : bool
        Whether most pixels have no label.
    """

    bands: tuple[str, ...]
    units: Units
    values: tuple[int, int]
    find: Callable[[Path, Path], list[Place]]
    dtype: str | None = None
    sparse: bool = False


def _onera(root: Path, _: Path) -> list[Place]:
    """Onera Satellite Change Detection, Daudt et al. 2018, doi:10.1109/IGARSS.2018.8518015."""
    return [
        Place(
            name=city.name,
            group=city.name,
            before=city / "imgs_1",
            after=city / "imgs_2",
            labels=city / "cm" / f"{city.name}-cm.tif",
            reading={"sensor": "sentinel-2-l1c", "scale": 0.0001},
        )
        for city in sorted((root / "change" / "oscd").iterdir())
        if city.is_dir()
    ]


def _sztaki(root: Path, _: Path) -> list[Place]:
    """SZTAKI AirChange, Benedek and Sziranyi 2009, doi:10.1109/TGRS.2009.2022633: neighbours go together."""
    return [
        Place(
            name=folder.name,
            group=folder.name.split("_")[0],
            before=folder / "im1.png",
            after=folder / "im2.png",
            labels=folder / "gt.png",
            reading={"bands": ["red", "green", "blue"], "scale": "none", "ungeoreferenced": True},
        )
        for folder in sorted((root / "change" / "sztaki_airchange").iterdir())
        if folder.is_dir()
    ]


def _nanjing(root: Path, work: Path) -> list[Place]:
    """Nanjing 2000 and 2002, Wu, Du and Zhang 2014, doi:10.1109/TGRS.2013.2266673: two files of labels."""
    folder = root / "change" / "landsat_nanjing"
    labels = work / "nanjing_labels.tif"
    with rasterio.open(folder / _NANJING["before"]) as scene:
        profile = {key: scene.profile[key] for key in ("width", "height", "crs", "transform")}
    found = np.zeros((profile["height"], profile["width"]), np.uint8)
    for value, name in enumerate(("unchanged", "change"), start=1):
        with rasterio.open(folder / f"{name}.png") as file:
            found[file.read(1) > 0] = value
    if not labels.exists():
        with rasterio.open(labels, "w", driver="GTiff", count=1, dtype="uint8", **profile) as file:
            file.write(found, 1)
    reading = {"bands": ["blue", "green", "red", "nir", "swir1", "swir2"], "scale": "none"}
    return [
        Place(
            name=half,
            group=half,
            before=folder / _NANJING["before"],
            after=folder / _NANJING["after"],
            labels=labels,
            reading=reading,
            rows=rows,
        )
        for half, rows in _HALVES.items()
    ]


DATA: dict[str, Data] = {
    "onera": Data(bands=_FOUR, units="reflectance", values=(1, 2), find=_onera),
    "onera6": Data(bands=(*_FOUR, "swir1", "swir2"), units="reflectance", values=(1, 2), find=_onera),
    "sztaki": Data(
        bands=("red", "green", "blue"), units="digital_number", values=(0, 1), find=_sztaki, dtype="uint8"
    ),
    "nanjing": Data(
        bands=(*_FOUR, "swir1", "swir2"),
        units="digital_number",
        values=(1, 2),
        find=_nanjing,
        dtype="uint8",
        sparse=True,
    ),
}
"""Sets by name; ``onera6`` is ``onera`` with both bands of short-wave infrared."""
