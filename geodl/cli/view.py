"""`geodl view`."""

from pathlib import Path

import click


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="0: any free one.")
@click.option("--no-browser", is_flag=True, help="Only tell the address.")
@click.option("--scenes", type=click.Path(path_type=Path, file_okay=False, exists=True),
              help="Folder of the scenes, to see every pixel of them.")  # fmt: skip
def view(folder: Path, port: int, no_browser: bool, scenes: Path | None) -> None:
    """Look at the products in DIR in a browser: one product, or all of a batch.

    A server on this machine, for this machine alone, gives the browser tiles of the rasters, so that maps of
    any size pan and zoom. Ctrl+C ends it.
    """
    import webbrowser
    from contextlib import suppress

    from geodl.viewing.catalogue import find_products
    from geodl.viewing.server import Server

    with Server(find_products(folder), port=port, scenes=scenes) as server:
        click.echo(server.url)
        if not no_browser:
            webbrowser.open(server.url)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
