"""What bands are called: sensors, file names and descriptions to common names. Pure: no file is read.

Common names follow STAC (``blue``, ``nir``, ...). ``B4`` is red for Sentinel-2 and Landsat 8, near
infrared for Landsat 5: a band number becomes a common name only where the sensor is known.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from geodl.errors import OptionError

COMMON_NAMES = (
    "coastal", "blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir08", "nir09",
    "cirrus", "swir1", "swir2", "pan", "thermal1", "thermal2",
)  # fmt: skip

_SENTINEL_2 = dict(
    zip(
        ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12"),
        ("coastal", "blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir08", "nir09",
         "cirrus", "swir1", "swir2"),
        strict=True,
    )
)  # fmt: skip
_LANDSAT_8 = dict(
    zip(
        ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B10", "B11"),
        ("coastal", "blue", "green", "red", "nir", "swir1", "swir2", "pan", "cirrus", "thermal1", "thermal2"),
        strict=True,
    )
)
_LANDSAT_5 = {
    "B1": "blue", "B2": "green", "B3": "red", "B4": "nir", "B5": "swir1", "B6": "thermal1", "B7": "swir2",
}  # fmt: skip
_LANDSAT_7 = {**_LANDSAT_5, "B6_VCID_1": "thermal1", "B6_VCID_2": "thermal2", "B8": "pan"}


@dataclass(frozen=True, kw_only=True)
class Sensor:
    """A row of `SENSORS`.

    `numbers` gives the common name of each band number; `stacks` the usual contents of one file with
    all bands, by their count, for files that name nothing.
    """

    name: str
    numbers: dict[str, str]
    stacks: tuple[tuple[str, ...], ...]


_SENTINEL_2_STACKS = (
    tuple(_SENTINEL_2.values()),
    tuple(name for name in _SENTINEL_2.values() if name != "cirrus"),  # L2A has no B10
)
_LANDSAT_8_STACKS = (tuple(_LANDSAT_8.values())[:7], tuple(_LANDSAT_8.values()))
_LANDSAT_5_STACKS = (
    ("blue", "green", "red", "nir", "swir1", "swir2"),
    ("blue", "green", "red", "nir", "swir1", "thermal1", "swir2"),
)

SENSORS: dict[str, Sensor] = {
    sensor.name: sensor
    for sensor in (
        Sensor(name="sentinel-2", numbers=_SENTINEL_2, stacks=_SENTINEL_2_STACKS),
        Sensor(name="sentinel-2-l1c", numbers=_SENTINEL_2, stacks=_SENTINEL_2_STACKS),
        Sensor(name="sentinel-2-l2a", numbers=_SENTINEL_2, stacks=_SENTINEL_2_STACKS),
        Sensor(name="landsat-5", numbers=_LANDSAT_5, stacks=_LANDSAT_5_STACKS),
        Sensor(name="landsat-7", numbers=_LANDSAT_7, stacks=_LANDSAT_5_STACKS),
        Sensor(name="landsat-8", numbers=_LANDSAT_8, stacks=_LANDSAT_8_STACKS),
        Sensor(name="landsat-9", numbers=_LANDSAT_8, stacks=_LANDSAT_8_STACKS),
        Sensor(name="naip", numbers={}, stacks=(("red", "green", "blue", "nir"), ("red", "green", "blue"))),
        Sensor(name="rgb", numbers={}, stacks=(("red", "green", "blue"),)),
        Sensor(name="rgbn", numbers={}, stacks=(("red", "green", "blue", "nir"),)),
    )
}

# Words that data providers use, without case, spaces and punctuation.
_WORDS = {
    "coastalaerosol": "coastal", "coastalblue": "coastal", "ultrablue": "coastal", "aerosol": "coastal",
    "b": "blue", "g": "green", "r": "red", "n": "nir",
    "rededge": "rededge1", "rededge071": "rededge1", "rededge075": "rededge2", "rededge078": "rededge3",
    "vegetationrededge1": "rededge1", "vegetationrededge2": "rededge2", "vegetationrededge3": "rededge3",
    "re1": "rededge1", "re2": "rededge2", "re3": "rededge3",
    "nearinfrared": "nir", "nearir": "nir", "nirwide": "nir", "nir1": "nir", "infrared": "nir",
    "nirnarrow": "nir08", "narrownir": "nir08", "nir8a": "nir08",
    "watervapour": "nir09", "watervapor": "nir09",
    "shortwaveinfrared1": "swir1", "swir16": "swir1", "shortwaveinfrared2": "swir2", "swir22": "swir2",
    "panchromatic": "pan", "thermal": "thermal1", "lwir": "thermal1", "lwir11": "thermal1",
    "lwir12": "thermal2",
    "tirs1": "thermal1", "tirs2": "thermal2",
    **{name: name for name in COMMON_NAMES},
}  # fmt: skip

_LANDSAT_NUMBER = {"4": "landsat-5", "5": "landsat-5", "7": "landsat-7", "8": "landsat-8", "9": "landsat-9"}
# LC08_L2SP_..., and before 2016 LE70220491999322EDC01: sensor, satellite, path/row, date.
_LANDSAT_NAME = re.compile(r"(?<![A-Za-z0-9])L[COTEM]0?([45789])(?:_L\d[A-Z]{2}_|\d{13})", re.IGNORECASE)
_SENTINEL_NAME = re.compile(
    r"(?<![A-Za-z0-9])S2[ABCD](?:_OPER)?_(?:PRD_)?(?:MSI_?)?L(1C|2A)(?![0-9])", re.IGNORECASE
)
# A file inside a SAFE folder; those of level 2A carry the pixel size: T31UFU_20180101T104441_B02_10m.
_SENTINEL_TILE = re.compile(
    r"(?<![A-Za-z0-9])T\d{2}[A-Z]{3}_\d{8}T\d{6}_B(?:\d{2}|8A)(_\d{2}m)?$", re.IGNORECASE
)
_FILE_BAND = re.compile(
    r"(?:^|[_\-. ])(?:SR_|ST_)?B(?:AND[_ ]?)?(\d{1,2}|8A)(_VCID_[12])?(?:_\d{2}m)?$", re.IGNORECASE
)
_BAND_NUMBER = re.compile(
    r"(?<![A-Za-z0-9])B(?:and)?[ _\-]?0*(\d{1,2}A?)(_VCID_[12])?(?![A-Za-z0-9.])", re.IGNORECASE
)


def canonical_name(text: str, sensor: str | None = None) -> str | None:
    """Return the common name that a description, a file suffix or a user means; None if it is none.

    >>> canonical_name("Near Infrared"), canonical_name("B04", "sentinel-2-l2a"), canonical_name("B04")
    ('nir', 'red', None)
    """
    for words in (text, re.sub(r"\(.*?\)", "", text)):
        word = re.sub(r"[^a-z0-9]", "", words.lower())
        if word in _WORDS:
            return _WORDS[word]
    number = band_number(text)
    return SENSORS[sensor].numbers.get(number) if sensor and number else None


def band_number(text: str) -> str | None:
    """Return the band number in a description, as ``B<number>``.

    >>> band_number("ETM+ B1"), band_number("band 7 reflectance"), band_number("B08A"), band_number("B12")
    ('B1', 'B7', 'B8A', 'B12')
    """
    match = _BAND_NUMBER.search(text)
    return f"B{match[1].upper()}{(match[2] or '').upper()}" if match else None


def raw_name(text: str) -> str:
    """Return a band name made of letters, digits, ``_``, ``.`` and ``-`` only, at most 64 characters."""
    return re.sub(r"[^A-Za-z0-9_.\-]+", "_", text).strip("_")[:64]


def file_band(path: str) -> str | None:
    """Return the band number or name at the end of a file name.

    >>> file_band("T31UFU_20180101T104441_B8A.jp2"), file_band("LC08_X_SR_B4.TIF"), file_band("a_nir.tif")
    ('B8A', 'B4', 'nir')
    """
    stem = PurePath(path).stem
    if match := _FILE_BAND.search(stem):
        return f"B{match[1].upper().lstrip('0')}{(match[2] or '').upper()}"
    last = re.split(r"[_\-. ]", re.sub(r"_\d{2}m$", "", stem))[-1]
    # A single letter is a word in a description, too little in a file name.
    return canonical_name(last) if len(last) > 2 else None


def sensor_of(path: str, tags: dict[str, str], descriptions: Sequence[str]) -> str | None:
    """Return the sensor of a raster where its path, tags or descriptions leave no doubt.

    >>> sensor_of("/x/LE70220491999322EDC01_stack.tif", {}, [])
    'landsat-7'
    >>> sensor_of("/x/T31UFU_20180101T104441_B02_10m.jp2", {}, [])
    'sentinel-2-l2a'
    """
    parts = [PurePath(path).stem, *reversed(PurePath(path).parts[:-1])]
    texts = [
        *parts[:6],
        *(tags.get(key, "") for key in ("PRODUCT_URI", "PRODUCT_ID", "LANDSAT_PRODUCT_ID")),
        *descriptions[:1],
    ]
    for text in texts:
        if match := _SENTINEL_NAME.search(text):
            return f"sentinel-2-l{match[1].lower()}"
        if match := re.search(r"S2[ABCD]_MSIL(1C|2A)_", text):
            return f"sentinel-2-l{match[1].lower()}"
        if match := _LANDSAT_NAME.search(text):
            return _LANDSAT_NUMBER[match[1]]
    if match := _SENTINEL_TILE.search(parts[0]):
        return "sentinel-2-l2a" if match[1] else "sentinel-2-l1c"
    numbers = {band_number(text) for text in descriptions}
    if {"B8A", "B12"} & numbers and numbers <= set(_SENTINEL_2):
        return "sentinel-2"  # no other sensor here counts like this
    if any("ETM+" in text for text in descriptions):
        return "landsat-7"
    return None


def parse_bands(bands: str | Sequence[str] | None) -> list[str] | None:
    """Parse the option ``--bands``: names in the order of the file, common names where they are known."""
    if bands is None:
        return None
    names = [name.strip() for name in (bands.split(",") if isinstance(bands, str) else bands)]
    if not names or not all(raw_name(name) for name in names):
        raise OptionError(f"--bands {bands}", "has an empty band name", "write it like blue,green,red,nir")
    return [canonical_name(name) or raw_name(name) for name in names]


def parse_sensor(sensor: str | None) -> str | None:
    """Parse the option ``--sensor``; `OptionError` lists the known ones."""
    if sensor is None or sensor.lower() in SENSORS:
        return sensor.lower() if sensor else None
    raise OptionError(f"--sensor {sensor}", "is not known", f"use one of {', '.join(SENSORS)}")


def name_bands(
    path: str, descriptions: Sequence[str], colors: Sequence[str], sensor: str | None, *, stacked: bool
) -> list[str]:
    """Name the bands of one file, alpha left out.

    Parameters
    ----------
    path : str
        Its end may name the band of a file with one.
    descriptions, colors : sequence of str
        Band descriptions (empty where there is none) and GDAL's colour interpretations.
    sensor : str or None
        Row of `SENSORS`.
    stacked : bool
        The file is one of several: an unnamed band is called after its file.
    """
    count = len(descriptions)
    if count == 1 and (found := file_band(path)) and not canonical_name(descriptions[0], sensor):
        return [canonical_name(found, sensor) or found]
    if any(descriptions):
        names = [canonical_name(text, sensor) or _short(text) for text in descriptions]
        if any(name for name in names):
            return [name or f"band_{i}" for i, name in enumerate(names, 1)]
    if sensor:
        for stack in SENSORS[sensor].stacks:
            if len(stack) == count:
                return list(stack)
    if count in (3, 4) and {"red", "green", "blue"} <= set(colors):
        return [color if color in COMMON_NAMES else f"band_{i}" for i, color in enumerate(colors, 1)]
    if count == 1 and stacked:
        return [raw_name(PurePath(path).stem)]
    return [f"band_{i}" for i in range(1, count + 1)]


def _short(text: str) -> str:
    """Raw name of a description: its band number where that is all it says."""
    number = band_number(text)
    return (
        number
        if number and re.fullmatch(r"B(and)?[ _]?\d+A?", text.strip(), re.IGNORECASE)
        else raw_name(text)
    )
