"""The pages of the documentation by name, and which of them helps with an error.

An error names the option that mends it, and the option decides the page; where it names none, the thing that
is wrong decides, and then the kind of the error.
"""

import re
from pathlib import Path

import click

from geodl.errors import GeodlError, MismatchError, ModelError, ProductError, RecipeError
from geodl.shipped import shipped

# Folders of pages, and what tells a page from one of the same name in a folder above.
_FOLDERS = {"howto": "", ".": "guide-", "tutorials": "tutorial-"}

BY_OPTION = {
    option: page
    for page, options in {
        "bands": ("--bands", "--sensor", "--stack", "--after-bands", "--after-sensor"),
        "units": ("--scale", "--after-scale"),
        "georeference": ("--crs", "--ungeoreferenced"),
        "pixel-size": ("--resample",),
        "polygon-labels": ("--mapping", "--attribute", "--labels"),
        "huge-scene": ("--memory", "--block", "--tile"),
        "cluster": ("--scheduler",),
        "gpu": ("--device", "--devices", "--precision"),
        "change": ("--coregister", "--normalise"),
        "damaged": ("--allow-sparse",),
        "interrupted": ("--out", "--restart", "--retry-failed"),
        "vectorize": ("--threshold", "--min-area", "--simplify", "--regularize", "--smooth"),
        "assess": ("--reference", "--confidence", "--area", "--boundary", "--iou", "--buffer", "--layer"),
        "view": ("--port",),
        "explain": ("--at", "--at-crs", "--against"),
    }.items()
    for option in options
}
"""Option that a remedy names -> page."""

BY_SUBJECT = {
    "labels": "polygon-labels",
    "points": "assess",
    "registration": "change",
    "normalisation": "change",
    "pair": "change",
    "pairs": "change",
    "layer": "vectorize",
    "workflow": "many-scenes",
    "item": "many-scenes",
    "training": "interrupted",
    "view": "view",
}
"""First word of what is wrong -> page."""

BY_KIND: dict[type[GeodlError], str] = {
    RecipeError: "train",
    ModelError: "models",
    MismatchError: "bands",
    ProductError: "interrupted",
}

_DAMAGED = re.compile(r"get (the file|it) again|the file is damaged")
_QGIS = re.compile(r"\bqgis", re.IGNORECASE)
_OPTION = re.compile(r"--[a-z][a-z-]*[a-z]")


def pages() -> dict[str, Path]:
    """Return the files of the documentation by the names that ``geodl help`` knows them by."""
    docs = shipped("docs")
    found: dict[str, Path] = {}
    for folder, prefix in _FOLDERS.items():
        for path in sorted((docs / folder).glob("*.md")):
            found[f"{prefix}{path.stem}" if path.stem in found else path.stem] = path
    return found


def title_of(path: Path) -> str:
    """Return the first heading of a page."""
    with path.open(encoding="utf-8") as lines:
        return next((line[2:].strip() for line in lines if line.startswith("# ")), path.stem)


def point_to_page(error: GeodlError) -> None:
    """Print where to read on, below the message of an error."""
    page = page_for(error)
    if page is not None:
        click.echo(f"more: geodl help {page}", err=True)


def page_for(error: GeodlError) -> str | None:
    """Return the name of the page that helps with an error, or None."""
    if _QGIS.search(f"{error.what} {error.cause}"):
        return "qgis"
    for option in _OPTION.findall(f"{error.remedy} {error.what}"):
        if option in BY_OPTION:
            return BY_OPTION[option]
    subject = error.what.removeprefix("geodl ").partition(" ")[0].rstrip(",:")
    if subject in BY_SUBJECT:
        return BY_SUBJECT[subject]
    if _DAMAGED.search(error.remedy):
        return "damaged"
    return BY_KIND.get(type(error))
