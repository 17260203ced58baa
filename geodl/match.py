"""Does a scene fit a model? Refused before work starts, with the option that mends it."""

from collections.abc import Iterator
from dataclasses import dataclass

import xarray as xr
from rasterio.crs import CRS

from geodl.calendars import GAP
from geodl.errors import MismatchError
from geodl.models.spec import ModelSpec
from geodl.scene.adopt import per_band
from geodl.scene.grid import Grid, pixel_size_metres
from geodl.task import NO_BEFORE, TASKS


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """Digital numbers to network input, per band: ``value * gain + bias``.

    It joins the scene's scale and offset with the model's mean and standard deviation.
    """

    gain: tuple[float, ...]
    bias: tuple[float, ...]


def scaling_of(scene: xr.DataArray, spec: ModelSpec) -> Scaling:
    """Return ``(value * scale + offset - mean) / std`` as one gain and one bias per band.

    `scene` must hold the bands of the model in its order, in its units.
    """
    if spec.units == "digital_number":
        scales, offsets = (1.0,) * len(spec.bands), (0.0,) * len(spec.bands)
    else:
        scales, offsets = per_band(scene, "scale"), per_band(scene, "offset")
    return Scaling(
        gain=tuple(scale / band.std for scale, band in zip(scales, spec.bands, strict=True)),
        bias=tuple((offset - band.mean) / band.std for offset, band in zip(offsets, spec.bands, strict=True)),
    )


def pixel_size_of(scene: xr.DataArray) -> tuple[float, float] | None:
    """Width and height of a pixel in the middle of a scene in metres; None without a CRS."""
    geobox = scene.odc.geobox
    if geobox is None or geobox.crs is None:
        return None
    crs = CRS.from_user_input(geobox.crs.proj.to_wkt())
    height, width = geobox.shape
    return pixel_size_metres(Grid(height=height, width=width, transform=geobox.affine, crs=crs))


def check_fit(scene: xr.DataArray, spec: ModelSpec) -> None:
    """Check bands, units, dtype and pixel size of a scene against a model.

    Raises
    ------
    MismatchError
        Naming the first thing that does not fit, and what mends it.
    """
    for problem in problems(scene, spec):
        raise problem


def fits(scene: xr.DataArray, spec: ModelSpec) -> str | None:
    """Return why a scene does not fit a model, in one sentence, or None if it does."""
    return next((error.cause for error in problems(scene, spec)), None)


def problems(scene: xr.DataArray, spec: ModelSpec) -> Iterator[MismatchError]:
    """Yield a MismatchError for each way in which a scene does not fit a model."""
    what = f"scene {scene.name}"
    for check in (_dates, _change_classes, _bands, _units, _dtype, _pixel_size):
        found = check(scene, spec)
        if found is not None:
            cause, remedy = found
            yield MismatchError(what, cause, remedy)


def _dates(scene: xr.DataArray, spec: ModelSpec) -> tuple[str, str] | None:
    if spec.calendar is not None and scene.attrs.get("calendar") is None:
        return (
            f"model {spec.name} maps a series of dates, the scene is none",
            "name the scenes of all dates: geodl predict 'ndvi_*.tif', or geodl.open_series",
        )
    labels = [date["label"] for date in scene.attrs.get("dates", ())]
    dated = any(name.startswith(tuple(f"{label}." for label in labels)) for name in spec.band_names)
    wanted = TASKS[spec.task].dates
    if wanted > 1 and len(labels) != wanted:
        return (
            f"model {spec.name} compares {wanted} dates, the scene holds {max(1, len(labels))}",
            "name two scenes, the earlier one first: geodl predict BEFORE AFTER, or geodl.open_pair",
        )
    if labels and wanted == 1 and not dated:
        return (
            f"model {spec.name} maps a single date, the scene holds {len(labels)}",
            "give it one of them, for instance with .isel(time=0), or take a model of the task change",
        )
    return None


def _change_classes(scene: xr.DataArray, spec: ModelSpec) -> tuple[str, str] | None:  # noqa: ARG001
    """Compare the classes of a change model with what the values of a change map mean."""
    values = spec.class_values
    if TASKS[spec.task].dates == 1 or (0 in values and max(values) < NO_BEFORE):
        return None
    return (
        f"model {spec.name} has the class values {', '.join(map(str, values))}; in a change map 0 means "
        f"unchanged and {NO_BEFORE} and more mean no data",
        f"give its class for unchanged the value 0 and the others 1 to {NO_BEFORE - 1} in its model.json",
    )


