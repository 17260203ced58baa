"""The scene as a picture for people, one for each date."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from geodl.look.pictures import shown_bands
from geodl.page.subject import Subject
from geodl.scene import valid_mask
from geodl.scene.pair import valid_dates
from geodl.scene.stretch import stretched

EMPTY = 40  # grey of pixels without data, 0 to 255


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One date of a scene."""

    label: str
    """``scene``, ``before`` or ``after``."""
    title: str
    bands: tuple[str, ...]
    """Shown as red, green and blue."""
    pixels: np.ndarray
    """uint8, (height, width, 3)."""


def scene_pictures(subject: Subject) -> list[Picture]:
    """Show a scene, or both of its dates in one stretch, between the 2nd and the 98th percentile.

    Of a large scene every `Subject.factor`-th pixel is shown. It is read in windows, only the bands that
    are shown.

    Raises
    ------
    SceneError
        The scene cannot be read.
    """
    dates = _dates(subject.scene)
    names = [str(name) for name in subject.scene.coords["band"].values]
    chosen = [[names.index(band) for band in bands] for _, _, bands in dates]
    needed = sorted({position for bands in chosen for position in bands})
    scene = subject.scene.isel(band=needed)
    shape = (len(dates), *subject.reduced_shape)
    images, seen = np.zeros((*shape, 3), np.float32), np.zeros(shape, bool)
    for window in subject.windows:
        inside, place = subject.thinned(window)
        rows, columns = window.slices
        # In this thread: scenes are published side by side.
        part = scene.isel(y=rows, x=columns).compute(scheduler="synchronous")
        part = part.isel(y=inside[0], x=inside[1])
        valid = valid_dates(part) if subject.scene.attrs.get("dates") else {"scene": valid_mask(part).values}
        for number, (label, _, _) in enumerate(dates):
            bands = [needed.index(position) for position in chosen[number]]
            colours = np.moveaxis(part.values[bands], 0, -1)
            seen[(number, *place)] = valid[label]
            images[(number, *place)] = np.where(valid[label][..., None], colours, 0)
    bright = stretched(np.concatenate(list(images), axis=1), np.concatenate(list(seen), axis=1))
    return [
        Picture(
            label=label,
            title=title,
            bands=tuple(band.rpartition(".")[2] for band in bands),
            pixels=np.where(seen[number][..., None], np.rint(255 * one), EMPTY).astype(np.uint8),
        )
        for number, ((label, title, bands), one) in enumerate(
            zip(dates, np.split(bright, len(dates), axis=1), strict=True)
        )
    ]


def _dates(scene: xr.DataArray) -> list[tuple[str, str, list[str]]]:
    """(label, title, names of the bands to show) of each date."""
    names = [str(name) for name in scene.coords["band"].values]
    if not scene.attrs.get("dates"):
        return [("scene", "Scene", [names[k] for k in shown_bands(names)])]
    found = []
    for date in scene.attrs["dates"]:
        label = date["label"]
        own = [name for name in names if name.startswith(f"{label}.")]
        shown = shown_bands([name.removeprefix(f"{label}.") for name in own])
        when = f" ({date['date']})" if date.get("date") else ""
        found.append((label, f"{label.capitalize()}{when}", [own[k] for k in shown]))
    return found
