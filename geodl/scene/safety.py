"""The one door to GDAL: every raster that geodl reads is opened by `open_raster`.

A raster may be hostile or damaged. Only regular local files are opened, by the one driver that their
first bytes name (a VRT renamed ``.tif`` could otherwise read any file of the machine), with GDAL's
block cache bounded and its warnings collected: damage that GDAL only warns about is an error here.
"""

import logging
import os
import re
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rasterio
from rasterio._err import CPLE_BaseError  # raised as it is by property reads: no public base
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from geodl.errors import SceneError

# A scene says so itself, in its notes or by an error; `catch_warnings` is not safe among threads.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)

CACHE_BYTES = 128 * 2**20
READS = "GeoTIFF, JPEG 2000, PNG and JPEG"
GDAL_ERRORS = (RasterioError, CPLE_BaseError)

_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MAGIC: tuple[tuple[bytes, str], ...] = (
    *((magic, "GTiff") for magic in _TIFF_MAGIC),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JP2OpenJPEG"),
    (b"\xff\x4f\xff\x51", "JP2OpenJPEG"),
)
# What people pass by mistake, told apart so that the message helps.
_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"<VRTDataset", "a GDAL virtual raster (VRT): it names other files, which geodl does not follow"),
    (b"<GDALTileIndex", "a GDAL tile index: it names other files, which geodl does not follow"),
    (b"<!DOCTYPE", "a web page, not a raster: the download failed"),
    (b"<html", "a web page, not a raster: the download failed"),
    (b"version https://git-lfs", "a Git LFS pointer: the raster itself was not fetched"),
    (b"\x89HDF", "HDF5 or NetCDF"),
    (b"CDF", "NetCDF"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"<", "an XML document"),
    (b"{", "a JSON document"),
)
_OPTIONS: dict[str, str | int | bool] = {
    "GDAL_CACHEMAX": CACHE_BYTES,  # otherwise 5 % of the machine, in every process
    "GTIFF_IGNORE_READ_ERRORS": "NO",
    "GDAL_ERROR_ON_LIBJPEG_WARNING": "YES",
    "GDAL_PAM_ENABLED": "YES",
}
# Warnings about conventions rather than damage.
_HARMLESS = re.compile(
    r"Nonstandard tile|Unknown field with tag|does not end in null byte|sRGB profile|"
    r"Unable to open datum grid|EXIF|Exif|iCCP|gAMA|cHRM",
)


class _Collector(logging.Handler):
    """Keeps the warnings that GDAL gives in one thread (rasterio logs them)."""

    def __init__(self) -> None:
        super().__init__(level=logging.WARNING)
        self.thread = threading.get_ident()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self.thread:
            text = re.sub(r"^CPLE_\w+(:| in )", "", record.getMessage()).strip()
            if text not in self.messages and not _HARMLESS.search(text):
                self.messages.append(text)


def local_file(path: str | os.PathLike[str]) -> str:
    """Absolute path of a regular, non-empty local file.

    Raises
    ------
    SceneError
        The path is remote, virtual (``/vsi...``), missing, a folder, a device or empty.
    """
    text = os.fspath(path)
    shown = public_name(text)
    if text.startswith("/vsi") or "://" in text:
        raise SceneError(f"scene {shown}", "is not a local file", "download it first and name the file")
    absolute = Path(text).absolute()
    try:
        status = absolute.stat()
    except (OSError, ValueError) as error:
        prefix = re.match(r"^[A-Za-z0-9_]{2,}:", text)
        remedy = "name the file alone, without the GDAL prefix" if prefix else "check the path"
        cause = getattr(error, "strerror", None) or str(error)
        raise SceneError(f"scene {shown}", f"cannot be opened ({cause})", remedy) from error
    if stat.S_ISDIR(status.st_mode):
        raise SceneError(f"scene {shown}", "is a folder", "name its raster files, one per band if need be")
    if not stat.S_ISREG(status.st_mode):
        raise SceneError(f"scene {shown}", "is not a regular file", "copy it to a file first")
    if status.st_size == 0:
        raise SceneError(f"scene {shown}", "is empty (0 bytes)", "get the file again")
    return str(absolute)


