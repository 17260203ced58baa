"""Two dates of one place, or more, on one grid."""

from geodl.scene.pair.open import open_pair, pair_name
from geodl.scene.pair.stack import labels_of, stack_dates, valid_dates
from geodl.scene.pair.together import SUFFIXES, Date, on_one_grid, opened, rasters_in

__all__ = [
    "SUFFIXES",
    "Date",
    "labels_of",
    "on_one_grid",
    "open_pair",
    "opened",
    "pair_name",
    "rasters_in",
    "stack_dates",
    "valid_dates",
]
