"""What a run tells catalogues: the thumbnail and the STAC Item of each product."""

from collections.abc import Mapping
from typing import Any

import xarray as xr

from geodl.models.item import to_item
from geodl.models.legend import legend_of
from geodl.models.method import MethodSpec
from geodl.models.spec import ModelSpec
from geodl.publish import Product, RasterGrid
from geodl.publish.stac import THUMBNAIL, About, write_item
from geodl.publish.thumbnail import write_thumbnail
from geodl.task import TASKS


def write_entry(
    product: Product, scene: xr.DataArray, spec: ModelSpec | MethodSpec, provenance: Mapping[str, Any]
) -> None:
    """Describe a product whose other files are all written.

    Raises
    ------
    ProductError
        A file cannot be read or written.
    """
    task = TASKS[spec.task]
    raster = f"{task.raster}.tif"
    pictured = [product.path(name) for name in (raster, "confidence.tif", "entropy.tif", "novelty.tif")]
    shown = next((path for path in pictured if path.exists()), None)
    if shown is not None:
        write_thumbnail(shown, product.path(THUMBNAIL))
    about = About(
        name=product.final.name,
        title=task.title,
        grid=RasterGrid.of(scene),
        dates=_dates(scene.attrs),
        sources=tuple(str(source) for source in scene.attrs["source"]),
        final=product.final,
        raster=raster,
        classes=legend_of(spec),
        model=to_item(spec) if isinstance(spec, ModelSpec) else None,
        provenance=provenance,
    )
    write_item(product.folder, about)


def _dates(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """Return when a scene was taken; of several dates all, if each is known."""
    several = attributes.get("dates") or attributes.get("calendar", {}).get("observed", ())
    dates = [date.get("date") for date in several] or [attributes.get("date")]
    return tuple(dates) if all(dates) else ()
