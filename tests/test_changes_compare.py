"""Two class maps compared: the matrix of pandas, classes by name, and codes that say from what to what."""

import csv
import json
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner

import geodl
from geodl.changes import compare_maps
from geodl.changes.transitions import Crossing, transitions_of
from geodl.cli import main
from geodl.errors import OptionError, SceneError
from geodl.models.spec import ClassSpec
from geodl.publish import RasterGrid, RasterLayer, write_cog_windows

TRUTH = Path(__file__).parent.parent / "sample_scenes" / "truth"
PLACE = Affine(10, 0, 500000, 0, -10, 5300000)
EARLIER = ((1, "water", "#2b6cb0"), (2, "cropland", "#e9c46a"), (3, "built-up", "#c1440e"))
LATER = (
    (4, "Built-up ", "#c1440e"),
    (7, "cropland", "#e9c46a"),
    (9, "water", "#2b6cb0"),
    (11, "bare", "#b8a99a"),
)
SAME = {4: 3, 7: 2, 9: 1, 11: 11}


def write_map(path, values, table=(), transform=PLACE):
    classes = tuple(ClassSpec(value=value, name=name, color=color) for value, name, color in table)
    height, width = values.shape
    crs = rasterio.CRS.from_epsg(32632)
    grid = RasterGrid(height=height, width=width, crs=crs, transform=transform)
    layer = RasterLayer(dtype="uint8", nodata=255, classes=classes)
    return write_cog_windows([(0, 0, values)], path, grid=grid, layer=layer)


