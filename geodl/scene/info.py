"""`geodl info`: what a raster is, in words and numbers, after a look at its pixels."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.windows import Window

from geodl.scene.georeference import crs_name
from geodl.scene.grid import Grid, pixel_size_metres
from geodl.scene.header import Header
from geodl.scene.open import assemble, mask_file_of
from geodl.scene.part import Part, PathLike, common_grid, resampled_grid, understand
from geodl.scene.reader import FileBands

# Rasters that decode to this much are read whole; of larger ones, blocks from all over.
WHOLE_BYTES = 64 * 2**20
_SAMPLED_BLOCKS = 25
_SAMPLED_BYTES = 256 * 2**20
_EXAMPLE = ("blue", "green", "red", "nir", "swir1", "swir2")


def describe(
    paths: PathLike | Sequence[PathLike],
    *,
    bands: str | Sequence[str] | None = None,
    scale: str | float | Sequence[float] | None = None,
    mask: str = "any",
    sensor: str | None = None,
    crs: str | None = None,
    ungeoreferenced: bool = False,
    resample: float | None = None,
    allow_sparse: bool = False,
) -> dict[str, Any]:
    """Say what a scene is; options as for `open_scene`.

    Unlike `open_scene` it accepts a raster that does not say where it lies, and notes what a
    prediction needs. It decodes the pixels (all of a small raster, a sample of a large one), so that
    damage is found here.

    Returns
    -------
    dict
        Ready for JSON: `bounds` and `transform` in units of the CRS, `pixel_size_m` (x, y) in metres
        on the ground, `size` (width, height) in pixels.

    Raises
    ------
    SceneError
        As `open_scene`, and where pixels cannot be decoded.
    """
    parts = understand(
        paths, bands=bands, scale=scale, mask=mask, sensor=sensor, crs=crs, ungeoreferenced=ungeoreferenced,
        allow_sparse=allow_sparse, lenient=True,
    )  # fmt: skip
    grid = common_grid(parts)
    if resample is not None:
        grid = resampled_grid(parts, grid, resample)
    mask_file = mask_file_of(mask, parts, grid, crs=crs, ungeoreferenced=ungeoreferenced)
    scene = assemble(parts, grid, mask_file, mask=mask)
    checked = [verify_pixels(part.header) for part in parts]
    header = parts[0].header
    attrs = scene.attrs
    return {
        "name": scene.name,
        "files": [os.fspath(path) for path in attrs["source"]],
        "format": header.driver,
        "size": [grid.width, grid.height],
        "dtype": str(header.dtype),
        "crs": crs_name(grid.crs) if grid.crs else None,
        "transform": list(grid.transform[:6]) if grid.crs else _own_transform(header),
        "pixel_size_m": _rounded(pixel_size_metres(grid)),
        "bounds": list(grid.bounds),
        "nodata": _json_nodata(attrs["nodata"]),
        "masks": _masks(parts, mask_file),
        "units": attrs["units"],
        "scale": attrs["scale"],
        "offset": attrs["offset"],
        "sensor": attrs["sensor"],
        "blocks": list(header.block),
        "compression": header.compression,
        "interleave": header.interleave.lower(),
        "checked": "; ".join(dict.fromkeys(checked)),
        "bands": _bands(parts),
        "notes": [*attrs["notes"], *_shape_notes(grid), *_band_notes(parts)],
    }


def verify_pixels(header: Header) -> str:
    """Decode the pixels of a file, or a sample of them; returns what was decoded.

    Raises
    ------
    SceneError
        GDAL cannot decode a block, or warns of damage.
    """
    file = FileBands(
        path=header.path, driver=header.driver, indexes=tuple(range(1, header.count + 1)),
        bytes=header.bytes, mtime_ns=header.mtime_ns,
    )  # fmt: skip
    decoded = header.height * header.width * header.count * header.dtype.itemsize
    whole = decoded <= WHOLE_BYTES
    windows = list(_strips(header) if whole else _sample(header))
    with file.opened(slice(0, header.height), slice(0, header.width)) as dataset:
        for window, indexes in windows:
            dataset.read(indexes, window=window)
            if header.explicit_mask:
                dataset.read_masks(indexes, window=window)
    return "all pixels" if whole else f"{len(windows)} blocks of a large raster"


def _strips(header: Header) -> Iterator[tuple[Window, list[int]]]:
    rows = header.block[0] * max(1, 256 // header.block[0])
    for start in range(0, header.height, rows):
        height = min(rows, header.height - start)
        yield Window(0, start, header.width, height), list(range(1, header.count + 1))  # type: ignore[call-arg]


def _sample(header: Header) -> Iterator[tuple[Window, list[int]]]:
    """Blocks at even distances from the first to the last, of the first, middle and last band."""
    height, width = header.block
    rows, columns = -(-header.height // height), -(-header.width // width)
    bands = sorted({1, (header.count + 1) // 2, header.count})
    spent = 0
    for index in np.unique(np.linspace(0, rows * columns - 1, _SAMPLED_BLOCKS).astype(int)):
        row, column = divmod(int(index), columns)
        if spent > _SAMPLED_BYTES:
            return
        spent += height * width * header.dtype.itemsize * len(bands)
        yield (
            Window(  # type: ignore[call-arg]
                column * width,
                row * height,
                min(width, header.width - column * width),
                min(height, header.height - row * height),
            ),
            bands,
        )


def _bands(parts: list[Part]) -> list[dict[str, Any]]:
    several = len(parts) > 1
    rows = []
    for part in parts:
        for name, index in zip(part.names, part.indexes, strict=True):
            row = {"name": name, "description": part.header.names[index - 1], "dtype": str(part.header.dtype)}
            if several:
                row["file"] = Path(part.header.path).name
            rows.append(row)
    return rows


def _masks(parts: list[Part], mask_file: FileBands | None) -> list[str]:
    found = []
    for part in parts:
        found += [
            "mask in the file or beside it" if kind == "mask" else "alpha band" for _, kind in part.masks()
        ]
    if mask_file is not None:
        found.append(mask_file.path)
    return list(dict.fromkeys(found))


def _shape_notes(grid: Grid) -> list[str]:
    _, b, _, d, e, _ = grid.transform[:6]
    if grid.crs is None:
        return []
    notes = ["rotated: rows do not run along an axis of the CRS"] if b or d else []
    return [*notes, *(["south-up: the first row is the southernmost"] if not (b or d) and e > 0 else [])]


def _band_notes(parts: list[Part]) -> list[str]:
    """Say how to name bands of which the files tell nothing, or a number that means nothing by itself."""
    names = [name for part in parts for name in part.names]
    unknown = [name for name in names if re.fullmatch(r"band_\d+|B\d+A?", name)]
    if not unknown:
        return []
    example = ",".join(_EXAMPLE[: len(names)]) + ("" if len(names) <= len(_EXAMPLE) else ",...")
    which = "its only band" if len(names) == 1 else f"all {len(names)} bands in file order"
    return [
        f"nothing tells what {', '.join(unknown)} {'shows' if len(unknown) == 1 else 'show'}: name {which} "
        f"with --bands, e.g. --bands {example}, or the sensor with --sensor"
    ]


def _own_transform(header: Header) -> list[float] | None:
    return list(header.transform[:6]) if header.has_transform else None


def _rounded(size: tuple[float, float] | None) -> list[float] | None:
    return [float(f"{value:.6g}") for value in size] if size else None


def _json_nodata(nodata: Any) -> Any:
    """JSON knows no NaN: it is written as text."""
    if isinstance(nodata, tuple):
        return [_json_nodata(value) for value in nodata]
    return nodata if nodata is None or np.isfinite(nodata) else str(nodata)
