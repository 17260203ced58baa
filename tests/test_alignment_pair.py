"""Pairs that are registered and normalised as they are opened: in Python, at the command line, in a run."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine

from geodl.alignment import align_pair, lie_beside
from geodl.errors import OptionError, SceneError
from geodl.scene import open_pair, valid_mask
from tests.test_alignment import fourier_moved

SAMPLES = Path(__file__).resolve().parent.parent / "sample_scenes"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A part of the valley, and a year later: moved by (1.5, -0.75) pixels, brighter in each band."""
    folder = tmp_path_factory.mktemp("pair")
    rows, columns = slice(100, 340), slice(100, 356)
    made = []
    for year in (2023, 2024):
        with rasterio.open(SAMPLES / f"s2_valley_{year}.tif") as source:
            values = source.read(window=rasterio.windows.Window.from_slices(rows, columns))
            profile, names = source.profile, source.descriptions
            transform = source.transform @ Affine.translation(100, 100)
        if year == 2024:
            values = fourier_moved(xr.DataArray(values), 1.5, -0.75).values
            values = np.rint(values * 1.2 + 50).astype("uint16")
        profile = {"driver": "GTiff", "count": 6, "dtype": "uint16", "crs": profile["crs"], "nodata": 0,
                   "transform": transform, "height": 240, "width": 256}  # fmt: skip
        made.append(folder / f"valley_{year}.tif")
        with rasterio.open(made[-1], "w", **profile) as target:
            target.write(values)
            target.descriptions = names
    return made


def test_an_aligned_pair(files):
    pair = open_pair(*files, scale=0.0001)
    aligned = align_pair(pair, coregister="shift", normalise="pif")
    told = aligned.attrs["dates"][1]
    assert told["coregister"]["shift"] == pytest.approx([1.5, -0.75], abs=0.1)
    assert told["normalise"]["bands"]["nir"]["gain"] == pytest.approx(1 / 1.2, rel=0.03)
    assert (aligned.dims, aligned.dtype, aligned.name) == (pair.dims, pair.dtype, pair.name)
    assert aligned.attrs["units"] == pair.attrs["units"]
    assert (aligned.isel(time=0).values == pair.isel(time=0).values).all()
    inner = (slice(None), slice(4, -4), slice(4, -4))

    def apart(two):
        return np.median(np.abs(np.subtract(*two.values.astype(float)))[inner])

    assert apart(aligned) < 0.4 * apart(pair)
    quality = aligned.coords["registration"].values
    assert 0.3 < quality.min() <= quality.max() <= 1
    # Rows without data are those whose content lies beyond the later scene.
    assert not valid_mask(aligned.isel(time=1)).values[-1].any()


def test_windows_of_an_aligned_pair(files):
    aligned = align_pair(open_pair(*files), coregister="field", normalise="histogram")
    whole = aligned.values
    part = aligned.isel(y=slice(50, 90), x=slice(33, 101), band=slice(1, 3))
    assert (part.values == whole[:, 1:3, 50:90, 33:101]).all()


def test_a_pair_without_nodata_value(tmp_path):
    """The mask that `valid` holds is moved, too."""
    rng = np.random.default_rng(0)
    ground = np.repeat(np.repeat(rng.integers(20, 230, (2, 70, 70)), 3, axis=1), 3, axis=2).astype("uint8")
    profile = {"driver": "GTiff", "count": 2, "dtype": "uint8", "crs": "EPSG:32632", "height": 210,
               "width": 210, "transform": Affine(1, 0, 5e5, 0, -1, 5e6)}  # fmt: skip
    for name, values in (("a.tif", ground), ("b.tif", np.roll(ground, (2, -3), axis=(1, 2)))):
        with rasterio.open(tmp_path / name, "w", **profile) as file:
            file.write(values)
    aligned = align_pair(open_pair(tmp_path / "a.tif", tmp_path / "b.tif"), coregister="shift")
    assert aligned.attrs["dates"][1]["coregister"]["shift"] == pytest.approx([2, -3], abs=0.05)
    valid = aligned.coords["valid"].values
    assert valid[0].all()
    assert valid[1, :-2, 4:].all()
    assert not valid[1, -1].any()


