import json

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from click.testing import CliRunner
from sklearn import metrics

from geodl.assess.compare import Comparison
from geodl.assess.folders import assess_folders
from geodl.cli import main
from geodl.errors import SceneError

NAMES = """<PAMDataset><PAMRasterBand band="1"><GDALRasterAttributeTable>
<FieldDefn index="0"><Name>Value</Name><Type>0</Type><Usage>5</Usage></FieldDefn>
<FieldDefn index="1"><Name>Class</Name><Type>2</Type><Usage>2</Usage></FieldDefn>
<Row index="0"><F>1</F><F>{}</F></Row><Row index="1"><F>2</F><F>wood</F></Row>
</GDALRasterAttributeTable></PAMRasterBand></PAMDataset>"""


def write(path, pixels, scale=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=pixels.shape[0], width=pixels.shape[1], dtype="uint8",
        crs="EPSG:32632", transform=Affine(10, 0, 600000, 0, -10, 5200000), nodata=255,
    ) as file:  # fmt: skip
        file.write(pixels, 1)
        file.scales = (scale,)
    return path


@pytest.fixture
def folders(tmp_path):
    """Two products and a plain map, their references, and things that are neither."""
    rng = np.random.default_rng(8)
    pixels = {}
    places = (
        ("maps/valley/landcover.tif", "truth/valley_landcover.tif"),
        ("maps/coast/landcover.tif", "truth/coast.tif"),
        ("maps/town.tif", "truth/town.tif"),
    )
    for map_name, truth_name in places:
        truth = rng.integers(1, 3, (40, 50)).astype(np.uint8)
        mapped = np.where(rng.random(truth.shape) < 0.8, truth, 1).astype(np.uint8)
        file = write(tmp_path / map_name, mapped)
        file.with_name(f"{file.name}.aux.xml").write_text(NAMES.format("water"))
        write(tmp_path / truth_name, truth)
        pixels[map_name] = (truth, mapped)
    for place in ("valley", "coast"):
        write(tmp_path / "maps" / place / "confidence.tif", np.full((40, 50), 90, np.uint8), scale=0.01)
    write(tmp_path / "maps" / "without_reference.tif", truth)
    (tmp_path / "truth" / "notes.txt").write_text("drawn by hand")
    return tmp_path, pixels


def test_each_map_and_all_of_them(folders):
    folder, pixels = folders
    found = assess_folders(folder / "maps", folder / "truth", Comparison())
    assert set(found.maps) == {"valley/landcover", "coast/landcover", "town"}
    truth = np.concatenate([pair[0].ravel() for pair in pixels.values()])
    mapped = np.concatenate([pair[1].ravel() for pair in pixels.values()])
    np.testing.assert_array_equal(found.total.matrix, metrics.confusion_matrix(truth, mapped))
    town = found.maps["town"].accuracy.overall
    assert town == pytest.approx(metrics.accuracy_score(*(a.ravel() for a in pixels["maps/town.tif"])))
    assert [c.name for c in found.total.accuracy.classes] == ["water", "wood"]


def test_sums_of_outlines_and_confidences(folders):
    folder, _ = folders
    (folder / "maps" / "town.tif").unlink()
    found = assess_folders(
        folder / "maps", folder / "truth", Comparison(boundary="1px"), confidence="confidence.tif"
    )
    parts = list(found.maps.values())
    assert found.total.calibration.pixels.sum() == sum(p.calibration.pixels.sum() for p in parts)
    low, high = sorted(p.boundary.mean for p in parts)
    assert low <= found.total.boundary.mean <= high


def test_the_others_go_on_when_one_is_damaged(folders):
    folder, _ = folders
    file = folder / "maps" / "coast" / "landcover.tif"
    file.write_bytes(file.read_bytes()[:300])
    report = folder / "figures.json"
    done = CliRunner().invoke(
        main,
        ["assess", str(folder / "maps"), "--reference", str(folder / "truth"), "--json", str(report)],
    )
    assert done.exit_code == 1
    assert "not compared" in done.output
    content = json.loads(report.read_text())
    assert set(content["maps"]) == {"valley/landcover", "town"}
    assert "landcover.tif" in content["failed"]["coast/landcover"]
    assert content["total"]["pixels"] == 2 * 40 * 50


def test_nothing_to_compare(folders):
    folder, _ = folders
    with pytest.raises(SceneError, match=r"none has a reference.*call the reference"):
        assess_folders(folder / "maps", folder / "maps" / "valley", Comparison())


def test_two_references_of_one_map(folders):
    folder, _ = folders
    write(folder / "truth" / "valley.tif", np.ones((40, 50), np.uint8))
    with pytest.raises(SceneError, match=r"valley\.tif and valley_landcover\.tif could be"):
        assess_folders(folder / "maps", folder / "truth", Comparison())


def test_two_legends(folders):
    folder, _ = folders
    (folder / "maps" / "town.tif.aux.xml").write_text(NAMES.format("road"))
    with pytest.raises(SceneError, match="calls class 1"):
        assess_folders(folder / "maps", folder / "truth", Comparison())


def test_on_the_command_line_with_everything(folders):
    folder, _ = folders
    product = folder / "maps" / "valley"
    done = CliRunner().invoke(
        main,
        ["assess", str(product / "landcover.tif"), "--reference", str(folder / "truth/valley_landcover.tif"),
         "--boundary", "20m", "--confidence", str(product / "confidence.tif"),
         "--reliability", str(folder / "r.png"), "--png", str(folder / "m.png")],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "boundary IoU (2" in done.output
    assert (folder / "r.png").stat().st_size > 1000
    assert (folder / "m.png").stat().st_size > 1000


def test_reliability_needs_confidence(folders):
    folder, _ = folders
    town = str(folder / "maps/town.tif")
    done = CliRunner().invoke(main, ["assess", town, "--reference", town, "--reliability", "r.png"])
    assert done.exit_code == 2
    assert "--confidence" in done.output


def test_lines_and_their_width_on_the_command_line(tmp_path):
    truth = np.ones((40, 50), np.uint8)
    truth[19:21] = 2  # a road of 20 m from west to east
    road = write(tmp_path / "roads.tif", truth)
    line = shapely.LineString([(600_000, 5_199_800), (600_500, 5_199_800)])
    frame = geopandas.GeoDataFrame({"kind": [2], "metres": [20.0]}, geometry=[line], crs="EPSG:32632")
    frame.to_crs(4326).to_file(tmp_path / "roads.gpkg")
    for width in ("20", "metres"):
        done = CliRunner().invoke(
            main,
            ["assess", str(road), "--reference", str(tmp_path / "roads.gpkg"), "--attribute", "kind",
             "--width", width, "--background", "1", "--json", "-"],
        )  # fmt: skip
        assert done.exit_code == 0, done.output
        assert json.loads(done.output)["mean_iou"] == 1
