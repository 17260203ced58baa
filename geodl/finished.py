"""A product read back: rasters and layers of the folder that a run left, for xarray and geopandas."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from geodl.errors import ProductError
from geodl.models.page import legend, table
from geodl.models.spec import NODATA_CLASS, ClassSpec, flag_attributes
from geodl.publish import read_manifest
from geodl.publish.files import sha256
from geodl.publish.stac import THUMBNAIL
from geodl.scene import open_scene
from geodl.task import TASKS
from geodl.vector import with_legend
from geodl.vector.source import class_raster

if TYPE_CHECKING:
    import geopandas

_SQLITE = b"SQLite format 3\0"
_MAX_PICTURE = 2**21  # bytes


def open_product(folder: str | Path) -> "FinishedProduct":
    """Open a folder that `geodl predict` or `geodl run` published.

    Parameters
    ----------
    folder : str or Path
        The folder of one scene, with its ``manifest.json``.

    Returns
    -------
    FinishedProduct
        Nothing but the manifest is read before it is asked for.

    Raises
    ------
    ProductError
        The folder holds no complete product.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    try:
        whole = manifest is not None and _maker(manifest)["task"] in TASKS
        names = tuple(str(row["path"]) for row in manifest["files"]) if manifest and whole else ()
    except (LookupError, TypeError):
        whole = False
    if not whole or manifest is None or any(Path(name).name != name for name in names):
        raise ProductError(
            f"folder {folder}",
            "holds no complete product of geodl",
            "give the folder of a scene that `geodl predict` wrote",
        )
    return FinishedProduct(folder=folder.absolute(), manifest=manifest)


@dataclass(frozen=True, kw_only=True)
class FinishedProduct:
    """A published product; `open_product` makes one.

    Parameters
    ----------
    folder : Path
        Where it lies.
    manifest : dict
        The content of ``manifest.json``: inputs, model, options, versions and files.
    """

    folder: Path
    manifest: dict[str, Any]

    @property
    def files(self) -> list[Path]:
        """Its files, by name."""
        return [self.folder / row["path"] for row in self.manifest["files"]]

    @property
    def classes(self) -> tuple[ClassSpec, ...]:
        """Classes of the map; none where the product has no map."""
        return () if self._map is None else tuple(class_raster(self._map).classes)

    @cached_property
    def rasters(self) -> xr.Dataset:
        """All rasters as `geodl.predict` returns them, lazily.

        ``class`` (uint8, 255 = no data) and the others (float32, 0 to 1, NaN = no data), dims (y, x);
        ``probability`` with dims (class_name, y, x).
        """
        variables = {}
        if self._map is not None:
            variables["class"] = _classes(_opened(self._map), self.classes, TASKS[self._task].title)
        for path in self.files:
            if path.suffix == ".tif" and path != self._map:
                variables[path.stem] = _fractions(_opened(path), path.stem)
        maker = _maker(self.manifest)
        made = {"model": maker["name"], "model_hash": maker["hash"]} if "model" in self.manifest else {}
        attributes = {"Conventions": "CF-1.11", **(made or {"method": maker["name"]})}
        return xr.Dataset(variables, attrs=attributes)

    @cached_property
    def vectors(self) -> "Mapping[str, geopandas.GeoDataFrame]":
        """Vector layers by name, the main one first; each is read when it is asked for."""
        return _Layers(self)

    def check(self) -> None:
        """Compare every file with the checksum in the manifest.

        Raises
        ------
        ProductError
            Names the first file that is missing or was changed.
        """
        for row in self.manifest["files"]:
            path = self.folder / row["path"]
            if not path.is_file() or sha256(path) != row["sha256"]:
                cause = "was changed since it was written" if path.exists() else "is missing"
                raise ProductError(str(path), cause, "run geodl again")

    def __repr__(self) -> str:
        names = ", ".join(path.name for path in self.files)
        return f"<geodl product {self.folder.name}: {self._task} by {_maker(self.manifest)['name']}; {names}>"

    def _repr_html_(self) -> str:
        """Show it in a notebook."""
        scene, maker = self.manifest["scene"], _maker(self.manifest)
        kind = "model" if "model" in self.manifest else "method"
        rows = {
            "scene": f"{scene['name']}, {scene['shape'][1]} x {scene['shape'][0]} pixels",
            kind: f"{maker['name']} ({maker['hash'][:16]})" if "hash" in maker else maker["name"],
            "files": ", ".join(path.name for path in self.files),
            "folder": str(self.folder),
        }
        title = f"{TASKS[self._task].title}: {self.folder.name}"
        markup = {"classes": legend(self.classes)} if self.classes else {}
        return self._picture() + table(title, rows, markup)

    def _picture(self) -> str:
        path = self.folder / THUMBNAIL
        if not path.is_file() or path.stat().st_size > _MAX_PICTURE:
            return ""
        content = base64.b64encode(path.read_bytes()).decode()
        style = "max-width:16em;max-height:16em;image-rendering:pixelated"
        return f'<img alt="thumbnail of the map" style="{style}" src="data:image/png;base64,{content}">'

    @property
    def _task(self) -> str:
        return str(_maker(self.manifest)["task"])

    @property
    def _map(self) -> Path | None:
        name = f"{TASKS[self._task].raster}.tif"
        return next((path for path in self.files if path.name == name), None)


