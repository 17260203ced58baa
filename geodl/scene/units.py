"""What pixel values mean: units, scale and offset of a scene, from options, tags and presets. Pure."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geodl.errors import OptionError, SceneError

Number = float | tuple[float, ...]

# Landsat Collection 2 Level 2 surface reflectance (USGS LSDS-1619, section 6).
_LANDSAT_C2_L2 = (2.75e-5, -0.2)
# Sentinel-2 quantification value 10000; since processing baseline 04.00 (25 January 2022) digital
# numbers are shifted by BOA_ADD_OFFSET = RADIO_ADD_OFFSET = -1000.
_SENTINEL_2_SCALE = 1e-4
_SENTINEL_2_OFFSET = -0.1
_SCALE_HELP = "--scale 0.0001 (processing baseline before 04.00) or --scale 0.0001,-0.1 (04.00 and later)"


@dataclass(frozen=True, kw_only=True)
class Units:
    """``value * scale + offset`` is in `units`: ``reflectance``, ``digital_number`` or ``unknown``.

    `scale` and `offset` are one number, or one per band.
    """

    units: str
    scale: Number = 1.0
    offset: Number = 0.0
    note: str = ""


def parse_scale(scale: str | float | Sequence[float] | None) -> Units | None:
    """Parse the option ``--scale``: a number, ``(scale, offset)``, ``"0.0001,-0.1"`` or ``"none"``.

    >>> parse_scale("0.0001,-0.1")
    Units(units='reflectance', scale=0.0001, offset=-0.1, note='')
    >>> parse_scale("none").units
    'digital_number'
    """
    if scale is None:
        return None
    if isinstance(scale, str) and scale.strip().lower() == "none":
        return Units(units="digital_number")
    parts = scale.split(",") if isinstance(scale, str) else scale if isinstance(scale, Sequence) else [scale]
    try:
        numbers = [float(part) for part in parts]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) not in (1, 2) or not all(map(math.isfinite, numbers)) or numbers[0] == 0:
        raise OptionError(
            f"--scale {scale}",
            "is not a scale, with or without an offset",
            "write it like 0.0001 or 0.0001,-0.1, or none",
        )
    return Units(units="reflectance", scale=numbers[0], offset=numbers[1] if len(numbers) == 2 else 0.0)


def units_of(
    *,
    path: str,
    dtype: np.dtype,
    sensor: str | None,
    tags: dict[str, str],
    scales: Sequence[float],
    offsets: Sequence[float],
    unit_tags: Sequence[str],
) -> Units:
    """Tell the units of the bands of one file by its own account.

    The order is: scale tags of the file, 8-bit values, the product that the sensor and the file name
    tell of; otherwise unknown, with a note that names the option.
    """
    says_reflectance = all("reflectance" in unit.lower() for unit in unit_tags) and bool(unit_tags)
    tagged = any(value != 1 for value in scales) or any(value != 0 for value in offsets)
    if tagged:
        _refuse_unusable(path, scales, offsets)
        if says_reflectance or _looks_like_reflectance(dtype, scales, offsets):
            return Units(units="reflectance", scale=_collapsed(scales), offset=_collapsed(offsets))
        note = "the scale and offset of its tags give no reflectance: name the right ones with --scale"
        return Units(units="unknown", scale=_collapsed(scales), offset=_collapsed(offsets), note=note)
    if says_reflectance:
        return Units(units="reflectance")
    if dtype == np.uint8:
        return Units(units="digital_number")
    if sensor and sensor.startswith("sentinel-2") and dtype.kind in "iu":
        return _sentinel_2(path, tags)
    if sensor and sensor.startswith("landsat") and dtype.kind in "iu":
        return _landsat(path)
    note = "units unknown: name them with --scale (0.0001 for reflectance x 10000, none for digital numbers)"
    return Units(units="unknown", note=note)


def processing_baseline(path: str, tags: dict[str, str]) -> float | None:
    """Find the Sentinel-2 processing baseline in tags or the product name (``_N0509_``); None if unknown.

    >>> processing_baseline("S2A_MSIL2A_20230101T100000_N0509_R122_T33UUP_20230101T1.tif", {})
    5.09
    """
    for key, value in tags.items():
        if key.upper() in ("PROCESSING_BASELINE", "S2:PROCESSING_BASELINE") and re.fullmatch(
            r"\s*\d+\.?\d*\s*", value
        ):
            return float(value)
    match = re.search(r"_N(\d{2})(\d{2})[_.]", path)
    return float(f"{match[1]}.{match[2]}") if match else None


def _sentinel_2(path: str, tags: dict[str, str]) -> Units:
    baseline = processing_baseline(path, tags)
    if baseline is None:
        return Units(units="unknown", note=f"Sentinel-2 of unknown processing baseline: use {_SCALE_HELP}")
    offset = _SENTINEL_2_OFFSET if baseline >= 4 else 0.0
    return Units(units="reflectance", scale=_SENTINEL_2_SCALE, offset=offset)


def _landsat(path: str) -> Units:
    if re.search(r"_L2S[PR]_\d{6}_\d{8}_\d{8}_02_", path) or re.search(r"_02_[A-Z0-9]{2}_SR_B\d", path):
        return Units(units="reflectance", scale=_LANDSAT_C2_L2[0], offset=_LANDSAT_C2_L2[1])
    if re.search(r"_L1[A-Z]{2}_\d{6}_", path):
        return Units(units="digital_number")
    note = (
        "Landsat of unknown level: use --scale 2.75e-5,-0.2 (Collection 2 Level 2), --scale 0.0001 (older "
        "surface reflectance) or --scale none (digital numbers)"
    )
    return Units(units="unknown", note=note)


def _refuse_unusable(path: str, scales: Sequence[float], offsets: Sequence[float]) -> None:
    if not all(map(math.isfinite, (*scales, *offsets))) or 0 in scales:
        raise SceneError(
            f"scene {path}", "its scale and offset tags are not usable numbers", "name them with --scale"
        )


def _looks_like_reflectance(dtype: np.dtype, scales: Sequence[float], offsets: Sequence[float]) -> bool:
    """Whether the largest storable value is a reflectance: 0.5 to 20. Heights and temperatures are not."""
    if dtype.kind not in "iu":
        return False
    top = float(np.iinfo(dtype).max)
    return all(
        0.5 <= top * scale <= 20 and abs(offset) <= 1 for scale, offset in zip(scales, offsets, strict=True)
    )


def _collapsed(values: Sequence[float]) -> Number:
    return float(values[0]) if len(set(values)) == 1 else tuple(float(value) for value in values)
