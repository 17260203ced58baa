"""Templates that escape every text: names of scenes and classes come from anywhere."""

import base64
import hashlib
import json
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from geodl.look.figures import fraction, percent


def templates(*packages: str) -> jinja2.Environment:
    """Return the templates in the folders ``look`` of some packages, with the style that all pages share.

    An unknown name in a template is an error rather than a hole in the page.
    """
    home = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader(package, "look") for package in (*packages, "geodl")]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    home.filters.update(fraction=fraction, percent=percent)
    return home


def script(package: str, name: str) -> tuple[Markup, str]:
    """Return a script of a package's folder ``look``, and the source by which a page's policy lets it run."""
    text = (resources.files(package) / "look" / name).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Markup(text), f"'sha256-{digest}'"  # noqa: S704 - our own file, as it is


def data_block(value: Any) -> Markup:
    r"""JSON for a ``<script type="application/json">``: no text in it can end the element.

    >>> data_block({"name": "</script>"})
    Markup('{"name":"\\u003c/script\\u003e"}')
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)  # noqa: S704 - the letters that end an element are gone
