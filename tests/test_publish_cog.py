"""COGs: valid, georeferenced as given, described, and the same bytes every time."""

import resource
import subprocess
import sys
from xml.etree import ElementTree as Xml

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from rasterio.crs import CRS
from rio_cogeo import cog_validate

from geodl.errors import OptionError, ProductError
from geodl.models.spec import ClassSpec
from geodl.publish import RasterGrid, RasterLayer, write_cog, write_cog_windows

CLASSES = (
    ClassSpec(value=1, name="water", color="#2b6cb0"),
    ClassSpec(value=2, name="<script>alert('x')</script> & \"é\"", color="#22643a"),
    ClassSpec(value=5, name="=cmd", color="#c1440e"),
)
UTM = Affine(10, 0, 399_960, 0, -10, 5_300_040)


def class_map(height=700, width=900, transform=UTM, crs="EPSG:32632"):
    rng = np.random.default_rng(0)
    small = rng.choice([1, 2, 5], (height // 10 + 1, width // 10 + 1)).astype(np.uint8)
    array = np.kron(small, np.ones((10, 10), np.uint8))[:height, :width]
    array[: height // 3, : width // 4] = 255
    return wrap_xr(array, GeoBox(array.shape, transform, crs), nodata=255).rename("class")


def test_a_class_map_is_a_strict_cog_with_everything_in_it(tmp_path):
    data = class_map()
    path = write_cog(
        data.chunk({"y": 300, "x": 256}), tmp_path / "map.tif", classes=CLASSES, tags={"MODEL": "m"}
    )
    valid, errors, warnings = cog_validate(path, strict=True)
    assert valid, (errors, warnings)
    with rasterio.open(path) as source:
        assert np.array_equal(source.read(1), data.values)
        assert (source.dtypes, source.nodata, source.compression.name) == (("uint8",), 255, "deflate")
        assert (source.crs, source.transform) == (CRS.from_epsg(32632), UTM)
        assert source.block_shapes == [(512, 512)]
        assert source.descriptions == ("class",)
        assert source.tags()["MODEL"] == "m"
        colours = source.colormap(1)
        assert {c.value: colours[c.value][:3] for c in CLASSES} == {c.value: c.rgb for c in CLASSES}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["map.tif", "map.tif.aux.xml"]


def test_class_table_in_the_sidecar(tmp_path):
    path = write_cog(class_map(), tmp_path / "map.tif", classes=CLASSES[::-1])
    root = Xml.parse(f"{path}.aux.xml").getroot()
    names = [node.text or "" for node in root.iter("Category")]
    assert names == ["", CLASSES[0].name, CLASSES[1].name, "", "", CLASSES[2].name]
    columns = [(node.findtext("Name"), node.findtext("Usage")) for node in root.iter("FieldDefn")]
    # GDALRATFieldUsage: MinMax, Name, Red, Green, Blue
    assert columns == [("Value", "5"), ("Class", "2"), ("Red", "6"), ("Green", "7"), ("Blue", "8")]
    rows = [[cell.text for cell in row] for row in root.iter("Row")]
    assert rows == [[str(v) for v in (c.value, c.name, *c.rgb)] for c in CLASSES]


def test_overviews_summarise_valid_pixels_only(tmp_path):
    array = np.full((1024, 1024), 255, np.uint8)
    array[:, 1::2] = 2  # every overview pixel: half nodata, half class 2
    array[512:, 512:] = 1
    grid = RasterGrid(height=1024, width=1024, crs=CRS.from_epsg(32632), transform=UTM)
    for overview, layer in (
        ("mode", RasterLayer(dtype="uint8", nodata=255, classes=CLASSES)),
        ("average", RasterLayer(dtype="uint8", nodata=255, overview="average", scale=0.01)),
    ):
        path = tmp_path / f"{overview}.tif"
        write_cog_windows([(0, 0, array)], path, grid=grid, layer=layer)
        with rasterio.open(path, overview_level=0) as source:
            small = source.read(1)
        assert (small[:250] == 2).all(), overview
        assert (small[260:, 260:] == 1).all()


def test_confidence_keeps_its_scale(tmp_path):
    data = class_map().rename("confidence")
    data.attrs["scale_factor"] = 0.01
    path = write_cog(data, tmp_path / "confidence.tif")
    assert cog_validate(path, strict=True)[0]
    with rasterio.open(path) as source:
        assert source.scales == (0.01,)
        assert source.nodata == 255
    assert not (tmp_path / "confidence.tif.aux.xml").exists()


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:4326", Affine(1 / 3600, 0, 7.1, 0, -1 / 3600, 46.3)),
        ("EPSG:3857", Affine(0.5, 0, 1e6 / 3, 0, -0.5, 6e6)),
        ("EPSG:32632", UTM @ Affine.rotation(30)),
        ("EPSG:32632", Affine(10, 0, 399_960, 0, 10, 5_000_040)),
        ("+proj=sinu +R=6371007.181 +units=m", Affine(463.3, 0, 1e6, 0, -463.3, 5e6)),
        # CRSs that GeoTIFF's keys cannot hold: they come back by the sidecar.
        (
            "+proj=ob_tran +o_proj=longlat +o_lat_p=39.25 +lon_0=18 +o_lon_p=0",
            Affine(0.01, 0, 1, 0, -0.01, 5),
        ),
        ("EPSG:8908", Affine(10, 0, 5e5, 0, -10, 1e6)),
        (None, Affine.identity()),
    ],
)
def test_crs_and_transform_are_kept_exactly(tmp_path, crs, transform):
    data = class_map(30, 50, transform, crs)
    path = write_cog(data, tmp_path / "map.tif", classes=CLASSES)
    with rasterio.open(path) as source:
        assert source.transform == transform
        assert source.crs == RasterGrid.of(data).crs


@pytest.mark.parametrize("dtype", ["bool", "int16", "uint16", "float32", "float64"])
def test_several_bands_and_other_dtypes(tmp_path, dtype):
    values = (np.arange(3 * 20 * 30).reshape(3, 20, 30) % 2).astype(dtype)
    data = xr.DataArray(
        values, dims=("band", "y", "x"), coords={"band": ["red", "green", "nir"]}, name="scene"
    )
    path = write_cog(data, tmp_path / "many.tif")
    with rasterio.open(path) as source:
        assert np.array_equal(source.read(), values)
        assert source.descriptions == ("red", "green", "nir")
        assert source.nodata is None or dtype.startswith("float")


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (513, 1)])
def test_small_and_thin(tmp_path, shape):
    path = write_cog(class_map(*shape), tmp_path / "ünï.tif", classes=CLASSES)
    with rasterio.open(path) as source:
        assert source.shape == shape


