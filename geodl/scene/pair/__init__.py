"""Two dates of one place, or more, on one grid."""

from geodl.scene.pair.open import SUFFIXES, open_pair, pair_name, rasters_in
from geodl.scene.pair.stack import labels_of, stack_dates, valid_dates

__all__ = ["SUFFIXES", "labels_of", "open_pair", "pair_name", "rasters_in", "stack_dates", "valid_dates"]
