"""Build the documentation as a site: ``python docs/build.py FOLDER``; needs ``pip install 'geodl[docs]'``.

Pages are the Markdown files under ``docs/`` and three of the checkout's top. The reference is generated: the
command line from click, the Python names from their docstrings, the model cards from the bundled models. Any
broken link is an error.
"""

import importlib
import inspect
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import yaml

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
TOP = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
PAGES = "pages"
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)(#[^)\s]*)?\)")
_SECTION = re.compile(r"^([A-Z][A-Za-z ]+)\n-{3,}$", re.MULTILINE)


def assemble(folder: Path) -> Path:
    """Write all pages and ``mkdocs.yml`` into a folder, which is emptied first, and return the latter."""
    shutil.rmtree(folder, ignore_errors=True)
    pages = folder / PAGES
    for source in sorted(DOCS.rglob("*.md")):
        _copy(source, pages / source.relative_to(DOCS))
    for name in TOP:
        _copy(ROOT / name, pages / name)
    shutil.copytree(DOCS / "img", pages / "img")
    reference = pages / "reference"
    reference.mkdir()
    (reference / "cli.md").write_text(command_line(), encoding="utf-8")
    (reference / "python.md").write_text(public_names(), encoding="utf-8")
    (reference / "cards.md").write_text(cards(), encoding="utf-8")
    settings = yaml.safe_load((DOCS / "mkdocs.yml").read_text(encoding="utf-8"))
    _add_guides(settings["nav"], pages)
    written = folder / "mkdocs.yml"
    written.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return written


def build(folder: Path) -> Path:
    """Build the site in a folder and return that of its pages; a warning of mkdocs is an error."""
    settings = assemble(folder)
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(settings)]
    # Quiet would hide the warnings from --strict, too; the variable silences an advertisement.
    subprocess.run(command, check=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})
    return folder / "site"


def _copy(source: Path, target: Path) -> None:
    """Copy a page; links into the checkout that are no pages become plain text."""
    target.parent.mkdir(parents=True, exist_ok=True)

    def link(found: re.Match[str]) -> str:
        aim = (source.parent / found[1]).resolve()
        if aim.parent == ROOT and aim.name in TOP:
            page = aim.name
        elif aim.is_relative_to(DOCS):
            page = aim.relative_to(DOCS).as_posix()
        elif aim == ROOT / "README.md":
            page = "index.md"
        else:
            return found[0]
        here = source.parent.relative_to(DOCS) if source.is_relative_to(DOCS) else Path()
        return f"]({'../' * len(here.parts)}{page}{found[2] or ''})"

    target.write_text(_LINK.sub(link, source.read_text(encoding="utf-8")), encoding="utf-8")


def _add_guides(nav: list[dict[str, Any]], pages: Path) -> None:
    """Put the pages that the navigation does not name under Guides."""
    named = set(_files(nav))
    guides = [path.name for path in sorted(pages.glob("*.md")) if path.name not in named]
    next(part for part in nav if "Guides" in part)["Guides"] = guides


def _files(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    for part in nav if isinstance(nav, list) else nav.values() if isinstance(nav, dict) else ():
        yield from _files(part)


# --- the command line


def command_line() -> str:
    """Return the page of all commands: usage, what they do, options."""
    from geodl.cli import main

    return "# Command line\n\n" + "\n".join(_commands(main, "geodl", None))


def _commands(command: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent)
    yield f"## `{context.command_path}`\n"
    yield f"```text\n{context.get_usage().removeprefix('Usage: ')}\n```\n"
    yield f"{_prose(command.help or '')}\n"
    records = (parameter.get_help_record(context) for parameter in command.params)
    rows = [record for record in records if record is not None and record[1]]
    if rows:
        yield "| option | |\n| --- | --- |"
        yield from (f"| <code>{_cell(option)}</code> | {_cell(text)} |" for option, text in rows)
        yield ""
    if command.epilog:
        yield f"{_prose(command.epilog)}\n"
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None and not found.hidden:
                yield from _commands(found, child, context)


def _cell(text: str) -> str:
    plain = " ".join(text.split()).replace("<", "&lt;")
    return plain.replace("|", "&#124;").replace("*", "&#42;").replace("_", "&#95;")


def _prose(text: str) -> str:
    r"""Return a help text as Markdown; a paragraph after ``\b`` keeps its lines."""
    parts = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b"):
            parts.append("```text\n" + paragraph.removeprefix("\b").strip("\n") + "\n```")
        else:
            parts.append(paragraph.replace("<", "&lt;").replace("*", "\\*"))
    return "\n\n".join(parts)


# --- Python


def public_names() -> str:
    """Return the page of the names in ``geodl.__all__`` and of the errors, from their docstrings."""
    import geodl
    import geodl.errors

    parts = ["# Python\n", "What `import geodl` brings. Everything else may change without notice.\n"]
    names = [name for name in geodl.__all__ if name != "__version__"]
    parts += [_documented(f"geodl.{name}", getattr(geodl, name)) for name in names]
    parts.append("## Errors\n")
    for name, error in vars(importlib.import_module("geodl.errors")).items():
        if inspect.isclass(error):
            parts.append(_documented(f"geodl.errors.{name}", error, level=3))
    return "\n".join(parts)


def _documented(title: str, thing: Any, level: int = 2) -> str:
    signature = str(inspect.signature(thing)).replace("'", "")
    name = title.rsplit(".", 1)[1]
    head = f"{'#' * level} `{title}`\n\n```python\n{_wrapped(name, signature)}\n```\n\n"
    return head + _from_numpydoc(inspect.getdoc(thing) or "") + "\n"


def _wrapped(name: str, signature: str) -> str:
    if len(name + signature) <= 90:
        return name + signature
    inside, _, after = signature[1:].rpartition(")")
    arguments = re.split(r", (?![^\[(]*[\])])", inside)
    return f"{name}(\n" + "".join(f"    {argument},\n" for argument in arguments) + f"){after}"


def _from_numpydoc(text: str) -> str:
    """Return a numpy docstring as Markdown: its sections, and definition lists of their entries."""
    pieces = _SECTION.split(text)
    parts = [_inline(pieces[0].strip()), ""]
    for title, body in zip(pieces[1::2], pieces[2::2], strict=True):
        parts += [f"**{title}**", ""]
        if title == "Examples":
            parts += ["```python", body.strip(), "```", ""]
        elif title in ("Notes", "References"):
            parts += [_inline(body.strip()), ""]
        else:
            parts += [*_entries(body.strip("\n")), ""]
    return "\n".join(parts)


def _entries(body: str) -> Iterator[str]:
    for line in body.splitlines():
        if line and not line.startswith(" "):
            yield f"\n`{line}`"
            lead = ":   "
        elif line.strip():
            yield lead + _inline(line.strip())
            lead = "    "


def _inline(text: str) -> str:
    return re.sub(r"(?<!`)`([\w.]+)`(?!`)", r"`\1`", text.replace("``", "`")).replace("<", "&lt;")


# --- models


def cards() -> str:
    """Return the page of the bundled models, one card after the other."""
    from geodl.models.bundle import bundled_models
    from geodl.models.card import model_card

    texts = (re.sub(r"^(#+ )", r"#\1", model_card(spec), flags=re.MULTILINE) for spec in bundled_models())
    return "# Model cards\n\n" + "\n\n".join(texts)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/build.py FOLDER")
    print(build(Path(sys.argv[1])) / "index.html")
