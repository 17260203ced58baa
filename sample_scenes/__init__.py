"""Generated landscapes with known truth: Sentinel-2-like and aerial scenes, see README.md.

The generator needs numpy, scipy, scikit-image, shapely, geopandas and rasterio, and nothing of geodl:
the truth must not come from the code that it judges.
"""