def test_a_glance_tells_whether_the_dates_lie_beside_each_other(files, tmp_path):
    assert lie_beside(open_pair(*files)) == pytest.approx([1.5, -0.75], abs=0.1)
    same = shutil.copy(files[0], tmp_path / "same.tif")
    assert lie_beside(open_pair(files[0], same)) is None, "on each other"
    with rasterio.open(files[1]) as source:
        noise = np.random.default_rng(1).integers(1, 999, (source.count, *source.shape), dtype="uint16")
        small = {**source.profile, "height": 20, "width": 20}
        for name, values, profile in (("noise", noise, source.profile), ("small", noise[:, :20, :20], small)):
            with rasterio.open(tmp_path / f"{name}.tif", "w", **profile) as target:
                target.write(values)
                target.descriptions = source.descriptions
        assert lie_beside(open_pair(files[0], tmp_path / "noise.tif")) is None
        assert lie_beside(open_pair(tmp_path / "small.tif", files[0])) is None


def test_off_changes_nothing(files):
    pair = open_pair(*files)
    assert align_pair(pair) is pair


def test_what_cannot_be_aligned_is_refused(files):
    pair = open_pair(*files)
    with pytest.raises(OptionError, match="off, shift, field"):
        align_pair(pair, coregister="warp")
    with pytest.raises(OptionError, match="off, histogram, pif, irmad"):
        align_pair(pair, normalise="gamma")
    with pytest.raises(SceneError, match="open_pair"):
        align_pair(pair.compute().isel(time=[0]), coregister="shift")


@pytest.fixture(scope="module")
def change_model(tmp_path_factory):
    from geodl.models.spec import BandSpec, ClassSpec
    from tests.conftest import make_model, make_spec

    spec = make_spec(
        name="tiny-change",
        task="change",
        bands=[
            BandSpec(name=f"{date}.{name}", mean=0.15, std=0.1)
            for date in ("before", "after")
            for name in ("red", "nir")
        ],
        classes=[
            ClassSpec(value=0, name="unchanged", color="#ffffff"),
            ClassSpec(value=1, name="changed", color="#c1440e"),
        ],
    )
    return make_model(tmp_path_factory.mktemp("models") / "tiny-change", spec)


def test_the_command_line(files, change_model, tmp_path):
    from click.testing import CliRunner

    from geodl.cli import main

    command = ["predict", *map(str, files), "--model", str(change_model.folder), "--out", str(tmp_path)]
    options = ["--scale", "0.0001", "--coregister", "shift", "--normalise", "pif", "--products", "map"]
    done = CliRunner().invoke(main, command + options)
    assert done.exit_code == 0, done.output
    product = tmp_path / "valley_2023_2024"
    manifest = json.loads((product / "manifest.json").read_text())
    later = manifest["scene"]["dates"][1]
    assert later["coregister"]["shift"] == pytest.approx([1.5, -0.75], abs=0.1)
    assert later["normalise"]["method"] == "pif"
    with rasterio.open(product / "registration.tif") as file:
        quality = file.read(1)
        assert (file.shape, file.crs.to_epsg()) == ((240, 256), 32632)
    assert 30 < quality.min() <= quality.max() <= 100
    with rasterio.open(product / "change.tif") as file:
        assert (file.read(1)[-1] == 254).all()  # nothing of the later date came to lie there
    assert "--coregister" not in done.stderr


@pytest.mark.parametrize("how", ["predict", "change"])
def test_dates_beside_each_other_are_pointed_out(files, change_model, tmp_path, how):
    from click.testing import CliRunner

    from geodl.cli import main

    options = {"predict": ["--model", str(change_model.folder), "--scale", "0.0001"], "change": []}[how]
    done = CliRunner().invoke(main, [how, *map(str, files), *options, "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "lies 1.6 pixels off" in done.stderr
    assert "--coregister shift" in done.stderr
    same = shutil.copy(files[0], tmp_path / "same.tif")
    done = CliRunner().invoke(
        main, [how, str(files[0]), str(same), *options, "--out", str(tmp_path / "same")]
    )
    assert "--coregister" not in done.stderr


def test_a_workflow_knows_the_options(tmp_path):
    from geodl.workflow import load_workflow

    path = tmp_path / "change.yaml"
    path.write_text('model: m\nscenes: {pairs: ["{p}_1.tif", "{p}_2.tif"], coregister: field}\n')
    pairing = load_workflow(path).scenes.pairing
    assert (pairing["coregister"], pairing["normalise"]) == ("field", "off")
