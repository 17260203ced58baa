"""Series of points from a table, laid side by side as the pixels of an image.

A network that maps each pixel by itself learns from points as it learns from scenes. Neighbours in the image
are so by chance, and nothing may mix them.
"""

import json
import math
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from geodl.assess.labels import IGNORE
from geodl.calendars import Calendar
from geodl.errors import RecipeError
from geodl.models.table import tiling_of
from geodl.scene.series import at_steps
from geodl.scene.units import parse_scale
from geodl.tiles import Window
from geodl.training.plots.pairs import Pair
from geodl.training.plots.plot import open_array
from geodl.training.recipe import Recipe, Table
from geodl.training.split import choose_blocks, choose_folds

_SQUARES = "squares.npy"


def write_points(pair: Pair, recipe: Recipe, folder: Path) -> None:
    """Write the points of a table as an image, its mask and its labels, and the square that each lies in.

    Raises
    ------
    RecipeError
        The table cannot be read, lacks a column or holds none of the classes.
    SceneError
        A point has too few dates.
    """
    table, calendar = pair.source.table, recipe.calendar
    assert table is not None
    assert calendar is not None
    what = f"table {pair.scene[0]}"
    names = calendar.bands_of_one_date(recipe.bands)
    assert names is not None  # the recipe was checked for it
    rows = _read(pair.scene[0], table, names, what)
    scale, offset = _scaled(pair)
    series = _series(rows, table, table.columns(names)[-len(names) :], scale, offset, calendar)
    classes = {str(key): code for key, code in recipe.mapping_of(pair.source).items()}
    codes = np.array([classes.get(str(label), IGNORE) for label in series.labels], np.uint8)
    if (codes == IGNORE).all():
        found = ", ".join(sorted(set(map(str, series.labels)))[:10])
        raise RecipeError(
            what, f"its labels {found} are those of no class", "name them with `from` of the classes"
        )
    _write(series, codes, table.square, folder, name=pair.scene[0].name.partition(".")[0])


@dataclass(frozen=True, kw_only=True)
class _Series:
    """Points: values at all steps (points, bands), labels, and longitude and latitude (points, 2)."""

    values: np.ndarray
    labels: list[object]
    places: np.ndarray


def refuse_neighbours(recipe: Recipe) -> None:
    """Refuse a network that does not map each pixel by itself.

    Raises
    ------
    RecipeError
        The network looks at neighbours.
    """
    tiling = tiling_of(recipe.architecture, recipe.parameters)
    if (tiling.halo, tiling.stride) != (0, 1):
        raise RecipeError(
            recipe.where("architecture"),
            f"{recipe.architecture} looks at neighbours, and points of a table have none",
            "use ltae without `context`",
        )


def _read(path: Path, table: Table, names: list[str], what: str) -> pd.DataFrame:
    wanted = table.columns(names)
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            rows = pd.read_parquet(path)
        else:
            rows = pd.read_csv(path, dtype={table.label: str})
    except (OSError, ValueError) as error:
        raise RecipeError(what, f"it cannot be read ({error})", "give a CSV or Parquet file") from error
    missing = [column for column in wanted if column not in rows.columns]
    if missing:
        raise RecipeError(
            what,
            f"it has no column {', '.join(missing)}; it has {', '.join(map(str, rows.columns))}",
            "name its columns under `table` of the source",
        )
    rows = rows[wanted].dropna(subset=[table.label, table.longitude, table.latitude])
    try:
        days = pd.to_datetime(rows[table.date], format="ISO8601", utc=True)
        numbers = rows[[column for column in wanted if column not in (table.label, table.date, table.sample)]]
        numbers = numbers.astype(float)
    except (ValueError, TypeError) as error:
        raise RecipeError(
            what, f"a value is no number or no day ({error})", "write days like 2018-09-14"
        ) from error
    if rows.empty:
        raise RecipeError(what, "it holds no point", "give a table with one row for each point and date")
    return rows.assign(**{table.date: days, **{column: numbers[column] for column in numbers}})


def _scaled(pair: Pair) -> tuple[float, float]:
    units = parse_scale(pair.source.scale)
    if units is None:
        return 1.0, 0.0
    assert isinstance(units.scale, float)
    assert isinstance(units.offset, float)
    return units.scale, units.offset


