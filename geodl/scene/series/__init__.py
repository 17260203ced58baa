"""Many dates of one place: opened as (time, band, y, x), and brought to the steps of a calendar."""

from geodl.scene.series.open import open_series
from geodl.scene.series.reader import on_calendar
from geodl.scene.series.steps import at_steps

__all__ = ["at_steps", "on_calendar", "open_series"]
