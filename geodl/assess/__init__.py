"""How good a map is: maps against references, with numpy and rasterio alone."""
