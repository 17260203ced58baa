"""Names and colours out of the file that GDAL keeps beside a raster."""

import numpy as np
import pytest
import rasterio

from geodl.errors import SceneError
from geodl.sidecar import Sidecar, read_sidecar

TABLE = """<PAMDataset><PAMRasterBand band="1"><GDALRasterAttributeTable>
<FieldDefn index="0"><Name>Value</Name><Type>0</Type><Usage>5</Usage></FieldDefn>
<FieldDefn index="1"><Name>Class</Name><Type>2</Type><Usage>2</Usage></FieldDefn>
<FieldDefn index="2"><Name>Red</Name><Type>0</Type><Usage>6</Usage></FieldDefn>
<FieldDefn index="3"><Name>Green</Name><Type>0</Type><Usage>7</Usage></FieldDefn>
<FieldDefn index="4"><Name>Blue</Name><Type>0</Type><Usage>8</Usage></FieldDefn>
<Row index="0"><F>1</F><F>water</F><F>0</F><F>0</F><F>255</F></Row>
<Row index="1"><F>311</F><F> forest\t[old] </F><F>0</F><F>300</F><F>-1</F></Row>
<Row index="2"><F>4</F><F/><F>9</F><F>9</F><F>9</F></Row>
</GDALRasterAttributeTable></PAMRasterBand>
<PAMRasterBand band="2"><CategoryNames><Category/><Category>clay</Category></CategoryNames></PAMRasterBand>
</PAMDataset>"""


@pytest.fixture
def beside(tmp_path):
    def write(text):
        (tmp_path / "map.tif.aux.xml").write_text(text)
        return tmp_path / "map.tif"

    return write


def test_an_attribute_table_of_one_band_and_category_names_of_another(beside):
    path = beside(TABLE)
    assert read_sidecar(path) == Sidecar(
        names={1: "water", 311: "forest[old]"},
        colours={1: "#0000ff", 311: "#00ff00", 4: "#090909"},
    )
    assert read_sidecar(str(path), 2) == Sidecar(names={1: "clay"})
    assert read_sidecar(path, 3) == Sidecar()


def test_a_map_without_the_file(tmp_path):
    assert read_sidecar(tmp_path / "map.tif") == Sidecar()


def test_what_geodl_writes_it_reads(tmp_path):
    from geodl.models.spec import ClassSpec
    from geodl.publish.pam import write_pam

    classes = [ClassSpec(value=value, name=f"c{value}", color=f"#0000{value:02x}") for value in (0, 7, 254)]
    write_pam(tmp_path / "map.tif.aux.xml", classes=classes)
    assert read_sidecar(tmp_path / "map.tif") == Sidecar(
        names={c.value: c.name for c in classes}, colours={c.value: c.color for c in classes}
    )


def test_what_gdal_writes_of_other_things_is_no_name(tmp_path):
    path = tmp_path / "map.png"  # a format without tags of its own: GDAL uses the sidecar
    with rasterio.open(path, "w", driver="PNG", width=2, height=2, count=1, dtype="uint8") as file:
        file.write(np.ones((1, 2, 2), np.uint8))
        file.update_tags(1, STATISTICS_MAXIMUM="1")
    assert path.with_name("map.png.aux.xml").is_file()
    assert read_sidecar(path) == Sidecar()


@pytest.mark.parametrize(
    "text",
    ['<!DOCTYPE x [<!ENTITY a "b">]><PAMDataset/>', "<PAMDataset>", "<PAMDataset", "x" * 5_000_000],
    ids=["entities", "open", "cut", "large"],
)
def test_damaged_and_hostile_files_are_refused(beside, text):
    with pytest.raises(SceneError, match=r"map\.tif\.aux\.xml.*remove it"):
        read_sidecar(beside(text))


@pytest.mark.parametrize(
    "text",
    [
        "<PAMDataset/>",
        TABLE.replace("<Usage>5<", "<Usage>0<"),
        TABLE.replace("<F>1<", "<F>one<"),
        TABLE.replace("<F>1<", "<F>inf<"),
        TABLE.replace("<F>311</F>", ""),
    ],
)
def test_tables_about_something_else(beside, text):
    assert read_sidecar(beside(text)) == Sidecar()
