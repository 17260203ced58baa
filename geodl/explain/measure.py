"""`explain`: the class of a place, explained by gradients, features and bands."""

from dataclasses import replace

import numpy as np
import torch
import xarray as xr
from torch import nn

from geodl.block import Job
from geodl.errors import OptionError
from geodl.explain.activation import grad_cam
from geodl.explain.gradients import captum_attr, integrated_gradients
from geodl.explain.image import as_seen
from geodl.explain.occlusion import Occluded, occlude_bands, probabilities
from geodl.explain.place import SIZE, Place, affine_of, crs_name, crs_of, pixel_at, place_of, window_in
from geodl.explain.rasters import Rasters
from geodl.explain.result import BandImportance, Explanation
from geodl.explain.subject import (
    Cut,
    back_to_scene,
    cut,
    mean_score,
    network_of,
    refuse_without_gradients,
)
from geodl.models.bundle import Model, load_model
from geodl.models.spec import ModelSpec
from geodl.predict import make_job
from geodl.scene.adopt import as_scene
from geodl.tiles import Window


def explain(
    scene: xr.DataArray,
    model: Model | str,
    *,
    at: tuple[float, float] | None = None,
    at_crs: str | None = None,
    window: tuple[int, int, int, int] | None = None,
    class_name: str | None = None,
    against: str | None = None,
    size: int = SIZE,
    device: str = "auto",
) -> Explanation:
    """Explain why a model gives a class to a place, or to the pixels of a window.

    What is found does not depend on `size`: the network gets all pixels that it looks at, as in a map.

    Parameters
    ----------
    scene : xarray.DataArray
        Dims (band, y, x), from `geodl.open_scene`.
    model : Model or str
        As for `geodl.predict`.
    at : tuple of float, optional
        x and y of the place, in the scene's coordinate system, or in `at_crs`.
    at_crs : str, optional
        Coordinate system of `at`, like ``"EPSG:4326"``; x is then the longitude.
    window : tuple of int, optional
        Instead of `at`: row, column, height and width in pixels. Of its pixels those are explained that are
        mapped as the class.
    class_name : str, optional
        Class to explain, by default the one the place is mapped as, or most pixels of the window.
    against : str, optional
        Another class: explains why the first one and not this one, by the difference of their scores.
    size : int
        Side of what is shown around, in pixels, at most 1024.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``.

    Returns
    -------
    Explanation

    Raises
    ------
    MismatchError
        Scene and model do not fit.
    ModelError
        The network gives no gradients.
    OptionError
        The place lies outside the scene or has no data, the class is unknown or not there, an option has a
        value that cannot be used, or captum is not installed.
    """
    captum_attr()  # refused before anything is read
    scene, model = as_scene(scene), load_model(model) if isinstance(model, str) else model
    spec = model.spec
    refuse_without_gradients(spec)
    asked = None if class_name is None else _number_of(spec, "--class", class_name)
    other = None if against is None else _number_of(spec, "--against", against)
    if (at is None) == (window is None):
        raise OptionError("--at, --window", "one of them says what is explained", "give the one or the other")
    target = window_in(scene, window) if window is not None else pixel_at(scene, at, at_crs)  # type: ignore[arg-type]
    job = make_job(scene, model, device=device, precision="fp32", tile=spec.tile)
    place = place_of(scene, spec, target, size)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False, deterministic=True):
        return _explain(scene, job, place, asked, other)