def _bands(scene: xr.DataArray, spec: ModelSpec) -> tuple[str, str] | None:
    has, needs = [str(name) for name in scene.coords["band"].values], spec.band_names
    missing = [name for name in needs if name not in has]
    if not missing:
        return None
    if spec.calendar is not None:
        return _bands_of_each_date(scene, spec)
    if scene.attrs.get("dates"):
        return (
            f"model {spec.name} needs the bands {', '.join(needs)}; of these the pair lacks "
            f"{', '.join(missing)} (both dates have {', '.join(has)})",
            "both dates need each band: name the bands of the files with --bands and --after-bands, or the "
            "sensors with --sensor and --after-sensor",
        )
    if len(has) == 1:
        return (
            f"model {spec.name} needs the bands {', '.join(needs)}; of these the scene lacks "
            f"{', '.join(missing)} (it has {has[0]})",
            "if each band lies in a file of its own, name all files of one scene with --stack; the names "
            "are given with --bands, in the order of the files",
        )
    return (
        f"model {spec.name} needs the bands {', '.join(needs)}; of these the scene lacks "
        f"{', '.join(missing)} (it has {', '.join(has)})",
        f"if they are there under other names, name all {len(has)} bands in file order with --bands, "
        f"e.g. --bands {','.join((needs + has)[: len(has)])}, or the sensor with --sensor",
    )


def _bands_of_each_date(scene: xr.DataArray, spec: ModelSpec) -> tuple[str, str]:
    """Say what the scenes of a series lack, without naming each band at every step."""
    names = [str(name) for name in scene.coords["band"].values]
    has, needs = (
        list(dict.fromkeys(name.partition(".")[2] for name in some if not name.endswith(f".{GAP}")))
        for some in (names, spec.band_names)
    )
    missing = [name for name in needs if name not in has]
    return (
        f"model {spec.name} needs the bands {', '.join(needs)} of each date; of these the scenes lack "
        f"{', '.join(missing)} (they have {', '.join(has)})",
        f"if they are there under other names, name all {len(has)} bands in file order with --bands, "
        f"e.g. --bands {','.join((needs + has)[: len(has)])}, or the sensor with --sensor",
    )


def _units(scene: xr.DataArray, spec: ModelSpec) -> tuple[str, str] | None:
    has = scene.attrs.get("units")
    if has == spec.units or spec.units == "z_score":  # the same from values in any units
        return None
    described = {"reflectance": "reflectance", "digital_number": "digital numbers"}.get(
        str(has), "values of unknown scale"
    )
    if spec.units == "reflectance":
        return (
            f"model {spec.name} needs reflectance, the scene holds {described}",
            (
                "say how numbers become reflectance with --scale FACTOR or --scale FACTOR,OFFSET "
                "(Sentinel-2: 0.0001 before processing baseline 04.00, 0.0001,-0.1 since)"
            ),
        )
    return (
        f"model {spec.name} needs the file's digital numbers, the scene is read as {described}",
        "if the file holds plain digital numbers, say so with --scale none",
    )


def _dtype(scene: xr.DataArray, spec: ModelSpec) -> tuple[str, str] | None:
    if spec.units != "digital_number" or spec.dtype is None or scene.dtype == spec.dtype:
        return None
    return (
        f"model {spec.name} was trained on {spec.dtype} digital numbers, the scene holds {scene.dtype}",
        "convert the scene as the training data were made, or take another model",
    )


def _pixel_size(scene: xr.DataArray, spec: ModelSpec) -> tuple[str, str] | None:
    size = pixel_size_of(scene)
    if spec.pixel_size is None or size is None:
        return None
    low, high = spec.pixel_size_range or (spec.pixel_size / 1.25, spec.pixel_size * 1.25)
    if low <= min(size) and max(size) <= high:
        return None
    return (
        f"model {spec.name} reads pixels of {low:g} to {high:g} m, those of the scene are "
        f"{size[0]:.4g} x {size[1]:.4g} m",
        f"resample while reading with --resample {spec.pixel_size:g}",
    )
