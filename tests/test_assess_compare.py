import json
from importlib import import_module

import geopandas
import numpy as np
import pytest
import rasterio
from affine import Affine
from shapely.geometry import box
from sklearn import metrics

from geodl.assess.compare import assess
from geodl.errors import OptionError, SceneError

TRANSFORM = Affine(10, 0, 600000, 0, -10, 5200000)

RAT = """<PAMDataset><PAMRasterBand band="1"><GDALRasterAttributeTable>
<FieldDefn index="0"><Name>Value</Name><Type>0</Type><Usage>5</Usage></FieldDefn>
<FieldDefn index="1"><Name>Class</Name><Type>2</Type><Usage>2</Usage></FieldDefn>
<Row index="0"><F>1</F><F>water</F></Row><Row index="1"><F>2</F><F>forest [old]</F></Row>
<Row index="2"><F>3</F><F>town</F></Row>
</GDALRasterAttributeTable></PAMRasterBand></PAMDataset>"""


def write(path, pixels, **profile):
    profile = {"crs": "EPSG:32632", "transform": TRANSFORM, "nodata": 255, **profile}
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=pixels.shape[0], width=pixels.shape[1],
        dtype=pixels.dtype, **profile,
    ) as file:  # fmt: skip
        file.write(pixels, 1)
    return path


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(2)
    reference = rng.choice([1, 2, 3, 255], (150, 130)).astype(np.uint8)
    mapped = np.where(rng.random(reference.shape) < 0.6, reference, 2).astype(np.uint8)
    mapped[:5] = 255
    return write(tmp_path / "map.tif", mapped), write(tmp_path / "truth.tif", reference), mapped, reference


def test_equals_scikit_learn_whatever_the_windows(files, monkeypatch):
    map_path, truth_path, mapped, reference = files
    known = (mapped != 255) & (reference != 255)
    expected = metrics.confusion_matrix(reference[known], mapped[known])
    np.testing.assert_array_equal(assess(map_path, truth_path).matrix, expected)
    # Once `geodl.assess` was used it is the function, and the module is reached by its full name only.
    monkeypatch.setattr(import_module("geodl.assess.compare"), "_SIDE", 47)
    found = assess(map_path, truth_path)
    np.testing.assert_array_equal(found.matrix, expected)
    assert found.values == (1, 2, 3)
    assert found.accuracy.pixels == known.sum()


def test_names_come_from_the_attribute_table_and_are_shown(files, tmp_path):
    map_path, truth_path, *_ = files
    map_path.with_name("map.tif.aux.xml").write_text(RAT)
    found = assess(map_path, truth_path)
    assert [c.name for c in found.accuracy.classes] == ["water", "forest [old]", "town"]

    text = found.to_text()
    assert "forest [old]" in text
    assert "overall" in text
    content = json.loads(json.dumps(found.to_dict()))
    assert content["values"] == [1, 2, 3]
    assert content["overall_accuracy"] == pytest.approx(found.accuracy.overall, abs=1e-6)
    found.save_png(tmp_path / "matrix.png")
    assert (tmp_path / "matrix.png").read_bytes().startswith(b"\x89PNG")


def test_a_mapping_translates_the_reference(files, tmp_path):
    map_path, _, mapped, _ = files
    codes = np.array([0, 11, 42, 95], dtype=np.int16)
    other = write(tmp_path / "other.tif", codes[np.where(mapped == 255, 0, mapped)], nodata=0)
    found = assess(map_path, other, mapping={11: 1, 42: 2, 95: 3})
    assert found.accuracy.overall == 1
    assert found.accuracy.pixels == (mapped != 255).sum()


def test_no_common_pixel_is_an_error(files, tmp_path):
    map_path, *_ = files
    far = write(tmp_path / "far.tif", np.ones((5, 5), np.uint8), transform=Affine(10, 0, 0, 0, -10, 100))
    with pytest.raises(SceneError, match="no pixel has a class in both"):
        assess(map_path, far)


def test_an_image_is_no_map(files, tmp_path):
    map_path, *_ = files
    with rasterio.open(map_path) as file:
        profile, pixels = {**file.profile, "count": 3}, file.read()
    with rasterio.open(tmp_path / "image.tif", "w", **profile) as image:
        image.write(np.repeat(pixels, 3, axis=0))
    with pytest.raises(SceneError, match=r"image\.tif: holds 3 bands, like an image: give a map of classes"):
        assess(tmp_path / "image.tif", map_path)


def test_a_vector_reference_says_what_its_shapes_are(files, tmp_path):
    map_path, _, mapped, _ = files
    with rasterio.open(map_path) as file:
        bounds, crs = file.bounds, file.crs
    frame = geopandas.GeoDataFrame({"kind": [2]}, geometry=[box(*bounds)], crs=crs)
    frame.to_file(tmp_path / "all.gpkg")
    with pytest.raises(OptionError, match=r"all\.gpkg: what class its shapes are is not said.*--attribute"):
        assess(map_path, tmp_path / "all.gpkg")
    named = assess(map_path, tmp_path / "all.gpkg", attribute="kind")
    assert named.accuracy.overall == pytest.approx((mapped == 2).sum() / (mapped != 255).sum())
    outside = assess(map_path, tmp_path / "all.gpkg", background=3)
    assert outside.accuracy.overall == pytest.approx((mapped == 1).sum() / (mapped != 255).sum())


def test_masked_pixels_of_the_map_are_left_out(tmp_path):
    truth = write(tmp_path / "t.tif", np.ones((20, 20), np.uint8))
    path = write(tmp_path / "m.tif", np.ones((20, 20), np.uint8), nodata=None)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        file.write_mask(np.arange(400).reshape(20, 20) >= 150)
    assert assess(path, truth).accuracy.pixels == 250


def test_a_map_whose_writer_was_stopped_is_refused(tmp_path):
    pixels = np.ones((64, 64), np.uint8)
    pixels[16:32, :16] = 255
    options = {"tiled": True, "blockxsize": 16, "blockysize": 16, "SPARSE_OK": True}
    path = write(tmp_path / "m.tif", pixels, **options)
    with pytest.raises(SceneError, match="row 1, column 0 is missing"):
        assess(path, path)
    assert assess(path, path, allow_sparse=True).accuracy.pixels == 64**2 - 16**2


def test_a_map_of_fractions_is_refused(tmp_path):
    path = write(tmp_path / "f.tif", np.ones((5, 5), np.float32))
    with pytest.raises(SceneError, match="holds float32 values"):
        assess(path, path)
