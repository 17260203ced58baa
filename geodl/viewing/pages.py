"""The pages that the server makes: all products, and the map of one."""

from collections.abc import Collection, Iterable
from urllib.parse import quote

from geodl.look.templates import data_block, script, templates
from geodl.page import REPORT_FILE
from geodl.publish.stac import THUMBNAIL
from geodl.task import TASKS
from geodl.viewing.catalogue import ShownProduct
from geodl.viewing.map_data import MapData
from geodl.viewing.tiles import levels_of


def address(product: ShownProduct, *parts: str) -> str:
    """Return where something of a product is served."""
    return "/".join(["/p", quote(product.name, safe=""), *(quote(part, safe="") for part in parts)])


def start_page(products: Iterable[ShownProduct]) -> tuple[str, str]:
    """Return the list of all products, and the policy that it is served under."""
    rows = [
        {
            "name": product.name,
            "task": title_of(product),
            "model": product.maker("name"),
            "map": f"{address(product)}/",
            "picture": address(product, "files", THUMBNAIL) if product.file(THUMBNAIL) else "",
        }
        for product in products
    ]
    text = templates("geodl.viewing").get_template("start.html").render(rows=rows)
    return text, "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'"


def map_page(
    product: ShownProduct, data: MapData, pictures: dict[str, str], layers: Collection[str]
) -> tuple[str, str]:
    """Return the map of a product with tiles of its rasters, and the policy that it is served under.

    Parameters
    ----------
    product : ShownProduct
    data : MapData
    pictures : dict
        The reduced scenes as data URIs, by label.
    layers : collection of str
        Which of the scene's labels, ``class`` and ``confidence`` there are tiles of.
    """
    code, policy = script("geodl.page", "map.js")
    tiles = {
        "url": address(product, "tiles"),
        "layers": sorted(layers),
        "levels": levels_of((data.height, data.width)),
    }
    text = (
        templates("geodl.viewing", "geodl.page")
        .get_template("product.html")
        .render(
            name=product.name,
            task=title_of(product),
            data=data_block({**data.model_dump(mode="json"), "tiles": tiles}),
            map=data,
            shown=[c for c in data.classes if not c.clear],
            objects=any(c.clear for c in data.classes),
            images=[({"label": base.id, "title": base.name}, pictures[base.id]) for base in data.bases],
            script=code,
            reduced="scene" not in layers and "after" not in layers and data.factor > 1,
            report=address(product, REPORT_FILE),
            files=[(name, address(product, "files", name)) for name in product.listed],
        )
    )
    return text, (
        f"default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; script-src {policy}; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def title_of(product: ShownProduct) -> str:
    """Say what a product shows."""
    task = TASKS.get(product.maker("task"))
    return "Map" if task is None else task.title
