"""Everything that a raster file says about itself, read once and without touching its pixels."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader

from geodl.errors import SceneError
from geodl.scene.safety import driver_of, gdal_watched, local_file, open_raster, refuse_damage

MAX_BLOCK_BYTES = 512 * 2**20
# DEFLATE, the densest codec of PNG, makes at most 1032 bytes of one; a JPEG at best about as much.
MAX_EXPANSION = 1100
_MAX_BLOCKS_CHECKED = 200_000
_WORLD_FILES = (".tfw", ".tifw", ".wld", ".tab", ".jgw", ".pgw", ".j2w", ".jpgw", ".pngw", ".jpw")


@dataclass(frozen=True, kw_only=True)
class Header:
    """What one raster file says of itself. Band indexes are GDAL's, from 1."""

    path: str
    driver: str
    bytes: int
    mtime_ns: int
    height: int
    width: int
    count: int
    dtype: np.dtype
    """The dtype of all its bands."""
    crs: CRS | None
    transform: Affine
    gcps: bool
    rpcs: bool
    nodata: tuple[float | None, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    units: tuple[str, ...]
    names: tuple[str, ...]
    """Description of each band, or its tag 'name'; empty where it has none."""
    colors: tuple[str, ...]
    alpha: int | None
    explicit_mask: bool
    """There is an internal mask, a .msk file or a NODATA_VALUES tag."""
    pixel_mask: bool
    """Invalid only where all bands are (NODATA_VALUES), so that `nodata` does not count by band."""
    block: tuple[int, int]
    """(rows, columns) of the blocks in the file."""
    interleave: str
    compression: str
    tags: dict[str, str]

    @property
    def has_transform(self) -> bool:
        """Whether the file places its pixels (GDAL gives the identity where it does not)."""
        return self.transform != Affine.identity()


def read_header(path: str, *, allow_sparse: bool = False) -> Header:
    """Read and judge the header of a raster.

    Raises
    ------
    SceneError
        Not a raster, damaged, truncated, sparse (unless `allow_sparse`), or with blocks or a dtype
        that geodl does not read.
    """
    absolute = local_file(path)
    driver = driver_of(absolute)
    with gdal_watched() as warnings, open_raster(absolute, driver) as dataset:
        header = _header(dataset, absolute, driver)
        refuse_damage(absolute, warnings)
        _check_size(header)
        if driver == "GTiff":
            _check_blocks(dataset, header, allow_sparse=allow_sparse)
        _check_sources(header)
        refuse_damage(absolute, warnings)
    return header


def _header(dataset: DatasetReader, path: str, driver: str) -> Header:
    status = Path(path).stat()
    if dataset.count == 0:
        raise SceneError(
            f"scene {path}", "holds no raster, only subdatasets", "extract one with gdal_translate"
        )
    structure = dataset.tags(ns="IMAGE_STRUCTURE")
    flags = dataset.mask_flag_enums
    alpha = [i for i, color in enumerate(dataset.colorinterp, 1) if color is ColorInterp.alpha]
    return Header(
        path=path,
        driver=driver,
        bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        height=dataset.height,
        width=dataset.width,
        count=dataset.count,
        dtype=_dtype(dataset, path),
        crs=dataset.crs or None,
        transform=dataset.transform,
        gcps=bool(dataset.gcps[0]),
        rpcs=dataset.rpcs is not None,
        nodata=tuple(dataset.nodatavals),
        scales=tuple(dataset.scales),
        offsets=tuple(dataset.offsets),
        units=tuple(unit or "" for unit in dataset.units),
        names=tuple(_band_name(dataset, i) for i in dataset.indexes),
        colors=tuple(color.name for color in dataset.colorinterp),
        alpha=alpha[0] if len(alpha) == 1 and dataset.count > 1 else None,
        # No flag at all is GDAL's way to say that each band has a mask of its own.
        explicit_mask=any(not f or (MaskFlags.per_dataset in f and MaskFlags.alpha not in f) for f in flags),
        pixel_mask=any(MaskFlags.per_dataset in f and MaskFlags.nodata in f for f in flags),
        block=dataset.block_shapes[0],
        interleave=structure.get("INTERLEAVE", "BAND"),
        compression=structure.get("COMPRESSION", "none"),
        tags=dataset.tags(),
    )


def _band_name(dataset: DatasetReader, index: int) -> str:
    if description := dataset.descriptions[index - 1]:
        return description
    tags = dataset.tags(index)
    return next(
        (tags[key] for key in ("name", "NAME", "BandName", "band_name", "long_name") if tags.get(key)), ""
    )


def _dtype(dataset: DatasetReader, path: str) -> np.dtype:
    found = sorted(set(dataset.dtypes))
    if len(found) > 1:
        raise SceneError(
            f"scene {path}",
            f"its bands are of different types ({', '.join(found)})",
            "rewrite it with `gdal_translate -ot`",
        )
    if found[0].startswith("complex"):
        raise SceneError(
            f"scene {path}",
            f"its pixels are complex numbers ({found[0]})",
            "write the amplitude or another real quantity first",
        )
    return np.dtype(found[0])


def _check_size(header: Header) -> None:
    rows, columns = header.block
    bands = header.count if header.interleave == "PIXEL" else 1
    block_bytes = rows * columns * bands * header.dtype.itemsize
    if block_bytes > MAX_BLOCK_BYTES:
        raise SceneError(
            f"scene {header.path}",
            f"one block of {rows} x {columns} pixels takes {block_bytes / 2**20:.0f} MiB, "
            f"more than the {MAX_BLOCK_BYTES // 2**20} MiB that geodl reads at once",
            "rewrite it tiled with `gdal_translate -co TILED=YES`",
        )
    declared = header.height * header.width * header.count * header.dtype.itemsize
    if header.driver in ("PNG", "JPEG") and declared > MAX_EXPANSION * header.bytes + 2**20:
        raise SceneError(
            f"scene {header.path}",
            f"its header declares {declared} bytes of pixels, "
            f"more than a file of {header.bytes} bytes can hold",
            "get the file again",
        )


def _check_blocks(dataset: DatasetReader, header: Header, *, allow_sparse: bool) -> None:
    """Refuse blocks outside the file: GDAL reads zeros where a writer was killed."""
    for band, row, column in _blocks(header):
        offset, size = (
            dataset.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", bidx=band)
            for what in ("OFFSET", "SIZE")
        )
        if offset is None:
            if allow_sparse or _is_line_of_strip(dataset, header, row):
                continue
            raise SceneError(
                f"scene {header.path}",
                f"block at row {row}, column {column} is missing: its writer was stopped, or it is sparse",
                "get the file again; if it is sparse on purpose, add --allow-sparse",
            )
        if (end := int(offset) + int(size or 0)) > header.bytes:
            raise SceneError(
                f"scene {header.path}",
                f"is truncated: it needs {end} bytes or more and has {header.bytes}",
                "get the file again",
            )


def _is_line_of_strip(dataset: DatasetReader, header: Header, row: int) -> bool:
    """Tell whether GDAL serves one tall strip line by line: only line 0 has an offset then."""
    if header.block != (1, header.width) or row == 0:
        return False
    size = int(dataset.get_tag_item("BLOCK_SIZE_0_0", "TIFF", bidx=1) or 0)
    line = header.width * header.count * header.dtype.itemsize
    return header.compression != "none" and size > 2 * line


def _blocks(header: Header) -> Iterable[tuple[int, int, int]]:
    """(band, block row, block column); a regular sample of them where they are too many."""
    rows = -(-header.height // header.block[0])
    columns = -(-header.width // header.block[1])
    bands = 1 if header.interleave == "PIXEL" else header.count
    total = rows * columns * bands
    step = max(1, total // _MAX_BLOCKS_CHECKED)
    for index in chain(range(0, total, step), (total - 1,)):
        band, rest = divmod(index, rows * columns)
        row, column = divmod(rest, columns)
        yield band + 1, row, column


def _check_sources(header: Header) -> None:
    """Refuse an image that tags, .aux.xml, world file and .tab place differently."""
    stem = Path(header.path).with_suffix("")
    sidecars = [Path(header.path + ".aux.xml"), *(stem.with_suffix(suffix) for suffix in _WORLD_FILES)]
    if header.driver != "GTiff" or not any(sidecar.is_file() for sidecar in sidecars):
        return
    found: dict[str, Affine] = {}
    for source, name in (
        ("INTERNAL", "its tags"),
        ("PAM", "its .aux.xml"),
        ("WORLDFILE", "its world file"),
        ("TABFILE", "its .tab file"),
    ):
        with open_raster(header.path, header.driver, GEOREF_SOURCES=source) as dataset:
            placed = dataset.transform != Affine.identity()
            if placed and all(map(math.isfinite, dataset.transform[:6])):
                found[name] = dataset.transform
    distinct = {
        name: transform
        for name, transform in found.items()
        if not transform.almost_equals(next(iter(found.values())), 1e-6 * abs(transform.a or transform.b))
    }
    if distinct:
        raise SceneError(
            f"scene {header.path}",
            f"{' and '.join((next(iter(found)), *distinct))} place it differently",
            "remove the sidecar file that is wrong",
        )
