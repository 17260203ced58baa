"""`geodl help`."""

import sys

import click

from geodl.cli.guide import pages, title_of
from geodl.errors import OptionError


@click.command("help")
@click.argument("page", required=False)
def show_help(page: str | None) -> None:
    """Read a page of the documentation here; without PAGE, list them.

    Where an error ends with "more: geodl help bands", this is the page it means. Nothing is fetched: the
    pages come with geodl.
    """
    known = pages()
    if page is None:
        width = max(map(len, known), default=0)
        for name, path in known.items():
            click.echo(f"{name:{width}}  {title_of(path)}")
        return
    if page not in known:
        raise OptionError(f"geodl help {page}", "there is no such page", f"read one of {', '.join(known)}")
    text = known[page].read_text(encoding="utf-8")
    if not sys.stdout.isatty():
        click.echo(text, nl=False)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(text))
