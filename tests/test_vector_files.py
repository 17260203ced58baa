"""Rasters of other software: bands, names, masks, probabilities; and options that mean nothing."""

import json
import sqlite3

import geopandas
import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from click.testing import CliRunner

from geodl.cli import main
from geodl.errors import OptionError, SceneError
from geodl.vector import vectorize

UTM = Affine(10, 0, 500_000, 0, -10, 5_000_000)
TABLE = """<PAMDataset><PAMRasterBand band="1"><GDALRasterAttributeTable tableType="thematic">
<FieldDefn index="0"><Name>Value</Name><Type>0</Type><Usage>5</Usage></FieldDefn>
<FieldDefn index="1"><Name>Class</Name><Type>2</Type><Usage>2</Usage></FieldDefn>
<FieldDefn index="2"><Name>R</Name><Type>0</Type><Usage>6</Usage></FieldDefn>
<FieldDefn index="3"><Name>G</Name><Type>0</Type><Usage>7</Usage></FieldDefn>
<FieldDefn index="4"><Name>B</Name><Type>0</Type><Usage>8</Usage></FieldDefn>
<Row index="0"><F>1</F><F>wa&#10;ter</F><F>0</F><F>0</F><F>255</F></Row>
<Row index="1"><F>311</F><F>forest</F><F>0</F><F>128</F><F>0</F></Row>
</GDALRasterAttributeTable></PAMRasterBand></PAMDataset>"""
CATEGORIES = """<PAMDataset><PAMRasterBand band="1"><CategoryNames>
<Category></Category><Category>water</Category></CategoryNames></PAMRasterBand></PAMDataset>"""


@pytest.fixture
def write(tmp_path):
    def write(values, name="map.tif", *, scale=None, descriptions=(), mask=None, colours=None, **profile):
        values = np.asarray(values)
        bands = values if values.ndim == 3 else values[None]
        path = tmp_path / name
        with rasterio.open(
            path, "w", driver="GTiff", count=len(bands), height=bands.shape[1], width=bands.shape[2],
            dtype=bands.dtype, crs="EPSG:32632", transform=UTM, **profile,
        ) as file:  # fmt: skip
            file.write(bands)
            for number, description in enumerate(descriptions, start=1):
                file.set_band_description(number, description)
            if scale is not None:
                file.scales = [scale] * len(bands)
            if colours is not None:
                file.write_colormap(1, colours)
            if mask is not None:
                file.write_mask(mask)
        return path

    return write


def run(*arguments):
    return CliRunner().invoke(main, ["vectorize", *map(str, arguments)])


HALVES = np.repeat([1, 2], 4)[None].repeat(4, axis=0)


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("uint8", None), ("uint8", 2), ("uint16", 65535), ("int16", -9999), ("int32", 2), ("float32", np.nan)],
)
def test_any_dtype_and_nodata(write, dtype, nodata):
    layer = vectorize(write(HALVES.astype(dtype), nodata=nodata))
    assert layer["class"].tolist() == ([1] if nodata == 2 else [1, 2])
    assert layer["area_m2"].tolist() == pytest.approx([1600] * len(layer), rel=2e-3)
    assert set(layer["source"]) == {"map"}


def test_a_mask_beside_or_in_the_file_is_nodata(write):
    mask = np.full((4, 8), 255, np.uint8)
    mask[:, 6:] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        layer = vectorize(write(HALVES.astype("uint8"), mask=mask))
    assert layer.geometry.area.tolist() == [1600, 800]


def test_names_and_colours_of_an_attribute_table(write, tmp_path):
    path = write(np.where(HALVES == 2, 311, 1).astype("uint16"))
    (tmp_path / "map.tif.aux.xml").write_text(TABLE)
    assert vectorize(path)["name"].tolist() == ["water", "forest"]
    assert vectorize(path, object_class="Forest")["class"].tolist() == [311]
    done = run(path, "--out", tmp_path / "layer.gpkg")
    assert done.exit_code == 0, done.output
    with sqlite3.connect(tmp_path / "layer.gpkg") as file:
        style = file.execute("SELECT styleQML FROM layer_styles").fetchone()[0]
    assert "0,0,255" in style


def test_category_names_and_a_colour_table(write, tmp_path):
    path = write(HALVES.astype("uint8"), colours={1: (10, 20, 30, 255), 2: (1, 2, 3, 255)})
    assert vectorize(path)["name"].tolist() == ["1", "2"]
    (tmp_path / "map.tif.aux.xml").write_text(CATEGORIES)
    assert vectorize(path)["name"].tolist() == ["water", "2"]


@pytest.mark.parametrize(
    "text", ["<PAMDataset>", "<!DOCTYPE a [<!ENTITY b 'c'>]><PAMDataset>&b;</PAMDataset>"]
)
def test_a_damaged_or_hostile_table_is_refused(write, tmp_path, text):
    path = write(HALVES.astype("uint8"))
    (tmp_path / "map.tif.aux.xml").write_text(text)
    with pytest.raises(SceneError, match=r"map\.tif\.aux\.xml.*remove it"):
        vectorize(path)


