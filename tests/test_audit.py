import json

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.image import imread

from geodl.audit import audit
from geodl.audit.picture import FLIP, SIDE, Picture
from geodl.block import process_block
from geodl.cli import main
from geodl.errors import OptionError, ProductError
from geodl.predict import make_job
from geodl.scene import open_scene
from geodl.tiles import Window
from tests.conftest import make_model, make_spec, write_scene


@pytest.fixture(scope="module")
def scene(scene_file):
    return open_scene(scene_file)


@pytest.fixture(scope="module")
def blind_model(tmp_path_factory):
    """A network that sees 26 pixels far, whose tiles get 8."""
    return make_model(tmp_path_factory.mktemp("models") / "blind", make_spec(name="blind", halo=8))


def whole_map(job):
    shape = job.lattice.height, job.lattice.width
    classes = np.empty(shape, np.uint8)
    probability = np.empty((len(job.model.spec.classes), *shape), np.float32)
    for piece in process_block(job, job.lattice.everything):
        inside = piece.chunk.window.slices
        classes[inside], probability[(slice(None), *inside)] = (
            piece.layers["class"],
            piece.layers["probability"],
        )
    return classes, probability


@pytest.mark.parametrize("tile", [None, 96])
def test_an_exact_halo_has_no_seams(scene, tiny_model, tile):
    found = audit(scene, tiny_model, tile=tile)
    assert found.streamed == (tile is None)
    assert "shifted by" in found.tilings[1]
    assert found.largest <= 1e-5
    assert (found.flips, found.differing) == (0, 0)
    assert found.seamless
    assert found.verdict.startswith("No seams")
    assert found.pixels == int((open_scene(scene.attrs["source"][0]).values[0] > 0).sum())


@pytest.mark.parametrize("tile", [None, 96])
def test_a_halo_too_small_is_found(scene, blind_model, tile):
    found = audit(scene, blind_model, tile=tile)
    assert found.flips > 10
    assert found.largest > 0.01
    assert not found.seamless
    assert "halo of 8 pixels" in found.verdict
    around = audit(scene, blind_model, tile=tile, window=(*found.place, 1, 1))
    assert around.pixels == 1
    assert around.largest == pytest.approx(found.largest, abs=1e-6)
    assert around.place == found.place


def test_differences_lie_along_the_borders_of_tiles_only(scene, blind_model):
    assert audit(scene, blind_model, tile=96, window=(70, 70, 20, 20)).largest > 1e-3
    # Borders of tiles lie at 40, 80, 120...: what is seen from here is inside the tiles of both.
    assert audit(scene, blind_model, tile=96, window=(59, 99, 2, 2)).largest <= 1e-6


@pytest.mark.parametrize("kind", ["blind_model", "blend_model"])
def test_figures_are_those_of_two_whole_maps(scene, kind, request, monkeypatch):
    model = request.getfixturevalue(kind)
    tile = 96 if kind == "blind_model" else None
    half = 40 if tile else model.spec.core // 2 // 4 * 4
    maps = [
        whole_map(make_job(scene, model, tile=tile, layers=("class", "probability"), phase=phase))
        for phase in ((0, 0), (half, half))
    ]
    window = Window(11, 13, 190, 280)
    (ours, p), (theirs, q) = (
        (classes[window.slices], probability[(slice(None), *window.slices)]) for classes, probability in maps
    )
    valid = ours != 255
    difference = np.where(valid, np.abs(p - q).max(axis=0), 0)
    row, column = np.unravel_index(difference.argmax(), difference.shape)
    for band, side in ((2**20, 4096), (1, 100)):
        monkeypatch.setattr("geodl.audit.measure.BAND", band)
        monkeypatch.setattr("geodl.audit.measure.LARGEST", side)
        found = audit(scene, model, tile=tile, window=(11, 13, 190, 280))
        assert found.pixels == valid.sum()
        assert found.flips == (ours != theirs).sum()
        assert found.differing == (difference > 1e-3).sum()
        assert found.largest == pytest.approx(difference.max(), rel=1e-6)
        assert found.mean == pytest.approx(difference[valid].mean(), rel=1e-4)
        assert found.place == (11 + row, 13 + column)
        assert found.coordinates == (600000 + 10 * (13.5 + column), 5200000 - 10 * (11.5 + row))
        assert found.crs == "EPSG:32632"