def public_name(path: str) -> str:
    """Path for messages: user names, passwords and signatures of URLs left out."""
    if "://" in path:
        path = re.sub(r"://[^/@]*@", "://", path)
        path = re.split(r"[?#]", path, maxsplit=1)[0]
    return path.encode("utf-8", "replace").decode("utf-8")


def driver_of(path: str) -> str:
    """GDAL driver that the first bytes of a file name.

    Raises
    ------
    SceneError
        The file is of no format that geodl reads, or a sidecar that GDAL would open is not a TIFF.
    """
    head = _first_bytes(path)
    for magic, driver in _MAGIC:
        if head.startswith(magic):
            _check_sidecars(path)
            return driver
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    text = re.sub(rb"^<\?xml[^>]*>\s*", b"", text)
    kind = next((name for magic, name in _FOREIGN if text.startswith(magic)), "of an unknown format")
    raise SceneError(
        f"scene {path}", f"is {kind}", f"geodl reads {READS}; convert it with `gdal_translate -of GTiff`"
    )


def _first_bytes(path: str) -> bytes:
    try:
        with Path(path).open("rb") as stream:
            return stream.read(512)
    except OSError as error:
        raise SceneError(f"scene {path}", f"cannot be read ({error.strerror})", "check the path") from error


def _check_sidecars(path: str) -> None:
    # GDAL opens masks and overviews beside a raster with any driver; only TIFFs are let through.
    for suffix in (".msk", ".ovr"):
        sidecar = Path(path + suffix)
        if sidecar.is_file() and not _first_bytes(str(sidecar)).startswith(_TIFF_MAGIC):
            raise SceneError(
                f"scene {path}", f"its sidecar {sidecar.name} is not a TIFF", "remove or repair the sidecar"
            )


@contextmanager
def gdal_watched() -> Iterator[list[str]]:
    """GDAL with our options, in this thread; yields the list that its warnings are added to."""
    collector = _Collector()
    logger = logging.getLogger("rasterio")
    logger.addHandler(collector)
    try:
        with rasterio.Env(**_OPTIONS):
            yield collector.messages
    finally:
        logger.removeHandler(collector)


@contextmanager
def open_raster(path: str, driver: str, **options: str) -> Iterator[DatasetReader]:
    """Open one raster for one thread; call inside `gdal_watched`.

    Parameters
    ----------
    path : str
        From `local_file`.
    driver : str
        From `driver_of`; no other driver is tried.
    options : str
        Open options of the driver.

    Raises
    ------
    SceneError
        GDAL refuses the file; its reason is the cause.
    """
    try:
        with rasterio.open(path, driver=driver, sharing=False, **options) as dataset:
            yield dataset
    except GDAL_ERRORS as error:
        raise SceneError(
            f"scene {path}", gdal_reason(error, path), "get the file again or rewrite it"
        ) from error


def refuse_damage(path: str, messages: list[str]) -> None:
    """Raise `SceneError` where GDAL warned of damage in `path`."""
    if messages:
        raise SceneError(
            f"scene {path}",
            f"its header or pixels are damaged ({strip_path(messages[0], path)})",
            "get the file again, or rewrite it with `gdal_translate` once you have checked it",
        )


def gdal_reason(error: BaseException, path: str) -> str:
    """Return what GDAL said, without rasterio's 'See previous exception' and without the path."""
    deepest: BaseException = error
    while deepest.__cause__ is not None:
        deepest = deepest.__cause__
    return strip_path(str(getattr(deepest, "errmsg", None) or deepest), path)


def strip_path(message: str, path: str) -> str:
    """`message` without the path and the file name, which the error already names."""
    for name in (path, Path(path).name):
        message = message.replace(name, "")
    return re.sub(r"\s+", " ", re.sub(r"^[\s:,'`]+", "", message)).strip() or "GDAL gives no reason"
