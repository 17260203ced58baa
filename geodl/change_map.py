"""What a change map has beyond other maps: the probability of change, dates, and a picture of both dates."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import xarray as xr

from geodl.alignment.dates import dates_of_stack
from geodl.alignment.tolerance import ShiftFilter, shift_filter
from geodl.block import Job
from geodl.models.legend import legend_of
from geodl.publish.triptych import SIDE, UNCHANGED, Panels, strongest, title_of, write_triptych
from geodl.scene.pair import valid_dates
from geodl.scene.stretch import stretched
from geodl.store import NODATA, BlockStore
from geodl.tiles import Window
from geodl.vector import FeatureBatch
from geodl.vector.batch import Batches

_READ = 1024  # rows and columns of the scene that are read at a time, about
_COLORS = ("red", "green", "blue")


def change_probability(job: Job, store: BlockStore) -> Callable[[Window], np.ndarray] | None:
    """Return what reads the probability of change, 1 less that of the class unchanged, in whole percent.

    It follows from the confidence where there are two classes; where there are more, from the layer of all
    probabilities; None where that was not made.
    """
    if isinstance(store, WithoutShifts):
        store = store.of  # probabilities are those of the model
    values = job.model.spec.class_values
    unchanged = values.index(UNCHANGED)
    if "probability" in job.layers:

        def of_classes(window: Window) -> np.ndarray:
            percent = store.read("probability", window)[unchanged]
            return np.where(percent == NODATA, NODATA, 100 - percent).astype(np.uint8)

        return of_classes
    if len(values) > 2 or "confidence" not in job.layers:
        return None

    def of_confidence(window: Window) -> np.ndarray:
        percent, classes = store.read("confidence", window), store.read("class", window)
        changed = np.where(classes == UNCHANGED, 100 - percent, percent)
        return np.where(percent == NODATA, NODATA, changed).astype(np.uint8)

    return of_confidence


@dataclass(frozen=True, kw_only=True)
class WithoutShifts(BlockStore):
    """Finished blocks whose changes are taken back where a shift explains them."""

    of: BlockStore
    taken_back: ShiftFilter

    def read(self, name: str, window: Window) -> np.ndarray:
        """Read a window of a layer as `BlockStore.read` does; what the model says how surely stays."""
        values = self.of.read(name, window)
        return self.taken_back(values, window) if name == "class" else values


def without_shifts(store: BlockStore, job: Job, k: int) -> WithoutShifts:
    """Take back the changes that a shift of up to `k` pixels explains; looks at a sample of the scene now."""
    same = {one.name: getattr(store, one.name) for one in fields(BlockStore)}
    return WithoutShifts(**same, of=store, taken_back=shift_filter(dates_of_stack(job.scene), k))


def dated(batches: Batches, job: Job) -> Batches:
    """Add the columns ``date_before`` and ``date_after``, empty where a date is not known."""
    dates = {f"date_{date['label']}": date["date"] or "" for date in job.scene.attrs["dates"]}
    for batch in batches:
        columns = {name: np.full(len(batch), value, dtype=object) for name, value in dates.items()}
        yield _with(batch, columns)


def _with(batch: FeatureBatch, columns: dict[str, np.ndarray]) -> FeatureBatch:
    return replace(batch, columns={**batch.columns, **columns})


def write_picture(job: Job, store: BlockStore, path: Path) -> None:
    """Write before, after and change side by side, in one stretch; of a large scene every n-th pixel.

    Of the map the pixels between count too: a change of a single one shows.

    Raises
    ------
    ProductError
        The file cannot be written.
    """
    scene, height, width = job.scene, job.lattice.height, job.lattice.width
    factor = -(-max(height, width) // SIDE)
    shape = (-(-height // factor), -(-width // factor))
    images = np.zeros((2, *shape, 3), np.float32)
    seen = np.zeros((2, *shape), bool)
    classes = np.zeros(shape, np.uint8)
    for window, to in _windows(height, width, factor):
        pixels, valid = _thinned(scene, window, factor)
        images[(slice(None), *to)], seen[(slice(None), *to)] = pixels, valid
        classes[to] = strongest(store.read("class", window), factor)
    # Side by side, so that both dates get one stretch.
    both = stretched(np.concatenate(list(images), axis=1), np.concatenate(list(seen), axis=1))
    before, after = np.split(both, 2, axis=1)
    titles = [title_of(date) for date in scene.attrs["dates"]]
    panels = Panels(
        before=before,
        after=after,
        seen=(seen[0], seen[1]),
        classes=classes,
        titles=(titles[0], titles[1], job.model.spec.title or "Change"),
    )
    write_triptych(panels, path, legend=legend_of(job.model.spec))


def _windows(height: int, width: int, factor: int) -> Iterator[tuple[Window, tuple[slice, slice]]]:
    """Windows of whole cells of `factor` pixels, and where they lie in the picture."""
    side = max(1, _READ // factor)
    rows, columns = -(-height // factor), -(-width // factor)
    for row in range(0, rows, side):
        for column in range(0, columns, side):
            whole = Window(row * factor, column * factor, side * factor, side * factor)
            to = (slice(row, min(row + side, rows)), slice(column, min(column + side, columns)))
            yield whole.intersect(Window(0, 0, height, width)), to


def _thinned(scene: xr.DataArray, window: Window, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Colours (dates, rows, columns, 3) and validity (dates, rows, columns) of one pixel of each cell."""
    part = scene.isel(y=window.slices[0], x=window.slices[1]).compute(scheduler="synchronous")
    part = part.isel(y=slice(None, None, factor), x=slice(None, None, factor))
    valid = np.stack(list(valid_dates(part).values()))
    # Each date alone: where one holds no data, the other is still shown.
    bare = part.drop_vars([name for name in part.coords if str(name).startswith("valid_")])
    values = np.stack([_colors(bare, date["label"]) for date in scene.attrs["dates"]])
    return np.where(valid[..., None], values, 0), valid


def _colors(part: xr.DataArray, label: str) -> np.ndarray:
    """Red, green and blue of a date; where it lacks one, its first band as grey. Shape (rows, columns, 3)."""
    names = [str(name) for name in part.coords["band"].values]
    own = [name for name in names if name.startswith(f"{label}.")] or names
    colors = [f"{label}.{color}" for color in _COLORS]
    chosen = colors if set(colors) <= set(own) else own[:1] * 3
    return np.moveaxis(part.values[[names.index(name) for name in chosen]], 0, -1).astype(np.float32)
