"""Polygons or lines of a vector file, read piece by piece in metres on the ground.

Both sides of a comparison are brought to Lambert's azimuthal equal-area projection around the middle of the
reference (Snyder 1987, doi:10.3133/pp1395, chapter 24), whatever their CRS: areas are true, and distances
within 100 km of the middle are right to one in ten thousand.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from geodl.assess.vectors.file import Kind, read_parquet, read_rows, vector_layer
from geodl.errors import SceneError

Box = tuple[float, float, float, float]

_INDEXED = {".gpkg", ".fgb", ".shp"}
"""Formats whose files tell what lies in a box without reading all of it; the others are read once."""

_HELD = 50_000
"""Layers of at most so many features are read once, too."""


@dataclass(frozen=True, kw_only=True)
class Features:
    """Geometries in metres, with the numbers they have in their file.

    Parameters
    ----------
    ids : numpy.ndarray of int64
        Shape (n,), ascending.
    geometry : numpy.ndarray of shapely geometries
        Shape (n,): what lies in the area of interest.
    whole : numpy.ndarray of shapely geometries
        Shape (n,): the same before it was clipped.
    """

    ids: np.ndarray
    geometry: np.ndarray
    whole: np.ndarray

    @property
    def clipped(self) -> np.ndarray:
        """Whether the area of interest cuts each of them; bool, shape (n,)."""
        return ~shapely.equals_exact(self.geometry, self.whole)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, chosen: np.ndarray) -> "Features":
        return Features(ids=self.ids[chosen], geometry=self.geometry[chosen], whole=self.whole[chosen])


@dataclass(frozen=True)
class Layer:
    """One layer of a vector file, seen in metres.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        The layer.
    kind : {"polygons", "lines"}
        What it holds.
    crs : pyproj.CRS
        Of the file.
    box : tuple of float, optional
        Left, bottom, right, top in `crs`; None where there are no features.
    count : int
        Number of features.
    ground : pyproj.CRS
        Metric CRS of what `read` gives.
    area : shapely geometry, optional
        Area of interest in `ground`.
    min_area : float
        Polygons below it, in m², are left out after clipping.
    """

    path: Path
    name: str
    kind: Kind
    crs: CRS
    box: Box | None
    count: int
    ground: CRS
    area: Any = None
    min_area: float = 0.0

    def on(self, ground: CRS, area: Any = None, min_area: float = 0.0) -> "Layer":
        """Return the layer measured in another CRS, clipped to an area in that CRS."""
        return replace(self, ground=ground, area=area, min_area=min_area)

    @property
    def middle(self) -> tuple[float, float]:
        """Longitude and latitude in degrees of the middle of its bounds."""
        assert self.box is not None
        left, bottom, right, top = self.box
        to_degrees = Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True)
        return to_degrees.transform((left + right) / 2, (bottom + top) / 2)

    @cached_property
    def bounds(self) -> Box:
        """Left, bottom, right and top in metres, a little too wide."""
        assert self.box is not None
        found = _padded(self._to_ground.transform_bounds(*self.box, densify_pts=101))
        if not np.isfinite(found).all():
            raise SceneError(
                f"layer {self.path}",
                "reaches too far around the globe to be measured in one plane",
                "cut both layers to one region, or give one with --area-of-interest",
            )
        return found

    def read(self, bounds: Box | None = None) -> Features:
        """Read what touches a rectangle in metres; features nearby may be among them.

        Raises
        ------
        SceneError
            The file is damaged, or holds geometries of another kind.
        """
        if self.count > _HELD and self.path.suffix.lower() in _INDEXED:
            return self._features(*read_rows(self.path, self.name, self._file_box(bounds)))
        if bounds is None:
            return self._held
        near = np.sort(self._tree.query(shapely.box(*bounds)))
        return self._held[near]

    @cached_property
    def _to_ground(self) -> Transformer:
        return Transformer.from_crs(self.crs, self.ground, always_xy=True)

    @cached_property
    def _to_file(self) -> Transformer:
        return Transformer.from_crs(self.ground, self.crs, always_xy=True)

    @cached_property
    def _held(self) -> Features:
        read = read_parquet if self.path.suffix.lower() == ".parquet" else read_rows
        return self._features(*read(self.path, self.name))

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(self._held.geometry)

    def _file_box(self, bounds: Box | None) -> Box | None:
        """Rectangle in the CRS of the file around one in metres; None for everything there is."""
        if bounds is None:
            return None
        left, bottom, right, top = self._to_file.transform_bounds(*_padded(bounds), densify_pts=21)
        # Not across the 180th meridian, nor beyond the edge of a projection.
        known = np.isfinite([left, bottom, right, top]).all() and left < right
        return (left, bottom, right, top) if known else None

    def _features(self, ids: np.ndarray, geometry: np.ndarray) -> Features:
        geometry = shapely.force_2d(geometry)
        kept = ~(shapely.is_missing(geometry) | shapely.is_empty(geometry))
        ids, geometry = ids[kept], geometry[kept]
        wanted = 2 if self.kind == "polygons" else 1
        if (shapely.get_dimensions(geometry) != wanted).any():
            raise SceneError(
                f"layer {self.name} of {self.path}",
                f"holds other geometries besides {self.kind}",
                f"put its {self.kind} into a layer of their own",
            )
        whole = self._cleaned(self._moved(geometry))
        clipped = whole if self.area is None else _clipped(whole, self.area, wanted)
        size = shapely.area(clipped) if wanted == 2 else shapely.length(clipped)
        kept = (size > 0) & (size >= self.min_area)
        return Features(ids=ids[kept], geometry=clipped[kept], whole=whole[kept])

    def _moved(self, geometry: np.ndarray) -> np.ndarray:
        def move(points: np.ndarray) -> np.ndarray:
            return np.stack(self._to_ground.transform(points[:, 0], points[:, 1]), axis=1)

        return shapely.transform(geometry, move)

    def _cleaned(self, geometry: np.ndarray) -> np.ndarray:
        if self.kind == "lines":
            return geometry
        wrong = ~shapely.is_valid(geometry)
        geometry[wrong] = shapely.make_valid(geometry[wrong], method="structure", keep_collapsed=False)
        return geometry


def open_layer(path: str | Path, name: str | None = None, kind: Kind | None = None) -> Layer:
    """Look at a vector file; its features are read later.

    Parameters
    ----------
    path : str or Path
        ``.gpkg``, ``.geojson``, ``.json``, ``.shp``, ``.fgb`` or ``.parquet``.
    name : str, optional
        The layer; by default ``edges`` where there is one, else the only one with polygons or lines.
    kind : {"polygons", "lines"}, optional
        Which layers are looked for; an empty one of unknown kind is taken for this.

    Raises
    ------
    SceneError
        The file cannot be read, holds neither polygons nor lines or several such layers, or has no CRS.
    """
    found = vector_layer(Path(path), name, kind)
    if found.crs is None:
        raise SceneError(
            f"layer {path}",
            "has no CRS, so nobody knows where it lies and how long a metre is",
            f"say which it is: ogr2ogr -a_srs EPSG:32633 fixed.gpkg {Path(path).name}",
        )
    try:
        crs = CRS.from_user_input(found.crs)
    except CRSError as error:
        raise SceneError(f"layer {path}", "its CRS is not known to PROJ", "write it with another") from error
    return Layer(Path(path), found.name, found.kind, crs, found.box, found.count, crs)


def ground_around(longitude: float, latitude: float) -> CRS:
    """Equal-area CRS in metres around a place given in degrees."""
    return CRS.from_user_input(
        f"+proj=laea +lon_0={longitude:.6f} +lat_0={latitude:.6f} +datum=WGS84 +units=m +no_defs"
    )


def _padded(box: Box) -> Box:
    """One percent and a metre wider: straight borders are bent by another projection."""
    left, bottom, right, top = box
    margin = 1 + 0.01 * max(right - left, top - bottom)
    return left - margin, bottom - margin, right + margin, top + margin


def _clipped(geometry: np.ndarray, area: Any, dimensions: int) -> np.ndarray:
    """Return what lies in an area, empty where nothing of the same dimension does."""
    shapely.prepare(area)
    crossing = ~shapely.contains_properly(area, geometry)
    clipped = geometry.copy()
    clipped[crossing] = [
        _of_dimension(part, dimensions) for part in shapely.intersection(geometry[crossing], area)
    ]
    return clipped


def _of_dimension(geometry: Any, dimensions: int) -> Any:
    """Drop the points and lines where an object only touches the area."""
    if geometry.geom_type != "GeometryCollection":
        return geometry
    parts = shapely.get_parts(geometry)
    return shapely.union_all(parts[shapely.get_dimensions(parts) == dimensions])
