"""Normalisation and IR-MAD: known gains come back, changes do not spoil them, windows do not matter."""

import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_zeros
from scipy.stats import chi2
from sklearn.cross_decomposition import CCA

from geodl.alignment import irmad_change, normalise
from geodl.alignment.dates import dates_of
from geodl.alignment.irmad import fit_alteration
from geodl.alignment.normalisation import METHODS
from geodl.alignment.sample import sample_pixels
from geodl.errors import OptionError, SceneError
from geodl.scene import physical, valid_mask

GAINS, OFFSETS = np.array([1.3, 0.8, 1.1]), np.array([0.02, -0.01, 0.05])


def scene_of(values, *, dtype="uint16", name="made", **attributes):
    """A scene (bands, rows, columns) of reflectance, stored times 10000, 0 without data."""
    stored = np.where(np.isfinite(values), np.clip(np.rint(values * 1e4), 1, 65535), 0).astype(dtype)
    box = GeoBox.from_bbox((0, 0, 10 * values.shape[2], 10 * values.shape[1]), "EPSG:32632", resolution=10)
    coords = {"band": ["green", "red", "nir"][: len(values)], **xr_zeros(box, dtype="uint8").coords}
    attrs = {"scale": 1e-4, "offset": 0.0, "nodata": 0, "units": "reflectance", **attributes}
    return xr.DataArray(stored, dims=("band", "y", "x"), coords=coords, attrs=attrs, name=name)


@pytest.fixture(scope="module")
def ground():
    """Reflectance of three correlated bands with some spread, (3, 150, 160)."""
    rng = np.random.default_rng(0)
    common = rng.gamma(4, 0.05, (150, 160))
    return np.stack([0.5 * common + rng.gamma(3, 0.02, common.shape) + 0.05 * i for i in range(3)])


def seen_later(ground, *, changed=0.0, noise=0.0):
    """The later date: values such that ``before = gain * after + offset``, a share of them replaced."""
    rng = np.random.default_rng(1)
    after = (ground - OFFSETS[:, None, None]) / GAINS[:, None, None]
    after = after + rng.normal(0, noise, after.shape) if noise else after
    rows = round(changed * after.shape[1])
    after[:, :rows] = rng.uniform(0.1, 0.9, (3, rows, after.shape[2]))
    return after, rows


def gains_of(found):
    bands = found.report()["bands"].values()
    return np.array([band["gain"] for band in bands]), np.array([band["offset"] for band in bands])


@pytest.mark.parametrize("method", METHODS)
def test_known_gains_come_back(ground, method):
    after = scene_of(seen_later(ground)[0])
    found = normalise(scene_of(ground), after, method)
    gains, offsets = gains_of(found)
    assert gains == pytest.approx(GAINS, rel=0.01)
    assert offsets == pytest.approx(OFFSETS, abs=0.003)
    mapped = found.apply(after)
    assert np.abs(physical(mapped).values - ground).max() < (0.02 if method == "histogram" else 3e-4)
    assert (mapped.dtype, mapped.attrs["scale"], mapped.attrs["units"]) == (np.uint16, 1e-4, "reflectance")


@pytest.mark.parametrize("method", ["pif", "irmad"])
@pytest.mark.parametrize("noise", [0.0, 0.003])
def test_changes_do_not_spoil_a_gain(ground, method, noise):
    after, _ = seen_later(ground, changed=0.1, noise=noise)
    gains, offsets = gains_of(normalise(scene_of(ground), scene_of(after), method))
    assert gains == pytest.approx(GAINS, rel=0.01)
    assert offsets == pytest.approx(OFFSETS, abs=0.003)


def test_a_histogram_becomes_that_of_the_other_date(ground):
    """Also where the two are related by no line."""
    after = scene_of(np.sqrt(ground))
    mapped = physical(normalise(scene_of(ground), after, "histogram").apply(after)).values
    shares = np.linspace(0.02, 0.98, 30)
    for band, other in zip(mapped, ground, strict=True):
        assert np.quantile(band, shares) == pytest.approx(np.quantile(other, shares), abs=0.002)


def test_no_data_stays_and_shapes_nothing(ground):
    after, _ = seen_later(ground)
    after[:, 20:60, 30:90] = np.nan
    before = ground.copy()
    before[:, 100:110] = np.nan
    found = normalise(scene_of(before), scene_of(after), "pif")
    assert gains_of(found)[0] == pytest.approx(GAINS, rel=0.01)
    assert found.sampled == 150 * 160 - 40 * 60 - 10 * 160
    mapped = found.apply(scene_of(after))
    assert (valid_mask(mapped).values == np.isfinite(after[0])).all()
    assert (mapped.values[:, 20:60, 30:90] == 0).all()