def _maker(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a manifest says of the model that made a map, or of the method that needed none."""
    maker: Mapping[str, Any] = manifest["model"] if "model" in manifest else manifest["method"]
    return maker


class _Layers(Mapping):
    """Layers of the GeoPackages of a product."""

    def __init__(self, product: FinishedProduct) -> None:
        import pyogrio

        self.colors = {c.name: c.color for c in product.classes}
        self.places: dict[str, Path] = {}
        for path in product.files:
            if path.suffix == ".gpkg" and _is_sqlite(path):
                kinds = pyogrio.list_layers(path)
                self.places |= {str(name): path for name, kind in kinds if kind is not None}

    def __getitem__(self, name: str) -> "geopandas.GeoDataFrame":
        import pyogrio

        return with_legend(pyogrio.read_dataframe(self.places[name], layer=name), self.colors)

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    def __repr__(self) -> str:
        return f"<layers {', '.join(self.places)}>"


def _is_sqlite(path: Path) -> bool:
    """Whether a file is what its name says, and nothing that leads GDAL elsewhere."""
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def _opened(path: Path) -> xr.DataArray:
    scene = open_scene(path)
    scene = scene.drop_vars([name for name in scene.coords if name not in ("band", "y", "x", "spatial_ref")])
    scene.encoding = {"grid_mapping": "spatial_ref"} if "spatial_ref" in scene.coords else {}
    return scene


def _classes(scene: xr.DataArray, classes: tuple[ClassSpec, ...], title: str) -> xr.DataArray:
    flags = flag_attributes(classes)
    flags["flag_values"] = np.array(flags["flag_values"], np.uint8)  # CF: of the type of the variable
    plane = scene.isel(band=0, drop=True)
    plane.attrs = {"long_name": title, "nodata": NODATA_CLASS, **flags}
    return plane


def _fractions(scene: xr.DataArray, name: str) -> xr.DataArray:
    # Floats, such as scores, are what they are; whole numbers are percents.
    percent = scene.dtype.kind != "f"
    values = scene.where(scene != NODATA_CLASS).astype("float32") * np.float32(0.01) if percent else scene
    values.attrs = {"long_name": name.replace("_", " "), "units": "1"}
    values.encoding = dict(scene.encoding)
    if scene.sizes["band"] == 1:
        return values.isel(band=0, drop=True)
    named = np.array([str(band) for band in scene.coords["band"].values], dtype=object)
    return values.assign_coords(band=named).rename(band="class_name")
