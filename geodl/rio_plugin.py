"""``rio geodl``: the commands of geodl for those who live in rasterio's command line.

Named in the group ``rasterio.rio_plugins`` of this package's entry points
(https://rasterio.readthedocs.io/en/stable/topics/plugins.html).
"""

import copy

from geodl.cli import main

geodl = copy.copy(main)
geodl.name = "geodl"
