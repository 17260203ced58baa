"""One group of places held out: from its pairs to rows."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio

from geodl.alignment import align_pair
from geodl.changes import METHODS as UNSUPERVISED
from geodl.changes import ChangeOptions, find_changes
from geodl.models.bundle import load_model
from geodl.scene import physical
from geodl.training.cache import SceneCache
from geodl.training.plots import Plot, find_pairs
from geodl.training.plots.decode import Decoded, decode_pair
from geodl.training.plots.divide import divide
from geodl.training.recipe import Recipe
from tests.benchmarks.change.cases import NETWORKS, READY, Case
from tests.benchmarks.change.learn import CPU, learn, percents
from tests.benchmarks.change.peer import learn_peer
from tests.benchmarks.change.pictures import write_errors
from tests.benchmarks.change.places import DATA, Data, Place
from tests.benchmarks.change.rows import Row
from tests.benchmarks.change.scores import BINS, tally


def run(case: Case, places: Sequence[Place], work: Path) -> list[Row]:
    """Train where the method needs it, map the places held out, and count.

    Parameters
    ----------
    case : Case
        What to run.
    places : sequence of Place
        All of the data.
    work : Path
        Keeps decoded scenes, aligned dates, and ``maps/DATA-METHOD-EFFORT-SEED-PLACE.png``.

    Returns
    -------
    list of Row
        One for each place of the group.
    """
    started = time.process_time()
    data = DATA[case.data]
    if case.aligned:
        places = [_aligned(place, data, work / "aligned" / case.data) for place in places]
    recipe = case.recipe(places)
    with tempfile.TemporaryDirectory(prefix="geodl-change-") as folder:
        plots = divide(recipe, find_pairs(recipe), _decoded(case, recipe, work), Path(folder), gap=0)
        truths = [np.array(plot.labels("validation")) for plot in plots if sum(plot.validation)]
        held_out = [place for place in places if place.group == case.group]
        if case.base in UNSUPERVISED:
            maps, parameters = [_unsupervised(case, place) for place in held_out], None
        else:
            maps, parameters = _by_network(case, recipe, plots)
    seconds = (time.process_time() - started) / len(held_out)
    rows = []
    for place, percent, truth in zip(held_out, maps, truths, strict=True):
        write_errors(work / "maps" / f"{case.label}-{place.name}.png", percent, truth)
        counts = tally(percent, truth).tolist()
        rows.append(Row.of(case, place.name, counts, parameters, round(seconds, 1)))
    return rows


_DECODED: dict[tuple[str, bool, str, Path], list[Decoded]] = {}
"""Scenes of a set: opening fifty files takes as long as a short training."""


def _decoded(case: Case, recipe: Recipe, work: Path) -> list[Decoded]:
    key = (case.data, case.aligned, recipe.units, work)
    if key not in _DECODED:
        cache = SceneCache(work / "scenes")
        _DECODED[key] = [decode_pair(pair, recipe, cache) for pair in find_pairs(recipe)]
    return _DECODED[key]


def _by_network(case: Case, recipe: Recipe, plots: list[Plot]) -> tuple[list[np.ndarray], int]:
    if case.base == READY:
        assert case.model is not None
        model = load_model(case.model)
        spec, network = model.spec, model.network(CPU)
    else:
        spec, network = (learn if case.base in NETWORKS else learn_peer)(recipe, plots)
    return percents(spec, network, plots), sum(weight.numel() for weight in network.parameters())


def _unsupervised(case: Case, place: Place) -> np.ndarray:
    """Return 0 and `BINS` - 1; as `geodl change` decides with its defaults."""
    pair = place.pair(DATA[case.data].bands)
    with tempfile.TemporaryDirectory(prefix="geodl-change-") as folder:
        found = find_changes(pair, Path(folder), ChangeOptions(method=case.base))
        with rasterio.open(found.folder / "change.tif") as file:
            return np.where(file.read(1) == 1, BINS - 1, 0).astype(np.uint8)


def _aligned(place: Place, data: Data, folder: Path) -> Place:
    """Write the later date as it lies on the earlier one, with values like those there; once."""
    path = folder / place.name / "after.tif"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        pair = align_pair(place.pair(data.bands), coregister="shift", normalise="pif")
        values = physical(pair.isel(time=1)).compute(scheduler="synchronous").values
        known = np.isfinite(values).all(axis=0)
        scale = 1.0 if data.units == "digital_number" else float(place.reading["scale"])
        dtype = np.dtype(data.dtype or "uint16")
        counts = np.nan_to_num(values / scale).round().clip(1, np.iinfo(dtype).max)  # 0 is no data
        box, (height, width) = pair.odc.geobox, known.shape
        placed = {} if box is None or box.crs is None else {"crs": str(box.crs), "transform": box.affine}
        size = {"count": len(values), "height": height, "width": width}
        with rasterio.open(path, "w", driver="GTiff", dtype=dtype, nodata=0, **size, **placed) as file:
            file.write(np.where(known, counts, 0).astype(dtype))
            file.descriptions = data.bands
    return place.with_after(path)
