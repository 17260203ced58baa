"""What the server shows of one product."""

import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from geodl.page import REPORT_FILE
from geodl.task import TASKS
from geodl.viewing.catalogue import ShownProduct
from geodl.viewing.imagery import Imagery, find_imagery
from geodl.viewing.map_data import MapData, read_map
from geodl.viewing.tiles import palette, percent_palette, png, read_pixel, read_tile

NODATA = 255


class ProductView:
    """Tiles and pixels of one product; what it holds is found out when it is first asked for."""

    def __init__(self, product: ShownProduct, scenes: Path | None) -> None:
        self.product, self.scenes = product, scenes
        self.lock = threading.Lock()

    @cached_property
    def page(self) -> tuple[MapData, dict[str, str]] | None:
        """The map in the report and its pictures; None where there is no sound one."""
        path = self.product.file(REPORT_FILE)
        return None if path is None else read_map(path)

    @cached_property
    def rasters(self) -> dict[str, Path]:
        """Rasters there are tiles of, by layer."""
        task = TASKS.get(self.product.maker("task"))
        names = {"class": f"{task.raster}.tif" if task else "", "confidence": "confidence.tif"}
        return {layer: path for layer, name in names.items() if (path := self.product.file(name))}

    @cached_property
    def imagery(self) -> Mapping[str, Imagery]:
        """The scene, or both its dates, where it was found."""
        if self.page is None or self.scenes is None:
            return {}
        return find_imagery(self.product, self.scenes, [base.id for base in self.page[0].bases])

    @cached_property
    def palettes(self) -> dict[str, Any]:
        """Colours of the rasters by value."""
        classes = self.page[0].classes if self.page else ()
        return {
            "class": palette({c.value: c.color for c in classes if not c.clear}),
            "confidence": percent_palette(),
        }

    def ready(self) -> "ProductView":
        """Find out all of it, in one thread: several requests may ask at once."""
        with self.lock:
            _ = self.page, self.rasters, self.imagery, self.palettes
        return self

    def tile(self, layer: str, level: int, column: int, row: int) -> bytes | None:
        """Return a tile as PNG; None where there is none."""
        if layer in self.imagery:
            pixels = self.imagery[layer].tile(level, column, row)
            return None if pixels is None else png(pixels)
        if layer not in self.rasters:
            return None
        found = read_tile(self.rasters[layer], level, column, row)
        if found is None:
            return None
        values, valid = found
        pixels = self.palettes[layer][values[0]]
        pixels[~valid] = 0
        return png(pixels)

    def pixel(self, column: int, row: int) -> dict[str, int] | None:
        """Return the class and the confidence at a pixel, 255 where there is none; None outside."""
        found = {layer: read_pixel(path, column, row) for layer, path in self.rasters.items()}
        if not found or None in found.values():
            return None
        told = {layer: value for layer, value in found.items() if value is not None}
        return {"class": NODATA, "confidence": NODATA} | told