def test_a_band_by_number_or_description(write):
    path = write(np.stack([HALVES, HALVES * 0 + 7]).astype("uint8"), descriptions=("cover", "soil"))
    assert vectorize(path, band="2")["class"].tolist() == [7]
    assert vectorize(path, band="soil")["class"].tolist() == [7]
    with pytest.raises(SceneError, match=r"has 2 bands: choose one with --band: 1 \(cover\), 2 \(soil\)"):
        vectorize(path)
    with pytest.raises(OptionError, match=r"--band 3: .* no such band: choose one of 1"):
        vectorize(path, band=3)


PROBABLE = np.array([[0.9, 0.8, 0.1, 0.2], [0.7, 0.6, 0.4, np.nan]])
KNOWN = np.isfinite(PROBABLE)
PERCENT = np.where(KNOWN, np.nan_to_num(PROBABLE) * 100, 255).round().astype("uint8")
TENTHS = np.where(KNOWN, np.nan_to_num(PROBABLE) * 10, -1).round().astype("int16")


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (PROBABLE.astype("float32"), {}),
        (PERCENT, {"scale": 0.01, "nodata": 255}),
        (TENTHS, {"scale": 0.1, "nodata": -1}),
    ],
)
def test_probabilities_become_the_object_and_its_confidence(write, values, options):
    layer = vectorize(write(values, **options), "change", threshold=0.5)
    assert layer["class"].tolist() == [1]
    assert layer.geometry.area.tolist() == [400]
    assert layer["name"].tolist() == ["change"]
    assert layer["confidence"][0] == pytest.approx(0.75)
    assert layer["confidence_min"][0] == pytest.approx(0.6)
    rest = vectorize(write(values, **options), threshold=0.5, object_class=0)
    assert rest.geometry.area.tolist() == [300]
    assert rest["confidence"][0] == pytest.approx(np.mean([0.9, 0.8, 0.6]))


def test_probabilities_of_an_array():
    array = xr.DataArray(PROBABLE, dims=("y", "x"))
    layer = vectorize(array, threshold=0.85)
    assert layer["area_px"].tolist() == [1]
    assert layer["perimeter_px"].tolist() == [4]


def test_what_is_no_probability_is_refused(write):
    with pytest.raises(SceneError, match="uint8 without a scale"):
        vectorize(write(HALVES.astype("uint8")), threshold=0.5)
    with pytest.raises(SceneError, match="holds 70, which is no probability"):
        vectorize(write(np.full((2, 2), 70, "float32")), threshold=0.5)
    with pytest.raises(SceneError, match="or turn probabilities into classes with --threshold"):
        vectorize(write(PROBABLE))
    with pytest.raises(OptionError, match="give one above 0, up to 1"):
        vectorize(write(PROBABLE), threshold=50)
    with pytest.raises(OptionError, match="leave one of them out"):
        vectorize(write(PROBABLE), threshold=0.5, confidence=write(PROBABLE, "other.tif"))


@pytest.mark.parametrize("task", ["landcover", "change"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--regularize", "strict"), "--regularize: it means nothing for"),
        (("--simplify", "-1"), "--simplify -1: it is not a number from 0 on"),
        (("--min-area", "inf"), "--min-area inf"),
        (("--class", "sea"), "--class sea: no class of the raster has this name: give its value"),
    ],
)
def test_options_without_a_meaning_are_refused(write, tmp_path, task, options, message):
    path = write(HALVES.astype("uint8"))
    done = run(path, "--task", task, "--out", tmp_path / "layer.gpkg", *options)
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())
    assert not (tmp_path / "layer.gpkg").exists()


@pytest.mark.parametrize("suffix", [".gpkg", ".parquet", ".fgb", ".geojson"])
def test_the_command_writes_a_generalised_map(write, tmp_path, suffix):
    classes = np.repeat(np.repeat([[1, 2], [3, 3]], 10, axis=0), 12, axis=1)
    classes[4, 4], classes[15, 10:12] = 9, 8
    out = tmp_path / f"layer{suffix}"
    done = run(
        write(classes.astype("uint8")), "--out", out, "--simplify", 1, "--min-area", 300, "--connectivity", 8
    )
    assert done.exit_code == 0, done.output
    layer = geopandas.read_parquet(out) if suffix == ".parquet" else geopandas.read_file(out)
    assert sorted(layer["class"]) == [1, 2, 3]
    assert layer["area_m2"].sum() == pytest.approx(480 * 100, rel=1e-3)
    if suffix == ".gpkg":
        with sqlite3.connect(out) as file:
            text = " ".join(str(row) for row in file.execute("SELECT metadata FROM gpkg_metadata"))
        assert json.dumps({"min_area": 300.0})[1:-1] in text


def test_perimeters_are_geodesic_lengths(write):
    from pyproj import Geod, Transformer

    yy, xx = np.mgrid[:400, :400]
    classes = (np.hypot(yy - 150, xx - 220) < 90).astype("uint8")
    path = write(classes)
    geod = Geod(ellps="WGS84")
    to_degrees = Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True).transform
    for options in ({}, {"simplify": 1.0}):
        layer = vectorize(path, **options)
        for geometry, length in zip(layer.geometry, layer["perimeter_m"], strict=True):
            rings = [geometry.exterior, *geometry.interiors]
            expected = sum(geod.line_length(*to_degrees(*ring.segmentize(100).coords.xy)) for ring in rings)
            assert length == pytest.approx(expected, rel=1e-5)
