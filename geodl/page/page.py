"""The file ``report.html``: everything inside it, nothing fetched, one script whose hash its policy names."""

from pathlib import Path
from typing import Any

import numpy as np

from geodl.look.pictures import data_uri
from geodl.look.templates import data_block, script, templates
from geodl.page.content import content, limits
from geodl.page.folder import files_of
from geodl.page.measure import Measured, measure
from geodl.page.outlines import STEPS, Outlines, read_outlines
from geodl.page.picture import Picture, scene_pictures
from geodl.page.subject import Subject
from geodl.publish.files import writing
from geodl.publish.product import MANIFEST
from geodl.publish.qgis import RAMP
from geodl.publish.stac import ITEM, MODEL, THUMBNAIL
from geodl.task import NO_AFTER, NO_BEFORE
from geodl.vector.area import PixelAreas, measurable

REPORT_FILE = "report.html"
AROUND = 0  # value of what is no object of a task that looks for some
_PHOTOGRAPH = 85  # quality of the pictures of the scene as JPEG
# Written after this page; the entry for catalogues holds its hash.
_COMING = (
    (REPORT_FILE, "this page"),
    (ITEM, "entry for catalogues, with the hash of this page (STAC Item)"),
    (MODEL, "description of the model (STAC Item)"),
    (THUMBNAIL, "small picture of the map"),
    (MANIFEST, "names, sizes and hashes of all files, and their origin"),
)


def write_page(folder: Path, subject: Subject) -> Path:
    """Write the page of a product whose other files are finished.

    The page depends on the product alone: a rerun writes the same bytes.

    Parameters
    ----------
    folder : pathlib.Path
        Holds the other files.
    subject : Subject

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    ProductError
        The page cannot be written, or a finished block cannot be read.
    SceneError
        The scene cannot be read.
    """
    measured, pictures = measure(subject), scene_pictures(subject)
    vectors = folder / f"{subject.task.raster}.gpkg"
    outlines = read_outlines(vectors, subject.transform, subject.factor) if vectors.exists() else []
    path = folder / REPORT_FILE
    text = render(subject, measured, pictures, outlines, folder)
    with writing(path):
        path.write_bytes(text.encode())
    return path


def render(
    subject: Subject, measured: Measured, pictures: list[Picture], outlines: list[Outlines], folder: Path
) -> str:
    """Return the page as HTML."""
    code, policy = script("geodl.page", "map.js")
    coming = tuple(one for one in _COMING if "model" in subject.provenance or one[0] != MODEL)
    data = map_data(subject, pictures, outlines)
    return (
        templates("geodl.page")
        .get_template("report.html")
        .render(
            **content(subject, measured, pictures),
            script=code,
            scripts=policy,
            version=subject.provenance["geodl"],
            data=data_block(data),
            pictures_of_map=data,
            shown=[c for c in data["classes"] if not c["clear"]],
            objects=any(c["clear"] for c in data["classes"]),
            layers=data["vectors"],
            images=[(one, data_uri(one.pixels, photograph=True, quality=_PHOTOGRAPH)) for one in pictures],
            values=data_uri(packed(measured)),
            limits=limits(outlines),
            files=files_of(folder, subject.task, coming),
        )
    )


def map_data(subject: Subject, pictures: list[Picture], outlines: list[Outlines]) -> dict[str, Any]:
    """Return what the script of the map needs, as JSON can hold it; pixels are images in the page."""
    height, width = subject.shape
    return {
        "width": width,
        "height": height,
        "factor": subject.factor,
        "bases": [{"id": one.label, "name": one.title} for one in pictures],
        "classes": legend(subject),
        "confidence": "confidence" in subject.layers,
        "ramp": [color for _, color in RAMP],
        "vectors": [
            {"name": one.name, "kind": one.kind, "steps": STEPS, "paths": list(one.paths.items())}
            for one in outlines
        ],
        "metres": pixel_size(subject),
        "transform": list(subject.transform)[:6],
        "crs": "" if subject.crs is None else subject.crs.name,
    }


def legend(subject: Subject) -> list[dict[str, Any]]:
    """Classes as the map paints them: around objects, and where nothing changed, the map stays clear."""
    clear = () if subject.task.vectorizer == "polygons" else (AROUND,)
    return [
        {"value": c.value, "name": c.name, "color": c.color, "clear": c.value in clear,
         "gap": c.value in (NO_BEFORE, NO_AFTER)}
        for c in subject.legend
    ]  # fmt: skip


def packed(measured: Measured) -> np.ndarray:
    """Classes as red and percents of confidence as green of one lossless picture: the script reads them."""
    blue = np.zeros_like(measured.classes)
    return np.stack([measured.classes, measured.confidence, blue], axis=-1)


def pixel_size(subject: Subject) -> tuple[float, float] | None:
    """Width and height in metres of the pixel in the middle; None where they are not known."""
    if subject.crs is None or not measurable(subject.crs):
        return None
    height, width = subject.shape
    ground = PixelAreas(subject.crs, subject.transform, subject.shape)
    across, _, down = ground.metric(np.array([width / 2]), np.array([height / 2]))[:, 0]
    if not (np.isfinite([across, down]).all() and across > 0 and down > 0):
        return None
    return float(f"{across**0.5:.6g}"), float(f"{down**0.5:.6g}")