def blocks(seed, values, shape=(60, 80), side=5):
    rng = np.random.default_rng(seed)
    coarse = rng.choice(values, (shape[0] // side, shape[1] // side))
    return coarse.repeat(side, axis=0).repeat(side, axis=1).astype(np.uint8)


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    """Two maps with the same classes under other values, each with a gap."""
    folder = tmp_path_factory.mktemp("maps")
    before, after = blocks(0, [1, 2, 3]), blocks(1, [4, 7, 9, 11])
    before[:5, :10], after[:10, :5] = 255, 255
    files = (
        write_map(folder / "a_2020.tif", before, EARLIER),
        write_map(folder / "a_2021.tif", after, LATER),
    )
    return files, before, after


def band(path):
    with rasterio.open(path) as file:
        return file.read(1)


def legend(path):
    with rasterio.open(path) as file:
        return {c["value"]: c["name"] for c in json.loads(file.tags()["GEODL_CLASSES"])}


def test_the_matrix_is_that_of_pandas(maps, tmp_path):
    files, before, after = maps
    found = compare_maps(*files, tmp_path)
    known = (before != 255) & (after != 255)
    names = {1: "water", 2: "cropland", 3: "built-up", 11: "bare"}
    earlier = pd.Series(before[known]).map(names)
    later = pd.Series(after[known]).map(SAME).map(names)
    expected = pd.crosstab(earlier, later)
    document = json.loads((found.folder / "transitions.json").read_text())
    matrix = pd.DataFrame(document["pixels"], document["classes"], document["classes"])
    assert document["classes"] == ["water", "cropland", "built-up", "bare"]
    assert (matrix.loc[expected.index, expected.columns] == expected).all(axis=None)
    assert matrix.to_numpy().sum() == known.sum()
    # UTM stretches areas here by 0.9996 squared at most.
    areas = pd.DataFrame(document["matrix"], document["classes"], document["classes"])
    np.testing.assert_allclose(areas, matrix / 100, rtol=1e-3)
    rows = list(csv.reader((found.folder / "transitions.csv").open()))
    assert rows[0] == ["ha: from \\ to", "water", "cropland", "built-up", "bare", "all"]
    assert float(rows[-1][-1]) == pytest.approx(areas.to_numpy().sum(), abs=0.01)
    assert float(rows[1][2]) == pytest.approx(areas.loc["water", "cropland"], abs=0.01)


def test_raster_and_polygons_say_from_what_to_what(maps, tmp_path):
    files, before, after = maps
    folder = compare_maps(*files, tmp_path).folder
    names, codes = legend(folder / "change.tif"), band(folder / "change.tif")
    same = np.vectorize({**SAME, 255: 255}.get)(after)
    tables = {1: "water", 2: "cropland", 3: "built-up", 11: "bare"}
    for row, column in np.ndindex(*codes.shape):
        one, other = before[row, column], same[row, column]
        if one == 255 or other == 255:
            gap = 255 if one == other else 253 if one == 255 else 254
            assert codes[row, column] == gap
        elif one == other:
            assert codes[row, column] == 0
        else:
            assert names[codes[row, column]] == f"{tables[one]} -> {tables[other]}"
    layer = geopandas.read_file(folder / "change.gpkg", layer="change")
    assert (layer["from"] + " -> " + layer["to"] == layer["name"]).all()
    assert (layer["from"] != layer["to"]).all()
    assert set(layer["date_before"]) == {"2020"}
    pixels = layer.assign(pixels=layer.area / 100).groupby("class")["pixels"].sum()
    counted = pd.Series(codes[(codes > 0) & (codes < 253)]).value_counts()
    assert pixels.round().astype(int).to_dict() == counted.to_dict()


def test_codes_depend_on_the_classes_alone():
    table = [ClassSpec(value=value, name=name, color=color) for value, name, color in EARLIER]
    found = []
    for pairs in ([(1, 2), (2, 3)], [(2, 3), (3, 1), (1, 1)]):
        crossing = Crossing()
        crossing.add(*np.array(pairs, np.float32).T, None)
        found.append({change.name: change.code for change in transitions_of(crossing, table, table).changes})
    assert found == [
        {"water -> cropland": 1, "cropland -> built-up": 4},
        {"cropland -> built-up": 4, "built-up -> water": 5},
    ]


def test_neither_pieces_nor_strips_matter(maps, tmp_path, monkeypatch):
    files, _, _ = maps
    once = compare_maps(*files, tmp_path / "a", min_area=3000).folder
    monkeypatch.setattr("geodl.changes.product.SIDE", 16)
    again = compare_maps(*files, tmp_path / "b", min_area=3000).folder
    np.testing.assert_array_equal(band(once / "change.tif"), band(again / "change.tif"))
    assert (once / "transitions.csv").read_bytes() == (again / "transitions.csv").read_bytes()


def test_small_patches_go_but_gaps_stay(maps, tmp_path):
    files, _, _ = maps
    exact, merged = (compare_maps(*files, tmp_path / str(area), min_area=area) for area in (0, 4000))
    before, after = (band(found.folder / "change.tif") for found in (exact, merged))
    np.testing.assert_array_equal(before >= 253, after >= 253)
    assert merged.polygons < exact.polygons
    layer = geopandas.read_file(merged.folder / "change.gpkg", layer="change")
    assert (layer["area_m2"] >= 3990).all()


def test_another_grid_is_brought_over_by_the_nearest_pixel(maps, tmp_path):
    (first, _), before, _ = maps
    fine = before.repeat(2, axis=0).repeat(2, axis=1)
    later = write_map(tmp_path / "b_2021.tif", fine, EARLIER, transform=PLACE @ Affine.scale(0.5))
    for grid, shape in (("before", (60, 80)), ("finer", (120, 160))):
        found = compare_maps(first, later, tmp_path / grid, grid=grid)
        codes = band(found.folder / "change.tif")
        assert codes.shape == shape
        assert set(np.unique(codes)) == {0, 255}
        assert found.polygons == 0


def test_the_sample_town_grows(tmp_path):
    files = [str(TRUTH / f"s2_valley_{year}_landcover.tif") for year in (2023, 2024)]
    result = CliRunner().invoke(main, ["change", *files, "--method", "compare", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    (folder,) = tmp_path.iterdir()
    before, after = (band(file) for file in files)
    known = (before != 255) & (after != 255)
    expected = pd.crosstab(before[known], after[known])
    document = json.loads((folder / "transitions.json").read_text())
    np.testing.assert_array_equal(document["pixels"], expected)
    np.testing.assert_array_equal(band(folder / "change.tif")[known] > 0, (before != after)[known])
    classes = ("water", "forest", "grassland", "cropland", "built-up", "bare ground")
    assert document["classes"] == list(classes)
    layer = geopandas.read_file(folder / "change.gpkg", layer="change")
    assert "cropland -> built-up" in set(layer["name"])
    with (folder / "transitions.csv").open(newline="") as file:
        head, *rows = list(csv.reader(file))
    assert head == ["ha: from \\ to", *classes, "all"]
    assert float(rows[3][5]) == pytest.approx(expected.loc[4, 5] / 100, rel=0.01)
    assert "built-up" in result.output
    page = (folder / "report.html").read_text()
    assert "by the method <code>compare</code>" in page
    assert geodl.open_product(folder).manifest["method"]["name"] == "compare"


def test_a_folder_of_a_product_is_a_map(maps, tmp_path):
    from geodl.publish import stage

    (first, second), _, _ = maps
    folders = []
    for name, file in (("hill_2020", first), ("hill_2021", second)):
        with stage(tmp_path / "products", name) as product:
            product.path("landcover.tif").write_bytes(file.read_bytes())
            folders.append(product.commit({}))
    found = compare_maps(*folders, tmp_path / "out")
    assert found.folder.name == "hill_2020_hill_2021"
    with pytest.raises(SceneError, match="no product with a class map"):
        compare_maps(tmp_path, folders[1], tmp_path / "out")


def test_bad_maps_are_refused(maps, tmp_path):
    (first, _), before, _ = maps
    nameless = write_map(tmp_path / "c_2022.tif", before)
    with pytest.raises(SceneError, match="does not name its classes") as caught:
        compare_maps(first, nameless, tmp_path / "out")
    assert "c_2022.tif" in str(caught.value)
    away = write_map(tmp_path / "d_2022.tif", before, EARLIER, transform=PLACE @ Affine.translation(900, 0))
    with pytest.raises(SceneError, match="do not overlap"):
        compare_maps(first, away, tmp_path / "out")
    empty = write_map(tmp_path / "e_2022.tif", np.full_like(before, 255), EARLIER)
    with pytest.raises(SceneError, match="no common place"):
        compare_maps(first, empty, tmp_path / "out")
    with pytest.raises(SceneError, match="has 6 bands"):
        compare_maps(TRUTH.parent / "s2_valley_2023.tif", first, tmp_path / "out")
    with pytest.raises(OptionError, match="0 or more"):
        compare_maps(first, nameless, tmp_path / "out", min_area=-1)
    assert not (tmp_path / "out").exists()


def test_options_of_imagery_mean_nothing_to_maps(maps, tmp_path):
    files, _, _ = maps
    asked = ["change", *map(str, files), "--method", "compare", "--out", str(tmp_path)]
    for option in (["--coregister", "shift"], ["--threshold", "ki"], ["--resampling", "nearest"]):
        result = CliRunner().invoke(main, [*asked, *option])
        assert result.exit_code != 0
        assert f"{option[0]} with --method compare" in result.output
    result = CliRunner().invoke(main, [*asked, "third.tif"])
    assert "3 files: two dates are compared" in result.output


def test_values_that_are_no_classes_are_refused():
    values = np.arange(300, dtype=np.float32)
    with pytest.raises(SceneError, match="more than 256 values"):
        Crossing().add(values, values, None)
    with pytest.raises(SceneError, match="not whole numbers"):
        Crossing().add(values + 0.5, values, None)


def test_a_cell_is_no_formula(tmp_path):
    hostile = ((1, "=cmd()", "#2b6cb0"), (2, "grass", "#e9c46a"))
    files = [write_map(tmp_path / f"m_{year}.tif", blocks(year, [1, 2]), hostile) for year in (2020, 2021)]
    folder = compare_maps(*files, tmp_path / "out").folder
    rows = list(csv.reader((folder / "transitions.csv").open()))
    assert "'=cmd()" in rows[0]
    assert not any(cell.startswith("=") for row in rows for cell in row)
