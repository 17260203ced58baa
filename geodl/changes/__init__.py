"""Change without a model of change: from the values of two dates alone, or from two class maps."""

from geodl.changes.compare import compare_maps
from geodl.changes.find import find_changes
from geodl.changes.measures import METHODS
from geodl.changes.options import ChangeOptions
from geodl.changes.threshold import THRESHOLDS, ScoreHistogram, kittler_illingworth, otsu

__all__ = [
    "METHODS",
    "THRESHOLDS",
    "ChangeOptions",
    "ScoreHistogram",
    "compare_maps",
    "find_changes",
    "kittler_illingworth",
    "otsu",
]
