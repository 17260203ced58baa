"""Faults 1 to 21 of rasters: each refused with file, cause and remedy, never read as zeros."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint

from geodl.errors import GeodlError, OptionError, SceneError
from geodl.scene import describe, open_scene
from geodl.scene.safety import public_name

UTM = Affine(10, 0, 500000, 0, -10, 4500000)


def write(path, shape=(1, 64, 64), dtype="uint16", gcps=None, **profile):
    """A GeoTIFF of random pixels."""
    count, height, width = shape
    pixels = np.random.default_rng(0).integers(1, 250, shape).astype(dtype)
    defaults = {"driver": "GTiff", "crs": "EPSG:32631", "transform": UTM}
    with rasterio.open(
        path, "w", count=count, height=height, width=width, dtype=dtype, **(defaults | profile)
    ) as target:
        target.write(pixels)
        if gcps:
            target.gcps = gcps, "EPSG:4326"
    return path


def _read(path, **options):
    return open_scene(path, **options).compute()


def refused(path, match, **options):
    """Both ways to open it fail, naming the file, a cause that matches and a remedy."""
    error = None
    for opened in (_read, describe):
        with pytest.raises(SceneError, match=match) as caught:
            opened(path, **options)
        error = caught.value
        assert Path(os.fspath(path)).name in str(error)
        assert error.cause
        assert error.remedy
    return error


VRT = '<VRTDataset rasterXSize="1" rasterYSize="1"><VRTRasterBand/></VRTDataset>'


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is empty"),
        (b"hello", "unknown format"),
        (VRT.encode(), "virtual raster"),
        (b'<?xml version="1.0"?>\n' + VRT.encode(), "virtual raster"),
        (b"<!DOCTYPE html><p>404", "web page"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
        (b"II*\0\x08\0\0\0", None),
        (b"\x89PNG\r\n\x1a\n", None),
        (b"\xff\xd8\xff\xe0", None),
    ],
)
def test_not_a_raster_fails(tmp_path, content, match):
    path = tmp_path / "scene.tif"
    path.write_bytes(content)
    refused(path, match)


@pytest.mark.parametrize("part", [0.1, 0.6, 0.99])
@pytest.mark.parametrize("tiled", [True, False])
def test_truncated_fails(tmp_path, part, tiled):
    layout = {"tiled": True, "blockxsize": 16, "blockysize": 16} if tiled else {}
    path = write(tmp_path / "a.tif", **layout)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    refused(path, None)


def test_sparse_fails_unless_allowed(tmp_path):
    """The blocks of a killed writer are missing just like those of a sparse file."""
    path = tmp_path / "killed.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=1,
        height=64,
        width=64,
        dtype="uint8",
        crs="EPSG:32631",
        transform=UTM,
        tiled=True,
        blockxsize=16,
        blockysize=16,
        sparse_ok=True,
    ) as target:
        target.write(np.ones((1, 16, 64), "uint8"), window=rasterio.windows.Window(0, 0, 64, 16))
    error = refused(path, "row 1, column 0 is missing")
    assert "--allow-sparse" in error.remedy
    assert open_scene(path, allow_sparse=True).values.sum() == 16 * 64


@pytest.mark.parametrize("codec", ["deflate", "jpeg", "webp"])
def test_flipped_bytes_fail(tmp_path, codec):
    path = write(tmp_path / "a.tif", (3, 64, 64), "uint8", compress=codec)
    data = bytearray(path.read_bytes())
    with rasterio.open(path) as dataset:
        start = int(dataset.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1))
    data[start + 2 : start + 40] = bytes(38)
    path.write_bytes(data)
    refused(path, None)


def patched(path, tag, value):
    """Overwrite the value of a LONG or SHORT tag in the first directory of a little-endian TIFF."""
    data = bytearray(path.read_bytes())
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, entry)[0] == tag:
            struct.pack_into("<HII", data, entry + 2, 4, 1, value)
    path.write_bytes(data)
    return path


def test_header_that_promises_terabytes_fails(tmp_path):
    path = write(tmp_path / "a.tif", tiled=True, blockxsize=16, blockysize=16)
    refused(patched(patched(path, 256, 4_000_000), 257, 4_000_000), None)


def test_huge_block_fails(tmp_path):
    path = write(tmp_path / "a.tif", tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    for tag in (256, 257, 322, 323):  # image and tile: width, length
        patched(path, tag, 32000)
    refused(path, "one block of 32000 x 32000 pixels takes 1953 MiB")


def test_png_bomb_fails(tmp_path):
    path = write(tmp_path / "a.png", (1, 8, 8), "uint8", driver="PNG", crs=None, transform=None)
    data = bytearray(path.read_bytes())
    struct.pack_into(">II", data, 16, 100_000, 100_000)
    path.write_bytes(data)
    refused(path, None)


def test_sidecars_are_not_trusted(tmp_path):
    path = write(tmp_path / "a.tif")
    (tmp_path / "a.tif.msk").write_text(VRT)
    refused(path, r"a\.tif\.msk is not a TIFF")


@pytest.mark.parametrize(
    "path", ["/vsicurl/http://127.0.0.1/a.tif", "https://user:secret@host/a.tif?sig=secret"]
)
def test_remote_paths_fail(path):
    with pytest.raises(SceneError, match="not a local file") as caught:
        open_scene(path)
    assert "secret" not in str(caught.value)
    assert "secret" not in public_name(path)


def test_other_paths_fail(tmp_path):
    path = write(tmp_path / "a.tif")
    with pytest.raises(SceneError, match="without the GDAL prefix"):
        open_scene(f"GTIFF_DIR:1:{path}")
    with pytest.raises(SceneError, match="is a folder"):
        open_scene(tmp_path)
    with pytest.raises(SceneError, match=r"nowhere\.tif.*No such file"):
        open_scene(tmp_path / "nowhere.tif")
    os.mkfifo(tmp_path / "pipe.tif")
    with pytest.raises(SceneError, match="not a regular file"):
        open_scene(tmp_path / "pipe.tif")
    with pytest.raises(SceneError, match="no file"):
        open_scene([])


# Georeferencing


@pytest.mark.parametrize(
    ("profile", "match", "remedy"),
    [
        ({"crs": None}, "transform but no CRS", "--crs"),
        ({"crs": None, "transform": None}, "no georeferencing", "--ungeoreferenced"),
        ({"transform": None}, "CRS but no transform", "--ungeoreferenced"),
        ({"crs": "EPSG:4326"}, "are no degrees", "--crs"),
        ({"crs": 'LOCAL_CS["mine",UNIT["metre",1]]'}, "not tied to the Earth", "--crs"),
    ],
)
def test_missing_georeferencing_fails(tmp_path, profile, match, remedy):
    path = write(tmp_path / "a.tif", **profile)
    with pytest.raises(SceneError, match=match) as caught:
        open_scene(path)
    assert remedy in caught.value.remedy
    assert open_scene(path, ungeoreferenced=True).odc.crs is None


def test_info_is_lenient_where_georeferencing_is_missing(tmp_path):
    note = describe(write(tmp_path / "a.tif", crs=None))["notes"][0]
    assert "--crs" in note
    assert "--ungeoreferenced" in describe(write(tmp_path / "b.tif", crs=None, transform=None))["notes"][0]


@pytest.mark.parametrize(
    ("transform", "match"),
    [
        (Affine(0, 0, 500000, 0, -10, 4500000), "without area"),
        (Affine(10, 0, float("nan"), 0, -10, 4500000), "not finite"),
        (Affine(10, 20, 0, 5, 10, 0), "without area"),
    ],
)
def test_impossible_transform_fails(tmp_path, transform, match):
    path = write(tmp_path / "a.tif")
    world = [transform.a, transform.d, transform.b, transform.e, transform.c, transform.f]
    path = write(tmp_path / "b.tif", crs=None, transform=None)
    path.with_suffix(".tfw").write_text("\n".join(map(str, world)))
    with rasterio.open(path) as dataset:
        if dataset.transform == Affine.identity():
            pytest.skip("GDAL ignores this world file")
    with pytest.raises(SceneError, match=match):
        open_scene(path, crs="EPSG:32631")


def test_control_points_only_fails(tmp_path):
    points = [
        GroundControlPoint(row=r, col=c, x=c / 10, y=-r / 10) for r, c in ((0, 0), (0, 60), (60, 0), (60, 60))
    ]
    path = write(tmp_path / "a.tif", crs=None, transform=None, gcps=points)
    with pytest.raises(SceneError, match="ground control points") as caught:
        open_scene(path)
    assert "gdalwarp" in caught.value.remedy


def test_world_file_that_disagrees_fails(tmp_path):
    path = write(tmp_path / "a.tif")
    path.with_suffix(".tfw").write_text("10\n0\n0\n-10\n500305\n4499995\n")
    refused(path, "place it differently")
    path.with_suffix(".tfw").write_text("10\n0\n0\n-10\n500005\n4499995\n")
    open_scene(path)


# Bands


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_fails(tmp_path, dtype):
    refused(write(tmp_path / "a.tif", dtype=dtype), "complex")


def test_wrong_number_of_names_fails(tmp_path):
    error = refused(write(tmp_path / "a.tif", (3, 8, 8)), r"has 3 bands .* names 2", bands="red,green")
    assert "name each" in error.remedy


def test_doubled_names_fail(tmp_path):
    path = write(tmp_path / "a.tif", (3, 8, 8))
    assert "--bands" in refused(path, "red occurs twice", bands="red,green,red").remedy


@pytest.mark.parametrize(
    "options", [{"sensor": "sputnik"}, {"scale": "many"}, {"crs": "EPSG:0"}, {"resample": -1}]
)
def test_wrong_options_fail(tmp_path, options):
    with pytest.raises(OptionError, match=f"--{next(iter(options))}"):
        open_scene(write(tmp_path / "a.tif"), **options)


# Several files


@pytest.mark.parametrize(
    ("profile", "match"),
    [
        ({"crs": "EPSG:32632"}, "is in EPSG:32632"),
        ({"dtype": "uint8"}, "is uint8, but red.tif is uint16"),
        ({"transform": UTM @ Affine.translation(3, 0)}, "same area"),
        ({"shape": (1, 64, 60)}, "same area"),
        ({"shape": (1, 30, 32), "transform": UTM @ Affine.scale(2)}, "same area"),
    ],
)
def test_files_that_do_not_fit_fail(tmp_path, profile, match):
    first, second = write(tmp_path / "red.tif"), write(tmp_path / "nir.tif", **profile)
    with pytest.raises(SceneError, match=match) as caught:
        open_scene([first, second])
    assert caught.value.remedy


def test_half_a_coarse_pixel_is_tolerated(tmp_path):
    coarse = UTM @ Affine.translation(0.5, -0.5) @ Affine.scale(2)
    paths = [write(tmp_path / "red.tif"), write(tmp_path / "nir.tif", shape=(1, 32, 32), transform=coarse)]
    assert open_scene(paths).shape == (2, 64, 64)


def test_mask_of_another_grid_fails(tmp_path):
    path, mask = (
        write(tmp_path / "a.tif"),
        write(tmp_path / "mask.tif", transform=UTM @ Affine.translation(5, 5)),
    )
    with pytest.raises(SceneError, match=r"mask .*mask\.tif.* grid of the scene"):
        open_scene(path, mask=str(mask))


def test_a_file_changed_after_opening_fails(tmp_path):
    path = write(tmp_path / "a.tif")
    scene = open_scene(path)
    write(path, shape=(1, 64, 65))
    with pytest.raises(SceneError, match="was changed"):
        scene.compute()
    path.unlink()
    with pytest.raises(SceneError, match="cannot be read"):
        scene.compute()


def test_errors_survive_a_trip_between_workers(tmp_path):
    import pickle

    with pytest.raises(GeodlError) as caught:
        open_scene(tmp_path / "x.tif")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
