"""Band names, sensors and units: pure functions over names that providers use."""

import numpy as np
import pytest

from geodl.errors import OptionError, SceneError
from geodl.scene.bands import SENSORS, canonical_name, file_band, name_bands, parse_bands, raw_name, sensor_of
from geodl.scene.units import Units, parse_scale, units_of


@pytest.mark.parametrize(
    ("text", "sensor", "name"),
    [
        ("Blue", None, "blue"),
        ("near-infrared", None, "nir"),
        ("Red Edge 2", None, "rededge2"),
        ("swir16", None, "swir1"),
        ("Red (665 nm)", None, "red"),
        ("B04", None, None),
        ("B04", "sentinel-2-l2a", "red"),
        ("B8A", "sentinel-2-l1c", "nir08"),
        ("B4", "landsat-8", "red"),
        ("B4", "landsat-5", "nir"),
        ("B6_VCID_2", "landsat-7", "thermal2"),
        ("Resize (TM Meta (Band 3):LT5_MTL.txt) (0.66 Micrometers)", "landsat-5", "red"),
        ("band 7 reflectance", "landsat-7", "swir2"),
        ("elevation", None, None),
    ],
)
def test_canonical_name(text, sensor, name):
    assert canonical_name(text, sensor) == name


@pytest.mark.parametrize(
    ("path", "sensor", "band"),
    [
        ("S2A_MSIL2A_20230101T104441_N0509_R008_T31UFU_20230101T120000_B02.tif", "sentinel-2-l2a", "B2"),
        ("2018-10-13_S2B_L1C_B08.tif", "sentinel-2-l1c", "B8"),
        ("S2A_OPER_MSI_L1C_TL_MTI__20160120T104345_A003020_T39QZG_B12.tif", "sentinel-2-l1c", "B12"),
        ("T31UFU_20180101T104441_B8A.jp2", "sentinel-2-l1c", "B8A"),
        ("T31UFU_20180101T104441_B8A_20m.jp2", "sentinel-2-l2a", "B8A"),
        ("LC08_L2SP_190024_20210701_20210708_02_T1_SR_B4.TIF", "landsat-8", "B4"),
        ("LC09_L1TP_190024_20230701_20230708_02_T1_B10.TIF", "landsat-9", "B10"),
        ("LE07_L2SP_190024_20010701_20200708_02_T1_ST_B6.TIF", "landsat-7", "B6"),
        ("LE70220491999322EDC01_stack.tif", "landsat-7", None),
        ("LT51200382002193BJC00_Nanjing.tif", "landsat-5", None),
        ("landsat_b4.tif", None, "B4"),
        ("scene_nir.tif", None, "nir"),
        ("S2 looks nice.tif", None, None),
        ("photo.jpg", None, None),
    ],
)
def test_names_of_products(path, sensor, band):
    assert sensor_of("/data/" + path, {}, [""]) == sensor
    assert file_band("/data/" + path) == band


def test_sensor_from_the_folder_and_from_band_numbers():
    safe = "/x/S2B_MSIL1C_20180101T104441_N0206_R008_T31UFU_20180101T120000.SAFE/GRANULE/a/IMG_DATA/B02.jp2"
    assert sensor_of(safe, {}, [""]) == "sentinel-2-l1c"
    assert sensor_of("/x/chip.tif", {}, ["B2", "B3", "B8A"]) == "sentinel-2"
    assert sensor_of("/x/chip.tif", {}, [f"band {i}" for i in range(1, 225)]) is None


@pytest.mark.parametrize("sensor", SENSORS)
def test_stacks_have_distinct_common_names(sensor):
    for stack in SENSORS[sensor].stacks:
        assert len(set(stack)) == len(stack)
        assert all(canonical_name(name) == name for name in stack)


@pytest.mark.parametrize(
    ("descriptions", "colors", "sensor", "names"),
    [
        (["", "", ""], ["red", "green", "blue"], None, ["red", "green", "blue"]),
        (["", "", "", ""], ["blue", "green", "red", "undefined"], None, ["blue", "green", "red", "band_4"]),
        (
            ["", "", "", ""],
            ["gray", "undefined", "undefined", "undefined"],
            "naip",
            ["red", "green", "blue", "nir"],
        ),
        ([""] * 13, ["gray"] * 13, "sentinel-2-l1c", list(SENSORS["sentinel-2"].stacks[0])),
        (["B2", "B3"], ["gray"] * 2, None, ["B2", "B3"]),
        (["B2", "B3"], ["gray"] * 2, "landsat-8", ["blue", "green"]),
        (["band 1 (418.2 nm)", ""], ["gray"] * 2, None, ["band_1_418.2_nm", "band_2"]),
        ([""] * 5, ["gray"] * 5, None, [f"band_{i}" for i in range(1, 6)]),
    ],
)
def test_name_bands(descriptions, colors, sensor, names):
    assert name_bands("/x/scene.tif", descriptions, colors, sensor, stacked=False) == names