def _series(
    rows: pd.DataFrame, table: Table, columns: list[str], scale: float, offset: float, calendar: Calendar
) -> _Series:
    own = [table.longitude, table.latitude, table.label] if table.sample is None else [table.sample]
    values, labels, places = [], [], []
    for _, point in rows.sort_values(table.date, kind="stable").groupby(own, sort=True):
        days = [day.date() for day in point[table.date]]
        begin = calendar.first_day(days)
        first = point.iloc[0]
        place = (float(first[table.longitude]), float(first[table.latitude]))
        calendar.check_covered(days, begin, what=f"the point at {place[0]:g}, {place[1]:g}")
        observed = point[columns].to_numpy(np.float64) * scale + offset
        values.append(_on_steps(observed.astype(np.float32), days, calendar, begin))
        labels.append(first[table.label])
        places.append(place)
    return _Series(values=np.stack(values), labels=labels, places=np.array(places, np.float64))


def _on_steps(values: np.ndarray, days: list[date], calendar: Calendar, begin: date) -> np.ndarray:
    """Return the bands of all steps, as of a scene, for observations (dates, bands) of one point."""
    observed = np.array([day.toordinal() for day in days])
    steps = np.array([day.toordinal() for day in calendar.days(begin)])
    found, gaps = at_steps(values[..., None], observed, steps)
    return np.concatenate([found[..., 0], gaps], axis=1).ravel()


def _write(series: _Series, codes: np.ndarray, square: float, folder: Path, *, name: str) -> None:
    count, bands = series.values.shape
    side = math.ceil(math.sqrt(count))
    height = math.ceil(count / side)
    # Tables are ordered by class or place, and a sample of the training is a window of the image.
    place = np.random.default_rng(0).permutation(height * side)[:count]
    image = np.full((bands, height * side), np.nan, np.float32)
    image[:, place] = series.values.T
    labels = np.full(height * side, IGNORE, np.uint8)
    squares = np.full(height * side, -1, np.int64)
    known = np.asarray(np.isfinite(image).all(axis=0))  # points without any observation are not
    labels[place] = np.where(known[place], codes, IGNORE)
    cells = np.floor(series.places / square).astype(np.int64)
    squares[place] = np.unique(cells, axis=0, return_inverse=True)[1].ravel()
    files = {"image.npy": image, "valid.npy": known, "labels.npy": labels, _SQUARES: squares}
    for file, array in files.items():
        np.save(folder / file, array.reshape(*array.shape[:-1], height, side))
    content = {
        "name": name, "height": height, "width": side, "scale": [1.0] * bands, "offset": [0.0] * bands,
        "crs": None, "transform": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
    }  # fmt: skip
    (folder / "scene.json").write_text(json.dumps(content))


@dataclass(frozen=True, kw_only=True)
class PointMarks:
    """Points that are held out: bool of shape (height, width)."""

    held_out: np.ndarray

    def inside(self, window: Window) -> np.ndarray:
        """Mark those of a window."""
        return self.held_out[window.slices]

    def near(self, window: Window, gap: int) -> np.ndarray:  # noqa: ARG002 - neighbours are so by chance
        """Mark the same: squares of the ground are whole already."""
        return self.inside(window)


def hold_out_squares(recipe: Recipe, folder: Path) -> PointMarks:
    """Choose squares of the ground whose points are held out, as the recipe's split says.

    Parameters
    ----------
    recipe : Recipe
        Its `split` and `seed`.
    folder : Path
        Of the decoded table.

    Raises
    ------
    RecipeError
        There are too few squares.
    """
    labels, squares = open_array(folder / "labels.npy"), open_array(folder / _SQUARES)
    known = labels != IGNORE
    counts = np.zeros((int(squares.max()) + 1, len(recipe.classes)), np.int64)
    np.add.at(counts, (squares[known], labels[known]), 1)
    split, labelled = recipe.split, int(np.count_nonzero(counts.sum(axis=1)))
    if labelled < (split.folds or 2):
        raise RecipeError(
            recipe.where("split"),
            f"the points lie in {labelled} square{'s' * (labelled != 1)}, too few to hold some out",
            "set `square` of the table smaller, or split by whole tables",
        )
    if split.folds is None:
        chosen = choose_blocks(counts, split.validation, recipe.seed)
    else:
        chosen = choose_folds(counts, split.folds, recipe.seed) == (split.fold or 0)
    return PointMarks(held_out=np.append(chosen, False)[squares])  # -1, where there is no point, is the last
