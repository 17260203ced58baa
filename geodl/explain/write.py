"""The folder of an explanation: rasters, pictures and figures, complete or not at all."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from geodl.errors import ProductError
from geodl.explain.bars import draw_bands
from geodl.explain.overview import draw_overview
from geodl.explain.result import Explanation
from geodl.publish.cog import write_cog
from geodl.publish.product import Product, read_manifest, safe_name, stage

KIND = "explanation"
FIGURES = "explain.json"
ATTRIBUTIONS, GRAD_CAM, CLASSES = "attributions.tif", "grad_cam.tif", "class.tif"
OVERVIEW, BANDS = "overview.png", "bands.png"


@contextmanager
def explanation_folder(out: str | Path, inputs: Iterable[str | Path] = ()) -> Iterator[Product]:
    """Open the folder for writing, before anything is computed; an older explanation is replaced.

    Parameters
    ----------
    out : str or Path
    inputs : iterable of paths
        Files that must not be replaced.

    Raises
    ------
    ProductError
        The folder cannot be written, holds something else, or another process writes it.
    """
    final = Path(out).resolve()
    manifest = read_manifest(final)
    if manifest is not None and manifest.get("kind") != KIND:
        raise ProductError(
            str(out), "holds a product of another kind, not an explanation", "choose another --out"
        )
    if not final.name or safe_name(final.name) != final.name:
        raise ProductError(str(out), "this name cannot be given to a folder", "choose another --out")
    with stage(final.parent, final.name, inputs=inputs) as product:
        yield product


def fill_folder(product: Product, found: Explanation) -> Path:
    """Write an explanation into its folder and put that in place.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ProductError
        A file cannot be written.
    """
    tags = {"GEODL_MODEL": found.model, "GEODL_MODEL_SHA256": found.model_hash, "GEODL_SCENE": found.scene}
    described = {**tags, "GEODL_EXPLAINED_CLASS": found.class_name, "GEODL_EXPLAINED_PLACE": found.where}
    write_cog(found.attributions, product.path(ATTRIBUTIONS), tags=described)
    if found.grad_cam is not None:
        write_cog(found.grad_cam, product.path(GRAD_CAM), tags=described)
    write_cog(found.classes, product.path(CLASSES), tags=tags)
    draw_overview(found, product.path(OVERVIEW))
    draw_bands(found, product.path(BANDS))
    figures = {**found.as_dict(), "versions": _versions()}
    text = json.dumps(figures, indent=2, ensure_ascii=False, allow_nan=False)
    product.path(FIGURES).write_text(text + "\n", encoding="utf-8")
    return product.commit(_manifest(found))


def write_explanation(found: Explanation, out: str | Path) -> Path:
    """Write an explanation as a folder.

    It holds ``explain.json``, ``overview.png``, ``bands.png``, and as COGs ``attributions.tif`` (one band per
    band of the model), ``grad_cam.tif`` (where the network has a layer for it) and ``class.tif``.

    Raises
    ------
    ProductError
        The folder cannot be written, or holds something else than an explanation.
    """
    with explanation_folder(out) as product:
        return fill_folder(product, found)


def _manifest(found: Explanation) -> dict[str, Any]:
    return {
        "kind": KIND,
        "scene": found.scene,
        "model": {"name": found.model, "hash": found.model_hash},
        "class": found.class_name,
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("geodl", "torch", "captum")}
