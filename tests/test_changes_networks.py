"""Change by networks without labels: what season does to a surface is learnt, shifts explain edges away."""

import geopandas
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

import geodl
from geodl.alignment import suppress_shift
from geodl.alignment.dates import dates_of
from geodl.changes import ChangeOptions, find_changes
from geodl.changes.choose import model_for
from geodl.changes.encoder import Encoder
from geodl.changes.measures import fit_measure
from geodl.changes.scores import score_window
from geodl.changes.translation import fit_translation
from geodl.cli import main
from geodl.errors import MismatchError, OptionError, ProductError
from geodl.tiles import Window
from tests.conftest import make_model, make_spec, write_scene
from tests.test_change_map import change_spec

HEIGHT, WIDTH = 130, 150
PATCH = np.s_[60:90, 40:80]
WHOLE = Window(0, 0, HEIGHT, WIDTH)


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr("geodl.changes.translator._STEPS", 60)


def write_dates(folder, second):
    """Two dates of woods and fields with sharp borders; `second` makes the later one of the earlier."""
    rng = np.random.default_rng(0)
    fields = np.kron(rng.integers(0, 2, (14, 16)), np.ones((10, 10), int))[:HEIGHT, :WIDTH]
    first = 1500 + 1500 * fields + np.arange(3)[:, None, None] * 200
    paths = []
    for year, values in ((2023, first), (2024, second(first, fields))):
        path = write_scene(folder / f"land_{year}.tif", HEIGHT, WIDTH, hole=False)
        with rasterio.open(path, "r+") as file:
            file.write(np.rint(values + rng.normal(0, 30, values.shape)).astype("uint16"))
        paths.append(path)
    return paths


def season(first, fields):
    """Fields ripen and woods darken; in a patch woods do what else fields do, and the other way round."""
    ripe = fields.copy()
    ripe[PATCH] = 1 - ripe[PATCH]
    return first + np.array([1200, -700, 900])[:, None, None] * ripe - 300


def moved(first, fields):
    """All lies a pixel further right; a patch has changed."""
    later = np.concatenate([first[:, :, :1], first[:, :, :-1]], axis=2)
    later[:, PATCH[0], PATCH[1]] = np.array([5000, 400, 6000])[:, None, None]
    return later


@pytest.fixture(scope="module")
def seasons(tmp_path_factory):
    return write_dates(tmp_path_factory.mktemp("seasons"), season)


@pytest.fixture(scope="module")
def shifted(tmp_path_factory):
    return write_dates(tmp_path_factory.mktemp("shifted"), moved)


@pytest.fixture(scope="module")
def truth():
    truth = np.zeros((HEIGHT, WIDTH), bool)
    truth[PATCH] = True
    return truth


def dates(files):
    pair = geodl.open_pair(*files)
    return dates_of(pair.isel(time=0), pair.isel(time=1))


def band(path):
    with rasterio.open(path) as file:
        return file.read(1)


def best_f1(scores, truth):
    order = np.argsort(-scores, axis=None)
    hits = np.cumsum(truth.ravel()[order])
    return (2 * hits / (np.arange(1, hits.size + 1) + truth.sum())).max()


def test_what_season_does_is_learnt(seasons, truth):
    both = dates(seasons)
    scores = {name: score_window(both, fit_measure(name, both), WHOLE, 1) for name in ("cva", "translation")}
    reached = {name: best_f1(one, truth) for name, one in scores.items()}
    assert reached["translation"] > 0.9
    assert reached["translation"] > reached["cva"] + 0.2


def test_what_was_learnt_is_kept(seasons, tmp_path, monkeypatch):
    both = dates(seasons)
    window = Window(20, 30, 40, 50)
    once = score_window(both, fit_translation(both, tmp_path), window, 1)
    (file,) = tmp_path.iterdir()

    def refuse(*_):
        raise AssertionError("learnt again")

    with monkeypatch.context() as patch:
        patch.setattr("geodl.changes.translation.learn", refuse)
        np.testing.assert_array_equal(score_window(both, fit_translation(both, tmp_path), window, 1), once)
    file.write_bytes(file.read_bytes()[:-50])  # damaged: learnt again, the same
    np.testing.assert_array_equal(score_window(both, fit_translation(both, tmp_path), window, 1), once)


