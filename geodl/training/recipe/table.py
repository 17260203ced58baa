"""`Table`: how a recipe reads series of points from a table."""

from typing import Annotated

from pydantic import Field, model_validator

from geodl.training.recipe.fields import Positive, Strict


class Table(Strict):
    """The columns of a table (CSV, gzipped or not, or Parquet) with one row for each point and date."""

    label: str = "label"
    """Column that holds the class."""
    date: str = "date"
    """Column that holds the day: 2018-09-14."""
    longitude: str = "longitude"
    """Column of the longitude in degrees."""
    latitude: str = "latitude"
    """Column of the latitude in degrees."""
    sample: str | None = None
    """Column that tells the points apart; by default rows of one place and one class are one point."""
    bands: Annotated[dict[str, str], Field(default_factory=dict)]
    """Column of each band, by its name, where the names differ: {red: B04}."""
    square: Positive = 0.1
    """Side in degrees of the squares whose points stay together, all to learn from or all to check on."""

    @model_validator(mode="after")
    def _columns_differ(self) -> "Table":
        named = [self.label, self.date, self.longitude, self.latitude, *self.bands.values()]
        if len(set(named)) != len(named):
            raise ValueError(f"a column stands for two things: {', '.join(named)}")
        return self

    def columns(self, bands: list[str]) -> list[str]:
        """Return the columns that are read, those of the bands last and in their order."""
        first = [self.label, self.date, self.longitude, self.latitude]
        own = [] if self.sample is None else [self.sample]
        return [*first, *own, *(self.bands.get(band, band) for band in bands)]