def test_blended_tiles_are_told_as_they_are(scene, blend_model):
    found = audit(scene, blend_model)
    assert found.stitch == "blend"
    assert found.verdict.startswith("Blended") != found.seamless


def test_a_large_scene_is_compared_in_its_middle(scene, tiny_model, monkeypatch):
    monkeypatch.setattr("geodl.audit.measure.LARGEST", 100)
    assert audit(scene, tiny_model).window == Window(65, 105, 100, 100)


def test_nothing_valid_is_nothing_compared(scene, tiny_model):
    found = audit(scene, tiny_model, window=(0, 0, 9, 9))
    assert (found.pixels, found.place) == (0, None)
    assert not found.seamless
    assert found.verdict.startswith("Nothing was compared")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": (500, 0, 10, 10)}, r"--window 500 0 10 10.*230 x 310"),
        ({"tile": 60}, r"tiles of 60 pixels.*--tile 64"),
        ({"device": "nonsense"}, "--device nonsense"),
    ],
)
def test_what_cannot_be_audited_is_refused(scene, tiny_model, options, message):
    with pytest.raises(OptionError, match=message):
        audit(scene, tiny_model, **options)


def test_a_picture_that_cannot_be_written_is_refused_before_work_starts(scene, tiny_model, tmp_path):
    with pytest.raises(ProductError, match="no such folder"):
        audit(scene, tiny_model, out=tmp_path / "nowhere" / "seams.png")


def test_command_prints_the_figures_and_draws(scene_file, blind_model, tmp_path):
    picture = tmp_path / "seams.png"
    options = [str(scene_file), "--model", str(blind_model.folder), "--tile", "96"]
    done = CliRunner().invoke(main, ["audit", *options, "--out", str(picture)])
    assert done.exit_code == 0, done.output
    told = CliRunner().invoke(main, ["audit", *options, "--json"])
    figures = json.loads(told.stdout)
    assert f"label flips  {figures['flips']} " in done.output
    assert figures["verdict"] in done.output
    pixels = (imread(picture)[..., :3] * 255).round().astype(int)
    flips = (pixels[: 6 * 230] == (230, 0, 110)).all(axis=-1)
    assert flips.sum() == figures["flips"] * 6**2


def test_command_audits_one_scene(scene_file, tiny_model):
    done = CliRunner().invoke(main, ["audit", str(scene_file), str(scene_file), "--model", "landcover-s2"])
    assert done.exit_code == 2
    assert "--stack" in done.output


def test_a_single_flip_shows_in_the_picture_of_a_large_scene(tmp_path):
    scene = open_scene(write_scene(tmp_path / "wide.tif", 90, 3 * SIDE, hole=False))
    picture = Picture(scene, Window(3, 5, 80, 3 * SIDE - 7))
    flips = np.zeros((40, 700), bool)
    flips[17, 333] = True
    picture.add(Window(20, 1001, 40, 700), flips, flips)
    picture.add(Window(20, 1701, 40, 700), np.zeros_like(flips), flips)
    assert picture.marks.shape == (-(-80 // 3), -(-(3 * SIDE - 7) // 3))
    assert np.argwhere(picture.marks == FLIP).tolist() == [[(20 + 17 - 3) // 3, (1001 + 333 - 5) // 3]]
    assert (picture.marks > 0).sum() == 2
    image = picture.draw(([], []), ([47], [1000, 2000]))
    assert max(image.shape) <= SIDE
    assert (image == (230, 0, 110)).all(axis=-1).sum() == 1