def test_a_run_that_was_stopped_goes_on(seasons, tmp_path, monkeypatch):
    options = ChangeOptions(method="translation")

    def stop(*_, **__):
        raise ProductError("out", "the disk is full", "make room")

    with monkeypatch.context() as patch:
        patch.setattr("geodl.changes.find.write_change", stop)
        with pytest.raises(ProductError):
            find_changes(geodl.open_pair(*seasons), tmp_path / "a", options)
    assert [path.name for path in (tmp_path / "a").iterdir()] == [".geodl-work"]
    # Were it learnt again, with another seed, scores would differ.
    monkeypatch.setattr("geodl.changes.translator._SEED", 7)
    found = find_changes(geodl.open_pair(*seasons), tmp_path / "a", options).folder
    assert [path.name for path in (tmp_path / "a").iterdir()] == [found.name]
    monkeypatch.undo()
    monkeypatch.setattr("geodl.changes.translator._STEPS", 60)
    other = find_changes(geodl.open_pair(*seasons), tmp_path / "b", options).folder
    for file in sorted(other.iterdir()):
        if file.name not in ("item.json", "manifest.json", "map.qgz"):  # these tell where the scenes lie
            assert file.read_bytes() == (found / file.name).read_bytes(), file.name


def test_features_look_no_further_than_was_measured(tiny_model):
    import torch

    encoder = Encoder(tiny_model, (0, 1, 2))
    side = 8 * encoder.stride + 2 * encoder.halo
    one = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    other = one.clone()
    middle = slice(encoder.halo, side - encoder.halo)
    far = torch.ones_like(one, dtype=torch.bool)
    first = side // 2 // encoder.stride * encoder.stride
    near = slice(first - encoder.halo, first + encoder.stride + encoder.halo)
    far[..., near, near] = False
    other[far] += 3
    assert middle.stop > middle.start
    with torch.inference_mode():
        for level, (a, b) in zip(encoder.levels, zip(encoder(one), encoder(other), strict=True), strict=True):
            cells = slice(first >> level, (first + encoder.stride) >> level)
            torch.testing.assert_close(a[..., cells, cells], b[..., cells, cells])
            assert a.shape[-1] == side >> level


def test_a_model_is_chosen_or_refused(seasons, tiny_model, tmp_path):
    pair = geodl.open_pair(*seasons)
    assert model_for(pair, str(tiny_model.folder)).hash == tiny_model.hash
    with pytest.raises(OptionError, match="no bundled model fits"):
        model_for(pair, None)
    with pytest.raises(MismatchError, match="swir1"):
        model_for(pair, "landcover-s2")
    compares = make_model(tmp_path / "change-tiny", change_spec())
    with pytest.raises(OptionError, match="one date"):
        model_for(pair, str(compares.folder))
    flat = make_model(
        tmp_path / "flat",
        make_spec(parameters={"widths": (4, 8), "blocks": 1}, stride=2, tile=64, halo=16),
    )
    with pytest.raises(OptionError, match="4 x 4 pixels"):
        find_changes(pair, tmp_path / "out", ChangeOptions(method="features", model=str(flat.folder)))


def test_the_command_compares_features(seasons, tiny_model, tmp_path):
    asked = ["change", *map(str, seasons), "--out", str(tmp_path), "--method", "features"]
    result = CliRunner().invoke(main, [*asked, "--model", str(tiny_model.folder), "--threshold", "otsu3"])
    assert result.exit_code == 0, result.output
    manifest = geodl.open_product(tmp_path / "land_2023_2024").manifest
    assert manifest["method"]["model"] == {"name": "tiny", "hash": tiny_model.hash}


def test_a_shift_explains_edges_but_no_change(shifted, truth, tmp_path, monkeypatch):
    pair = geodl.open_pair(*shifted)
    plain, mended = (
        find_changes(pair, tmp_path / name, ChangeOptions(threshold="6", smooth=1, suppress_shift=k)).folder
        for name, k in (("a", 0), ("b", 1))
    )
    before, after = (band(folder / "change.tif") == 1 for folder in (plain, mended))
    assert (before & ~truth).sum() > 500
    assert (after & ~truth).sum() < 20
    assert (after & truth).sum() > 0.95 * truth.sum()
    assert (before | ~after).all()
    expected = suppress_shift(
        geodl.open_product(plain).rasters["class"], pair.isel(time=0), pair.isel(time=1), k=1
    )
    np.testing.assert_array_equal(expected.values == 1, after)
    for module in ("alignment.dates", "changes.product"):
        monkeypatch.setattr(f"geodl.{module}.SIDE", 32)
    again = find_changes(
        pair, tmp_path / "c", ChangeOptions(threshold="6", smooth=1, suppress_shift=1)
    ).folder
    np.testing.assert_array_equal(band(again / "change.tif") == 1, after)
    layer = geopandas.read_file(mended / "change.gpkg", layer="change")
    assert layer.area.sum() == pytest.approx(100 * after.sum())