def test_values_that_fall_on_nodata_stay_valid(ground):
    """Darker than nothing: clipped next to the nodata value, not onto it."""
    after = ground.copy()
    found = normalise(scene_of(ground - 0.2), scene_of(after), "pif")
    mapped = found.apply(scene_of(after))
    assert valid_mask(mapped).values.all()
    assert mapped.values.min() == 1


@pytest.mark.parametrize("method", METHODS)
def test_windows_and_chunks_do_not_matter(ground, method):
    before, after = scene_of(ground), scene_of(seen_later(ground, changed=0.1, noise=0.003)[0])
    plain = normalise(before, after, method)
    cut = normalise(before.chunk({"y": 40, "x": 33}), after.chunk({"band": 1, "y": 71}), method)
    assert cut == plain
    whole = plain.apply(after).values
    assert (plain.apply(after).isel(y=slice(31, 77), x=slice(5, 20)).values == whole[:, 31:77, 5:20]).all()


def test_a_sample_takes_one_pixel_of_each_cell(monkeypatch, ground):
    before = scene_of(ground)
    rows, columns = np.mgrid[:150, :160]
    places = scene_of(np.stack([rows + 1, columns + 1, rows % 7 + 1]) / 1e4)
    sample = sample_pixels(dates_of(before, places), pixels=1000)
    assert sample.step == 5
    row, column = np.rint(sample.after[:, :2] * 1e4).astype(int).T - 1
    assert len(set(zip(row // 5, column // 5, strict=True))) == len(row) == 30 * 32
    assert np.bincount((row % 5) * 5 + column % 5, minlength=25).min() > 15  # anywhere in a cell
    monkeypatch.setattr("geodl.alignment.dates.SIDE", 37)
    other = sample_pixels(dates_of(before, places), pixels=1000)
    order = [np.lexsort(one.after.T) for one in (sample, other)]
    assert (sample.before[order[0]] == other.before[order[1]]).all()


def test_mad_variates_against_scikit_learn(ground):
    """Plain MAD: canonical correlations, and variates of unit variance."""
    after, _ = seen_later(ground, changed=0.3, noise=0.03)
    sample = sample_pixels(dates_of(scene_of(ground), scene_of(after)))
    found = fit_alteration(sample, turns=1)
    model = CCA(n_components=3, max_iter=5000, tol=1e-10).fit(sample.before, sample.after)
    one, other = model.transform(sample.before, sample.after)
    theirs = [np.corrcoef(one[:, i], other[:, i])[0, 1] for i in range(3)]
    assert found.correlations == pytest.approx(theirs, abs=1e-4)
    variates = [(one[:, i] / one[:, i].std()) - (other[:, i] / other[:, i].std()) for i in range(3)]
    chi_square = sum(v**2 / (2 * (1 - rho)) for v, rho in zip(variates, theirs, strict=True))
    ours = found.chi_square(sample.before.T, sample.after.T)
    assert ours == pytest.approx(chi_square, rel=0.02, abs=0.02)


def test_irmad_tells_change(ground):
    after, rows = seen_later(ground, changed=0.1, noise=0.003)
    after[:, -1, -1] = np.nan
    before, after = scene_of(ground), scene_of(after)
    found = irmad_change(before, after)
    probability = found.unchanged.values
    assert np.isnan(probability[-1, -1])
    assert (probability[:rows] < 0.01).mean() > 0.97
    assert np.nanmean(probability[rows:] < 0.01) < 0.05
    assert probability == pytest.approx(chi2.sf(found.chi_square.values, 3), rel=1e-4, abs=1e-6, nan_ok=True)
    window = {"y": slice(3, 30), "x": slice(50, 61)}
    assert (found.unchanged.isel(window).values == probability[3:30, 50:61]).all()
    assert found.unchanged.odc.geobox == before.odc.geobox
    # Gains and offsets are of no matter to it.
    bright = after.copy(data=np.where(after > 0, after.values * 2, 0).astype("uint16"))
    assert irmad_change(before, bright).unchanged.values == pytest.approx(probability, abs=0.02, nan_ok=True)


def test_bad_input_is_refused(ground):
    before = scene_of(ground)
    with pytest.raises(OptionError, match="histogram, pif, irmad"):
        normalise(before, before, "linear")
    flat = ground.copy()
    flat[1] = 0.25
    for method in METHODS:
        with pytest.raises(SceneError, match="band red has one value"):
            normalise(before, scene_of(flat), method)
    empty = np.full_like(ground, np.nan)
    with pytest.raises(SceneError, match="share 0 pixels"):
        irmad_change(before, scene_of(empty))
    with pytest.raises(SceneError, match="lacks the band nir"):
        normalise(before, before, "pif").apply(before.isel(band=[0, 1]))
    with pytest.raises(SceneError, match="share no band"):
        normalise(before, before.assign_coords(band=["a", "b", "c"]))