def test_a_stacked_file_lends_its_name():
    assert name_bands("/x/ndvi map.tif", [""], ["gray"], None, stacked=True) == ["ndvi_map"]
    assert name_bands("/x/a_B04.tif", [""], ["gray"], None, stacked=True) == ["B4"]


def test_parse_bands():
    assert parse_bands("Blue, NIR,my index") == ["blue", "nir", "my_index"]
    assert raw_name("../é/<b>") == ".._b"
    with pytest.raises(OptionError, match="empty band name"):
        parse_bands("blue,,red")


@pytest.mark.parametrize("scale", [0.0001, "0.0001", (0.0001, 0), "0.0001, 0"])
def test_parse_scale(scale):
    assert parse_scale(scale) == Units(units="reflectance", scale=0.0001, offset=0.0)


@pytest.mark.parametrize("scale", ["x", "0", "1,2,3", "nan", float("inf")])
def test_parse_scale_fails(scale):
    with pytest.raises(OptionError, match="--scale"):
        parse_scale(scale)


SAFE = "S2A_MSIL2A_20230101T104441_N{}_R008_T31UFU_20230101T120000.tif"


@pytest.mark.parametrize(
    ("path", "sensor", "expected"),
    [
        (SAFE.format("0301"), "sentinel-2-l2a", ("reflectance", 1e-4, 0.0)),
        (SAFE.format("0400"), "sentinel-2-l2a", ("reflectance", 1e-4, -0.1)),
        (SAFE.format("0509"), "sentinel-2-l2a", ("reflectance", 1e-4, -0.1)),
        ("chip.tif", "sentinel-2-l2a", ("unknown", 1.0, 0.0)),
        ("LC08_L2SP_190024_20210701_20210708_02_T1_SR_B4.TIF", "landsat-8", ("reflectance", 2.75e-5, -0.2)),
        ("LC08_L1TP_190024_20210701_20210708_02_T1_B4.TIF", "landsat-8", ("digital_number", 1.0, 0.0)),
        ("chip.tif", None, ("unknown", 1.0, 0.0)),
    ],
)
def test_units_of_products(path, sensor, expected):
    units = units_of(
        path=path, dtype=np.dtype("uint16"), sensor=sensor, tags={}, scales=[1], offsets=[0], unit_tags=[""]
    )
    assert (units.units, units.scale, units.offset) == expected
    assert bool(units.note) == (units.units == "unknown")


def test_baselines_give_equal_reflectance():
    """Fault 19: 2500 before baseline 04.00 and 3500 after it are the same surface."""

    def of(baseline):
        return units_of(
            path="x.tif",
            dtype=np.dtype("uint16"),
            sensor="sentinel-2-l1c",
            tags={"PROCESSING_BASELINE": baseline},
            scales=[1],
            offsets=[0],
            unit_tags=[""],
        )

    before, after = of("02.06"), of("05.10")
    assert 2500 * before.scale + before.offset == pytest.approx(3500 * after.scale + after.offset)


@pytest.mark.parametrize(
    ("dtype", "scales", "offsets", "unit", "expected"),
    [
        ("uint16", [1e-4, 1e-4], [0, 0], "", "reflectance"),
        ("uint16", [1e-4, 2e-4], [-0.1, 0], "", "reflectance"),
        ("int16", [0.1], [0], "", "unknown"),
        ("int16", [1e-4], [1000.0], "", "unknown"),
        ("float32", [1], [0], "Reflectance", "reflectance"),
        ("uint8", [1], [0], "", "digital_number"),
    ],
)
def test_units_from_tags(dtype, scales, offsets, unit, expected):
    units = units_of(
        path="x.tif",
        dtype=np.dtype(dtype),
        sensor=None,
        tags={},
        scales=scales,
        offsets=offsets,
        unit_tags=[unit] * len(scales),
    )
    assert units.units == expected
    if len(set(scales)) > 1:
        assert units.scale == tuple(scales)


def test_unusable_scale_tags_fail():
    with pytest.raises(SceneError, match=r"x\.tif: its scale and offset tags"):
        units_of(
            path="x.tif",
            dtype=np.dtype("uint16"),
            sensor=None,
            tags={},
            scales=[float("nan")],
            offsets=[0],
            unit_tags=[""],
        )
