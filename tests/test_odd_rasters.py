"""Rasters that other programs' tests are made of: a sound answer, or an error with file and cause.

They are not part of the repository; GEODL_REAL_DATA names the folder that holds `odd_rasters`.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geodl.errors import SceneError
from geodl.scene import describe, open_scene, valid_mask

ROOT = Path(os.environ.get("GEODL_REAL_DATA", Path(__file__).parents[2] / "shared" / "data")) / "odd_rasters"
pytestmark = pytest.mark.skipif(not ROOT.is_dir(), reason=f"{ROOT} is missing: set GEODL_REAL_DATA")

# Read by GDAL as by everyone else: its quantisation tables are unusual, its pixels are right.
SOUND = {"byte_jpg_unusual_jpegtable.tif"}


def rasters(folder):
    return sorted(path for path in (ROOT / folder).rglob("*") if path.suffix in (".tif", ".tiff"))


@pytest.mark.parametrize(
    "path", [*rasters("corrupt"), *rasters("malformed_header")], ids=lambda path: path.name
)
def test_damaged_files_fail(path):
    started = time.perf_counter()
    if path.name in SOUND:
        assert describe(path)["checked"] == "all pixels"
        return
    with pytest.raises(SceneError) as caught:
        describe(path)
    assert path.name in caught.value.what
    assert caught.value.cause
    assert caught.value.remedy
    assert time.perf_counter() - started < 10


def test_damaged_files_take_less_than_a_gibibyte():
    program = """
import re, sys
from pathlib import Path
from geodl.errors import SceneError
from geodl.scene import describe
for path in sys.argv[1:]:
    try:
        describe(path)
    except SceneError:
        pass
# Not ru_maxrss: that of a new process begins with what its parent held.
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""
    command = [sys.executable, "-c", program, *map(str, [*rasters("corrupt"), *rasters("malformed_header")])]
    peak = int(subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout)
    assert peak < 2**20  # KiB


def described(path):
    try:
        return describe(path), None
    except SceneError as error:
        return None, error


@pytest.mark.parametrize("path", rasters("good"), ids=lambda path: path.name)
def test_good_files_equal_rasterio(path):
    description, error = described(path)
    if error is not None:
        assert path.name in error.what
        assert any(word in error.cause for word in ("complex", "missing")), error
        return
    json.dumps(description, allow_nan=False)
    if description["crs"]:
        scene = open_scene(path)
        with rasterio.open(path) as dataset:
            assert scene.odc.geobox.affine == dataset.transform
    else:
        scene = open_scene(path, ungeoreferenced=True)
    with rasterio.open(path) as dataset:
        rows, columns = slice(dataset.height // 3, None), slice(None, dataset.width // 2 + 1)
        window = rasterio.windows.Window.from_slices(
            rows, columns, height=dataset.height, width=dataset.width
        )
        bands = list(range(1, scene.sizes["band"] + 1))
        part = scene.isel(y=rows, x=columns).compute()
        np.testing.assert_array_equal(part.values, dataset.read(bands, window=window))
        masks = (dataset.read_masks(bands, window=window) != 0).all(axis=0)
        masks &= np.isfinite(part.values).all(axis=0)
    np.testing.assert_array_equal(valid_mask(part).values, masks)
