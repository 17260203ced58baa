"""The scenes that models are measured on."""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from geodl.models.spec import TrainingSpec
from tests.benchmarks.objects.picture import Files, Picture, files_of
from tests.benchmarks.objects.sources import (
    DUBAI_PIXEL,
    dubai,
    fair,
    footprints_of_file,
    inria,
    massachusetts_roads,
    sample,
    vegas,
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A scene with its truth.

    Parameters
    ----------
    task : str
        ``buildings`` or ``roads``.
    folder : str
        Of its files below the folder of real data, or below the repository: models name what they have
        learnt from by it.
    build : callable
        Makes the picture, given the folder of real data.
    pixel : float
        Metres that the network gets to see a pixel.
    resample : bool
        Whether the scene's own pixels are of another size.
    file : str, optional
        Where others of the folder may be learnt from: the scene itself, below the folder of real data.
    """

    task: str
    folder: str
    build: Callable[[Path], Picture]
    pixel: float
    resample: bool = False
    file: str | None = None

    def files(self, data: Path, folder: Path) -> Files:
        """Write the files, unless they are there."""
        found = files_of(folder)
        if all(path.exists() for path in found):
            return found
        return self.build(data).write(folder)

    def is_in(self, training: TrainingSpec) -> bool:
        """Tell whether a model has learnt from here."""
        if self.file is not None:
            sources = [s for s in training.recipe.get("sources", []) if s.get("role") != "validation"]
            patterns = [s["scenes"] if isinstance(s["scenes"], list) else [s["scenes"]] for s in sources]
            return any(fnmatch(self.file, pattern) for some in patterns for pattern in some)
        return any(f"{name}/".startswith(f"{self.folder}/") for name in training.data)


def _sample(_: Path, task: str, name: str) -> Picture:
    return sample(task, name)


def _massachusetts_buildings(data: Path) -> Picture:
    folder = data / "buildings" / "massachusetts_geo"
    return footprints_of_file(folder / "22978945_15.tif", folder / "22978945_15.gpkg")


def _atlanta(data: Path) -> Picture:
    folder = data / "buildings" / "spacenet_samples"
    return footprints_of_file(
        folder / "SN4_Atlanta_nadir10_PS-RGBNIR_732701_3729639_clipped.tif",
        folder / "SN4_Atlanta_buildings_732701_3729639.geojson",
    )


MASSACHUSETTS = (
    "10978945_15", "16228945_15", "17578720_15", "18628795_15",
    "21328975_15", "23279080_15", "25828765_15", "26578795_15",
)  # fmt: skip
"""Tiles of Massachusetts that no model may learn from, from town and country all over the survey."""

PLACES: dict[str, Place] = {
    **{
        f"dubai-{tile}": Place(
            task="buildings",
            folder=f"landcover/dubai_vhr/tile_{tile}",
            build=partial(dubai, task="buildings", tile=tile),
            pixel=DUBAI_PIXEL["buildings"],
        )
        for tile in (3, 7)
    },
    **{
        place: Place(
            task="buildings",
            folder=f"buildings/fair_oam/{place}",
            build=partial(fair, place=place),
            pixel=0.3,
        )
        for place in ("zanzibar_tz", "kampala_ug", "nairobi_ke")
    },
    "inria": Place(task="buildings", folder="buildings/inria_crops", build=inria, pixel=0.3),
    "massachusetts-buildings": Place(
        task="buildings",
        folder="buildings/massachusetts_geo",
        build=_massachusetts_buildings,
        pixel=0.5,
        resample=True,
    ),
    "atlanta": Place(task="buildings", folder="buildings/spacenet_samples", build=_atlanta, pixel=0.5),
    **{
        f"generated-{task}-{year}": Place(
            task=task,
            folder="sample_scenes",
            build=partial(_sample, task=task, name=f"aerial_town_{year}"),
            pixel=0.5,
        )
        for task in ("buildings", "roads")
        for year in (2023, 2024)
    },
    **{
        f"massachusetts-{tile}": Place(
            task="roads",
            folder="roads/massachusetts_roads",
            build=partial(massachusetts_roads, tile=tile),
            pixel=1.0,
            file=f"roads/massachusetts_roads/images/{tile}.tif",
        )
        for tile in MASSACHUSETTS
    },
    "vegas": Place(
        task="roads",
        folder="roads/spacenet_samples",
        build=partial(vegas, grey=False),
        pixel=0.6,
        resample=True,
    ),
    "vegas-grey": Place(
        task="roads",
        folder="roads/spacenet_samples/PAN_AOI_2_Vegas_road_mask_input.tif",
        build=partial(vegas, grey=True),
        pixel=0.6,
        resample=True,
    ),
    **{
        f"dubai-{tile}-roads": Place(
            task="roads",
            folder=f"landcover/dubai_vhr/tile_{tile}",
            build=partial(dubai, task="roads", tile=tile),
            pixel=DUBAI_PIXEL["roads"],
        )
        for tile in (3, 7)
    },
}
"""By name; what lies in one folder is one place to a model that has learnt from it."""
