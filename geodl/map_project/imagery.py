"""The imagery under a map: which files and bands show a scene in natural colours, and how bright."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from rasterio.enums import MaskFlags

from geodl.publish import Product, RasterGrid
from geodl.publish.project import Layer, StackBand, path_from, write_stack
from geodl.publish.qgis import imagery_style
from geodl.scene import select_bands, valid_mask
from geodl.scene.reader import FileBands, PixelReader

_COLORS = (("red", "green", "blue"), ("nir", "red", "green"))  # natural; else as infrared film shows it
_FIRST = slice(0, 1)
_WHOLE, _SIDE, _WINDOWS = 2**20, 128, 8  # so many pixels are read whole, of more 8 x 8 windows of 128 x 128


@dataclass(frozen=True, kw_only=True)
class _Image:
    """One date as it is shown."""

    label: str
    """``before``; empty for a single date."""
    title: str
    scene: xr.DataArray
    """As it lies in its files: the bands that are shown."""
    bands: tuple[tuple[FileBands, int], ...]
    """File of each band, and its number there as GDAL counts."""


def imagery_layers(product: Product, scene: xr.DataArray) -> tuple[Layer, ...]:
    """Return a layer for each date of a scene, the later one first; none for a scene that is in no file.

    Each colour is stretched between the values below and above which 2 % of the pixels lie; dates whose
    pixels mean the same share the stretch, so that what looks different is different.

    Raises
    ------
    SceneError
        The imagery cannot be read any more.
    ProductError
        Bands lie in several files, and the virtual raster that joins them cannot be written.
    """
    images = _images(scene)
    samples = [_sample(image.scene) for image in images]
    meanings = {
        (
            image.scene.dtype,
            len(image.bands),
            *(str(image.scene.attrs.get(key)) for key in ("scale", "offset")),
        )
        for image in images
    }
    if len(meanings) == 1:
        samples = [np.concatenate(samples, axis=1)] * len(samples)
    layers = [_layer(product, image, sample) for image, sample in zip(images, samples, strict=True)]
    return tuple(reversed(layers))


def dates_of(scene: xr.DataArray) -> list[str]:
    """Return the date of a scene, or its dates, as one text; nothing where none is known.

    >>> dates_of(xr.DataArray(0, attrs={"dates": ({"date": "2023"}, {"date": "2024-05-01"})}))
    ['2023 to 2024-05-01']
    """
    told = scene.attrs.get("dates") or ({"date": scene.attrs.get("date")},)
    known = [str(date["date"]) for date in told if date.get("date")]
    return [" to ".join(known)] if known else []


def _images(scene: xr.DataArray) -> list[_Image]:
    """Return the dates of a scene in their order."""
    dates = getattr(scene.encoding.get("reader"), "dates", None)
    if dates is None:
        found = [_image(scene, "", str(scene.name))]
    else:
        found = [
            _image(date.source, told["label"], f"{told['label'].capitalize()}: {told.get('name', '')}")
            for date, told in zip(dates, scene.attrs["dates"], strict=True)
        ]
    return [image for image in found if image is not None]


def _image(scene: xr.DataArray, label: str, title: str) -> _Image | None:
    """Find the file and band behind each colour of a scene, below whatever was done to it."""
    reader = scene.encoding.get("reader")
    while not isinstance(reader, PixelReader):
        below = getattr(reader, "sources", None) or [date.source for date in getattr(reader, "dates", ())]
        if not below:
            return None
        scene = below[0]
        reader = scene.encoding.get("reader")
    names = [str(name) for name in scene.coords["band"].values]
    colors = next((colors for colors in _COLORS if set(colors) <= set(names)), tuple(names[:3]))
    chosen = list(colors) if len(colors) == 3 else names[:1]
    shown = select_bands(scene, chosen)
    files = shown.encoding["reader"].files
    bands = tuple((file, index) for file in files for index in file.indexes)
    return _Image(label=label, title=title, scene=shown, bands=bands)


def _sample(scene: xr.DataArray) -> np.ndarray:
    """Return values of valid pixels, shape (bands, pixels): of all, or of windows spread over the scene."""
    height, width = scene.sizes["y"], scene.sizes["x"]
    windows = [(slice(0, height), slice(0, width))]
    if height * width > _WHOLE:
        windows = [(rows, columns) for rows in _spread(height) for columns in _spread(width)]
    found = []
    for rows, columns in windows:
        part = scene.isel(y=rows, x=columns).compute(scheduler="synchronous")
        found.append(part.values[:, valid_mask(part).values])
    return np.concatenate(found, axis=1)


def _spread(length: int) -> list[slice]:
    last = max(0, length - _SIDE)
    starts = sorted({round(last * step / (_WINDOWS - 1)) for step in range(_WINDOWS)})
    return [slice(start, min(start + _SIDE, length)) for start in starts]


def _stretch(sample: np.ndarray) -> list[tuple[float, float]]:
    """Return the 2nd and 98th percentile of each band; of a sample of nothing, 0 and 1."""
    if not sample.shape[1]:
        return [(0.0, 1.0)] * sample.shape[0]
    low, high = np.percentile(sample.astype(np.float64), (2, 98), axis=1)
    high = np.where(high > low, high, low + 1)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def _layer(product: Product, image: _Image, sample: np.ndarray) -> Layer:
    """Return the layer of a date; QGIS reads a virtual raster where it would not show the files rightly."""
    grid, opacity = RasterGrid.of(image.scene), None
    joined = [_stack_band(product, file, index) for file, index in image.bands]
    stretch = _stretch(sample)
    source, bands = joined[0].path, [one.band for one in joined]
    several = len({one.path for one in joined}) > 1
    # What lies nowhere QGIS puts below zero, unless the file itself says that its corner is there.
    if several or grid.crs is None or _has_mask(image.bands[0][0]):
        name = f"imagery_{image.label}.vrt" if image.label else "imagery.vrt"
        write_stack(joined, product.path(name), grid=grid)
        source, bands, opacity = f"./{name}", list(range(1, len(joined) + 1)), len(joined) + 1
    else:
        stretch = [
            _scaled(file, index, pair) for (file, index), pair in zip(image.bands, stretch, strict=True)
        ]
    style = imagery_style(bands, stretch, opacity=opacity)
    return Layer(title=image.title, source=source, style=style, crs=grid.crs)


def _stack_band(product: Product, file: FileBands, index: int) -> StackBand:
    with file.opened(_FIRST, _FIRST) as dataset:
        return StackBand(
            path=path_from(product.final, Path(file.path)),
            band=index,
            dtype=dataset.dtypes[index - 1],
            size=dataset.shape,
            nodata=dataset.nodatavals[index - 1],
            name=dataset.descriptions[index - 1] or "",
        )


def _has_mask(file: FileBands) -> bool:
    """Whether a file has a mask or an opacity of its own, which QGIS does not always apply."""
    with file.opened(_FIRST, _FIRST) as dataset:
        return MaskFlags.per_dataset in dataset.mask_flag_enums[0]


def _scaled(file: FileBands, index: int, pair: tuple[float, float]) -> tuple[float, float]:
    """Return values as QGIS sees them, which applies the scale that a file gives a band."""
    with file.opened(_FIRST, _FIRST) as dataset:
        scale, offset = dataset.scales[index - 1], dataset.offsets[index - 1]
    return pair[0] * scale + offset, pair[1] * scale + offset