def test_windows_in_any_order_give_the_same_bytes(tmp_path):
    data = class_map(1300, 1100)
    grid, layer = (
        RasterGrid.of(data),
        RasterLayer(dtype="uint8", nodata=255, classes=CLASSES, tags={"A": "b"}),
    )
    corners = [(row, column) for row in range(0, 1300, 260) for column in range(0, 1100, 384)]
    windows = [(r, c, data.values[r : r + 260, c : c + 384]) for r, c in corners]
    for name, order in (("a", windows), ("b", windows[::-1])):
        write_cog_windows(order, tmp_path / f"{name}.tif", grid=grid, layer=layer)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def test_a_missing_window_fails_and_leaves_the_old_file(tmp_path):
    data = class_map(600, 600)
    path = write_cog(data, tmp_path / "map.tif", classes=CLASSES)
    before = path.read_bytes()
    grid, layer = RasterGrid.of(data), RasterLayer(dtype="uint8", nodata=255)
    with pytest.raises(ProductError, match=r"map\.tif: 180000 of 360000 pixels were given"):
        write_cog_windows([(0, 0, data.values[:300])], path, grid=grid, layer=layer)

    def broken():
        yield 0, 0, data.values[:300]
        raise RuntimeError("the network failed")

    with pytest.raises(RuntimeError, match="the network failed"):
        write_cog_windows(broken(), path, grid=grid, layer=layer)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["map.tif", "map.tif.aux.xml"]


FULL_DISK = """
import resource, sys
import numpy as np
from geodl.errors import ProductError
from geodl.publish import RasterGrid, RasterLayer, write_cog_windows
noise = np.random.default_rng(0).integers(0, 255, (1500, 1500)).astype(np.uint8)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    write_cog_windows([(0, 0, noise)], sys.argv[1], grid=RasterGrid(height=1500, width=1500),
                      layer=RasterLayer(dtype="uint8", nodata=255, overview="average"))
except ProductError as error:
    sys.exit(f"refused: {error}")
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs limits on file sizes")
@pytest.mark.parametrize(
    "limit", [10_000, 2_300_000]
)  # in the first pass, and in the copy with its overviews
def test_a_full_disk_is_an_error_that_leaves_nothing(tmp_path, limit):
    path = tmp_path / "map.tif"
    run = subprocess.run([sys.executable, "-c", FULL_DISK, path, str(limit)], capture_output=True, text=True)
    assert run.returncode == 1, run.stderr
    assert f"refused: {path}: cannot be written" in run.stderr
    assert "GB free in" in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_bad_options_fail(tmp_path):
    with pytest.raises(OptionError, match="float32 cannot be classes"):
        write_cog(class_map().astype("float32"), tmp_path / "map.tif", classes=CLASSES)
    with pytest.raises(OptionError, match="give \\(y, x\\) or \\(band, y, x\\)"):
        write_cog(class_map().expand_dims("band").transpose("y", "x", "band"), tmp_path / "map.tif")
    with pytest.raises(OptionError, match="choose mode, average or nearest"):
        write_cog(class_map(), tmp_path / "map.tif", overview="cubic")
    (tmp_path / "file").write_text("")
    with pytest.raises(ProductError, match="cannot be written"):
        write_cog(class_map(), tmp_path / "file" / "map.tif")