def _explain(
    scene: xr.DataArray, job: Job, place: Place, asked: int | None, other: int | None
) -> Explanation:
    spec, network = job.model.spec, network_of(job)
    near, around = cut(job, place.reach), cut(job, place.surround)
    valid = around.part(around.valid, place.view)
    chances = probabilities(network, around, place.view, spec.temperature)
    number, explained = _pixels(job, place, chances, valid, asked)
    if number == other:
        raise OptionError(
            f"--against {spec.classes[number].name}",
            "it is the class that is explained",
            "name another class",
        )
    near_score, wide_score = (
        mean_score(network, number, _over(explained, place.view, seen), against=other)
        for seen in (near, around)
    )
    gradients, completeness = integrated_gradients(near_score, near.inputs)
    attributions, inside = back_to_scene(gradients, place.reach, *job.scene.shape[1:])
    shown = _shown(attributions, inside, place.view)
    cam = grad_cam(wide_score, network, around.inputs, stride=spec.stride)
    occluded = occlude_bands(
        network, around, place.view, spec.temperature, number=number, explained=explained, valid=valid
    )
    image, image_bands = as_seen(scene, place.view)
    rasters = Rasters(scene=scene, view=place.view, valid=valid, class_name=spec.classes[number].name)
    return Explanation(
        scene=str(job.scene.name),
        model=spec.name,
        model_hash=job.model.hash,
        class_name=spec.classes[number].name,
        against=None if other is None else spec.classes[other].name,
        class_value=spec.classes[number].value,
        probability=float(chances[number][explained].mean()),
        baseline_probability=_of_means(network, near, place.target, spec, number),
        probabilities={
            item.name: float(plane[explained].mean())
            for item, plane in zip(spec.classes, chances, strict=True)
        },
        target=place.target,
        view=place.view,
        pixels=int(explained.sum()),
        coordinates=_middle(scene, place.target),
        crs=crs_name(crs_of(scene)),
        attributions=rasters.attributions(shown, spec.band_names),
        grad_cam=None if cam is None else rasters.grad_cam(around.part(cam[0], place.view)),
        grad_cam_layer=None if cam is None else cam[1],
        classes=rasters.classes(chances, spec),
        bands=_importance(spec, attributions, occluded),
        completeness=completeness,
        inside=_ratio(np.abs(shown).sum(), np.abs(attributions).sum()),
        reach=place.reach,
        exact=spec.stitch == "crop",
        legend=tuple(spec.classes),
        image=image,
        image_bands=image_bands,
        device=job.device,
    )


def _of_means(network: nn.Module, near: Cut, target: Window, spec: ModelSpec, number: int) -> float:
    """Probability of a class at the target where every band has its mean."""
    means = replace(near, inputs=torch.zeros_like(near.inputs))
    return float(probabilities(network, means, target, spec.temperature)[number].mean())


def _number_of(spec: ModelSpec, option: str, class_name: str) -> int:
    names = [item.name for item in spec.classes]
    if class_name not in names:
        raise OptionError(
            f"{option} {class_name}", f"model {spec.name} has no such class", f"use one of {', '.join(names)}"
        )
    return names.index(class_name)


def _pixels(
    job: Job, place: Place, chances: np.ndarray, valid: np.ndarray, asked: int | None
) -> tuple[int, np.ndarray]:
    """Choose the class, and those pixels of the view that are explained: bool, (height, width)."""
    inside = np.zeros_like(valid)
    inside[place.target.relative_to(place.view).slices] = True
    inside &= valid
    if not inside.any():
        raise OptionError(
            f"row {place.target.row}, column {place.target.col}",
            f"scene {job.scene.name} has no data there",
            "choose a place that holds data",
        )
    classes, names = chances.argmax(axis=0), [item.name for item in job.model.spec.classes]
    counts = np.bincount(classes[inside], minlength=len(names))
    number = int(counts.argmax()) if asked is None else asked
    if inside.sum() == 1:  # a single pixel may also be asked why it might be another class
        return number, inside
    if not counts[number]:
        there = ", ".join(names[i] for i in np.argsort(-counts, kind="stable") if counts[i])
        raise OptionError(
            f"--class {names[number]}",
            f"no pixel of the window is mapped as it; they are {there}",
            "choose one of these, or a single place with --at",
        )
    return number, inside & (classes == number)


def _over(explained: np.ndarray, view: Window, seen: Cut) -> np.ndarray:
    """Move a mask over the view onto what the network sees."""
    common = view.intersect(seen.window)
    mask = np.zeros_like(seen.valid)
    mask[common.relative_to(seen.window).slices] = explained[common.relative_to(view).slices]
    return mask


def _shown(attributions: np.ndarray, inside: Window, view: Window) -> np.ndarray:
    """Cut attributions to the view, 0 where the target does not depend on it: float32."""
    common = inside.intersect(view)
    shown = np.zeros((len(attributions), view.height, view.width), dtype=np.float32)
    to, at = common.relative_to(view).slices, common.relative_to(inside).slices
    shown[(slice(None), *to)] = attributions[(slice(None), *at)]
    return shown


def _importance(
    spec: ModelSpec, attributions: np.ndarray, occluded: list[Occluded]
) -> tuple[BandImportance, ...]:
    sizes, sums = np.abs(attributions).sum(axis=(1, 2)), attributions.sum(axis=(1, 2))
    return tuple(
        BandImportance(
            name=name,
            attribution=float(total),
            share=_ratio(size, sizes.sum()),
            drop=without.drop,
            changed_target=without.changed_target,
            changed_view=without.changed_view,
        )
        for name, total, size, without in zip(spec.band_names, sums, sizes, occluded, strict=True)
    )


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 1.0


def _middle(scene: xr.DataArray, target: Window) -> tuple[float, float]:
    x, y = affine_of(scene) @ (target.col + target.width / 2, target.row + target.height / 2)
    return float(x), float(y)
