"""The print layout of a project: one page A4 across, ready to export. Lengths are mm."""

import math
from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from rasterio.crs import CRS

from geodl.publish.project.description import Bounds, Layer, MapProject
from geodl.publish.project.items import (
    GREY,
    Box,
    arrow_item,
    label_item,
    legend_item,
    map_item,
    page_item,
    scale_item,
)
from geodl.publish.project.layers import legend_lines
from geodl.publish.project.tree import legend_element
from geodl.publish.project.words import shortened

NAME = "A4 landscape"
_WIDTH, _HEIGHT, _MARGIN = 297, 210, 10
_MAP = Box(_MARGIN, 27, 207, 160)
_SIDE = 222  # where the column beside the map begins
_COLUMN = _WIDTH - _MARGIN - _SIDE
_LEGEND = 112  # height of a legend, its title aside
_LINE = 5.55  # of a line in letters of 9 points
_SMALL = 5.0  # points that are read without a lens
_NARROW = 5.5  # points with which two columns are narrow enough
_AROUND = 0.02  # of the extent that stays free around it
_DEGREE = 111_320  # metres of a degree of latitude


def layout_element(project: MapProject, layers: Sequence[Layer]) -> Xml.Element:
    """Return the layout: title, map, legend, north arrow, scale bar, and where the map comes from."""
    root = Xml.Element("Layout", name=NAME, units="mm", printResolution="300", worldFileMap="")
    pages = Xml.SubElement(root, "PageCollection")
    pages.append(page_item(_WIDTH, _HEIGHT))
    extent = framed(project.extent, _MAP.width / _MAP.height)
    metric = project.crs is not None and project.crs.is_projected
    if project.crs is not None and metric:
        extent = at_round_scale(extent, _MAP.width / 1000 / metres_per_unit(project.crs, 0))
    named = [layer for layer in layers if layer.in_legend]
    root.append(map_item(_MAP, extent))
    root.extend(_texts(project))
    if named:
        size, columns = legend_size(sum(map(legend_lines, named)))
        legend = Box(_SIDE, _MAP.top, _COLUMN, 10)
        root.append(legend_item(legend, project.legend, legend_element(named), size=size, columns=columns))
    if project.crs is not None:
        root.append(arrow_item(Box(_SIDE, 152, 10, 15)))
        segment, unit = scale_segment(extent, project.crs, _MAP.width)
        root.append(scale_item(Box(_SIDE, 171, _COLUMN, 10), segment=segment, unit=unit))
    if metric:  # a map in degrees has one scale from west to east and another from south to north
        root.append(scale_item(Box(_SIDE, 182, _COLUMN, 6), numeric=True))
    return root


def _texts(project: MapProject) -> list[Xml.Element]:
    wide = _WIDTH - 2 * _MARGIN
    title = "\n".join(shortened(project.title, 70, 1))
    subtitle = "\n".join(shortened(project.subtitle, 150, 1))
    source = "\n".join(line for text in project.source for line in shortened(text, 190, 2))
    return [
        label_item("title", title, Box(_MARGIN, 8, wide, 9), size=18, bold=True),
        label_item("subtitle", subtitle, Box(_MARGIN, 18, wide, 6), size=10, color=GREY),
        label_item("source", source, Box(_MARGIN, 190, wide, 14), size=7, color=GREY),
    ]


def legend_size(lines: int) -> tuple[float, int]:
    """Return the size of letters in points, and the columns, with which a legend fits above the arrow.

    >>> legend_size(6), legend_size(30), legend_size(60)
    ((9.0, 1), (6.1, 1), (5.5, 2))
    """
    fitting = 9 * _LEGEND / (lines * _LINE)
    if fitting >= _SMALL:
        return round(min(fitting, 9.0), 1), 1
    return round(min(2 * fitting, _NARROW), 1), 2


def framed(extent: Bounds, ratio: float) -> Bounds:
    """Return the smallest rectangle of a ratio of width to height around an extent and a little more.

    >>> framed(Bounds(0, 0, 100, 50), 1.0)
    Bounds(left=-2.0, bottom=-27.0, right=102.0, top=77.0)
    """
    width, height = extent.right - extent.left, extent.top - extent.bottom
    around = _AROUND * max(width, height)
    width, height = width + 2 * around, height + 2 * around
    width, height = max(width, height * ratio), max(height, width / ratio)
    x, y = (extent.left + extent.right) / 2, (extent.bottom + extent.top) / 2
    return Bounds(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def at_round_scale(extent: Bounds, width: float) -> Bounds:
    """Enlarge an extent until its map has a scale of two digits, such as 1:32 000.

    `width` is that of the map on paper, in the units of the extent.

    >>> at_round_scale(Bounds(0, 0, 6500, 5200), 0.2)
    Bounds(left=-50.0, bottom=-40.0, right=6550.0, top=5240.0)
    """
    scale = (extent.right - extent.left) / width
    step = 10.0 ** (math.floor(math.log10(scale)) - 1)
    more = (math.ceil(scale / step) * step / scale - 1) / 2
    across, down = more * (extent.right - extent.left), more * (extent.top - extent.bottom)
    left, bottom, right, top = (
        extent.left - across,
        extent.bottom - down,
        extent.right + across,
        extent.top + down,
    )
    return Bounds(*(round(value, 9) for value in (left, bottom, right, top)))


def metres_per_unit(crs: CRS, y: float) -> float:
    """Return how many metres a unit of a CRS is long from west to east, about; `y` matters for degrees."""
    if crs.is_geographic:
        return _DEGREE * max(math.cos(math.radians(y)), 1e-3)
    return float(crs.linear_units_factor[1])


def scale_segment(extent: Bounds, crs: CRS, width: float) -> tuple[float, str]:
    """Return the length of a segment of a scale bar, a round number, and its unit.

    Two segments take at most 50 mm of a map that is `width` mm wide.

    >>> scale_segment(Bounds(0, 0, 5000, 5000), CRS.from_epsg(32632), 200)
    (500, 'm')
    """
    metres = (extent.right - extent.left) * metres_per_unit(crs, (extent.bottom + extent.top) / 2)
    most = metres * 25 / width
    power = 10.0 ** math.floor(math.log10(most))
    segment = next(factor * power for factor in (5, 2, 1) if factor * power <= most)
    return (segment / 1000, "km") if segment >= 1000 else (segment if segment < 1 else round(segment), "m")
