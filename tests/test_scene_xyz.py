from pathlib import Path

import morecantile
import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from geodl.errors import OptionError, SceneError
from geodl.scene import open_scene, valid_mask
from geodl.scene.adopt import select_bands
from geodl.scene.xyz import TEMPLATES, TileNumber, place_tile, template_of, tile_number


@st.composite
def numbers(draw):
    z = draw(st.integers(0, 22))
    return TileNumber(z=z, x=draw(st.integers(0, 2**z - 1)), y=draw(st.integers(0, 2**z - 1)))


@given(numbers(), st.sampled_from(TEMPLATES), st.sampled_from(["", "a/b/", "town3/", "OAM-", "x_"]))
def test_names_are_read_back(number, template, before):
    name = template.format(z=number.z, x=number.x, y=number.y)
    assert tile_number(f"{before}{name}.png", template) == number


@given(numbers())
def test_tiles_lie_where_morecantile_puts_them(number):
    expected = morecantile.tms.get("WebMercatorQuad").xy_bounds(number.x, number.y, number.z)
    grid = number.grid(256, 512)
    np.testing.assert_allclose(grid.boundingbox.bbox, tuple(expected), atol=1e-6)
    assert grid.crs.epsg == 3857
    assert grid.shape == (256, 512)


def test_rows_from_the_south():
    assert tile_number("3/2/0.png", "{z}/{x}/{-y}") == TileNumber(z=3, x=2, y=7)


@pytest.mark.parametrize(
    ("path", "template", "error", "message"),
    [
        ("a/b.png", "{z}/{x}/{y}", SceneError, r"not of the form \{z\}/\{x\}/\{y\}"),
        ("3/9/1.png", "{z}/{x}/{y}", SceneError, r"no tile z=3, x=9, y=1: mend the order"),
        ("3/1/1.png", "{z}/{x}", OptionError, r"must hold \{z\}, \{x\} and \{y\}"),
        ("3/1/1.png", "{z}/{-x}/{y}", OptionError, r"must hold"),
    ],
)
def test_what_names_no_tile_fails(path, template, error, message):
    with pytest.raises(error, match=message):
        tile_number(path, template)


def test_the_template_is_guessed_where_only_one_fits():
    assert template_of([Path("18/155/99.png"), Path("18/156/99.png")]) == "{z}/{x}/{y}"
    assert template_of([Path("OAM-638595-541990-20.png")]) == "{x}-{y}-{z}"
    assert template_of([Path("3-2-3.png")]) is None
    assert template_of([Path("town.png")]) is None


def test_a_placed_tile_is_a_scene(tmp_path):
    path = tmp_path / "18_155_99.png"
    pixels = np.random.default_rng(0).integers(0, 255, (4, 64, 64)).astype(np.uint8)
    pixels[3] = 255
    pixels[3, :5] = 0
    with rasterio.open(path, "w", driver="PNG", height=64, width=64, count=4, dtype="uint8") as file:
        file.write(pixels)
    scene = place_tile(open_scene(path), path, "{z}_{x}_{y}")
    assert scene.dims == ("band", "y", "x")
    assert scene.odc.geobox == TileNumber(z=18, x=155, y=99).grid(64, 64)
    chosen = select_bands(scene, ["blue", "red"])
    np.testing.assert_array_equal(chosen.compute().values, pixels[[2, 0]])
    np.testing.assert_array_equal(valid_mask(scene).compute().values, pixels[3] > 0)
