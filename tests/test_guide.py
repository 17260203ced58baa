"""An error of the command line ends with a page that exists and helps, and `geodl help` shows it."""

import ast
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import click
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

import geodl
from geodl.cli import main
from geodl.cli.guide import BY_KIND, BY_OPTION, BY_SUBJECT, page_for, pages, title_of
from geodl.errors import GeodlError, MismatchError, OptionError, ProductError, RecipeError, SceneError
from tests.conftest import write_scene

PACKAGE = Path(geodl.__file__).parent


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def options_of(group):
    for command in group.commands.values():
        if isinstance(command, click.Group):
            yield from options_of(command)
        for parameter in command.params:
            yield from (name for name in parameter.opts if name.startswith("--"))


def raised(folder):
    """Yield the literal texts (what, cause, remedy) of all errors that the modules of geodl raise."""
    kinds = {kind.__name__: kind for kind in GeodlError.__subclasses__()}
    for module in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) in kinds and len(node.args) > 1:
                texts = ["".join(text_of(part)) for part in node.args[:3]]
                yield kinds[node.func.id](*texts)


def text_of(node):
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def test_every_page_of_the_tables_exists_and_has_a_title():
    known = pages()
    named = {*BY_OPTION.values(), *BY_SUBJECT.values(), *BY_KIND.values(), "damaged", "qgis"}
    assert named <= set(known)
    assert all(title_of(known[page]) != page for page in named)
    every = set((PACKAGE.parent / "docs").rglob("*.md"))
    assert {path.resolve() for path in known.values()} == every  # those of one name in two folders, too
    assert known["change"].parent.name == "docs"
    assert known["tutorial-change"].parent.name == "tutorials"


def test_every_option_of_the_table_is_one_of_the_command_line():
    assert set(BY_OPTION) <= set(options_of(main))


def test_most_errors_of_geodl_lead_to_a_page():
    found = [page_for(error) for error in raised(PACKAGE)]
    assert len(found) > 300
    assert {page for page in found if page is not None} <= set(pages())
    # The rest say all there is to say: a number out of its range, a file that does not exist.
    assert sum(page is not None for page in found) > 0.6 * len(found)


@pytest.mark.parametrize(
    ("error", "page"),
    [
        (
            MismatchError("scene a", "lacks nir", "name them with --bands, or the sensor with --sensor"),
            "bands",
        ),
        (MismatchError("scene a", "needs reflectance", "say how with --scale FACTOR"), "units"),
        (MismatchError("scene a", "pixels of 10 m", "read it with --resample 0.5"), "pixel-size"),
        (SceneError("scene a.tif", "has no CRS", "name it with --crs EPSG:..."), "georeference"),
        (SceneError("scene a.tif", "truncated", "get the file again"), "damaged"),
        (SceneError("labels a.gpkg", "no attribute 'x'", "name one of these"), "polygon-labels"),
        (OptionError("--memory 1GB", "model needs 3 GB", "allow that much"), "huge-scene"),
        (OptionError("--scheduler tcp://x", "no answer", "start one with 'dask scheduler'"), "cluster"),
        (OptionError("--device cuda", "nothing is computed there", "use --device cpu"), "gpu"),
        (ProductError("maps/a", "another run writes this product", "choose another --out"), "interrupted"),
        (ProductError("maps/a/map.qgz", "QGIS cannot hold that name", "rename it"), "qgis"),
        (RecipeError("recipe r.yaml", "line 3: unknown key", "mend the recipe"), "train"),
        (OptionError("geodl view", "needs rio-tiler", "pip install 'geodl[view]'"), "view"),
        (OptionError("geodl help x", "there is no such page", "read one of bands, qgis"), None),
    ],
)
def test_the_option_then_the_thing_then_the_kind_decide(error, page):
    assert page_for(error) == page


@pytest.fixture
def nameless(tmp_path):
    path = tmp_path / "nameless.tif"
    transform = rasterio.transform.from_origin(600000, 5300000, 10, 10)
    with rasterio.open(path, "w", driver="GTiff", width=64, height=64, count=6, dtype="uint16",
                       crs="EPSG:32632", transform=transform) as file:  # fmt: skip
        file.write(np.full((6, 64, 64), 900, np.uint16))
    return path


def test_errors_of_a_run_and_of_a_command_end_with_their_page(nameless, tmp_path):
    wrong_bands = run("predict", nameless, "--model", "landcover-s2", "--out", tmp_path / "maps")
    assert wrong_bands.exit_code == 1
    assert wrong_bands.stderr.endswith("\nmore: geodl help bands\n")
    truncated = write_scene(tmp_path / "cut.tif")
    truncated.write_bytes(truncated.read_bytes()[:400])
    assert run("info", truncated).stderr.endswith("\nmore: geodl help damaged\n")


def test_help_lists_and_prints_pages_as_they_are_written():
    listed = run("help")
    assert [line.split()[0] for line in listed.output.splitlines()] == list(pages())
    assert re.search(r"^bands +My bands are in another order$", listed.output, re.MULTILINE)
    assert run("help", "bands").output == pages()["bands"].read_text(encoding="utf-8")
    unknown = run("help", "horoscopes")
    assert unknown.exit_code == 2
    assert "read one of bands, " in unknown.output


def test_in_a_terminal_a_page_is_set_for_reading(monkeypatch):
    monkeypatch.setattr("geodl.cli.help.sys", SimpleNamespace(stdout=SimpleNamespace(isatty=lambda: True)))
    shown = run("help", "units").output
    assert "My numbers are no reflectance" in shown
    assert "# My numbers" not in shown
    assert "| ---" not in shown


def test_commands_are_listed_as_one_comes_to_need_them():
    told = run("--help").output
    order = [
        told.index(f"\n  {name} ") for name in ("demo", "info", "predict", "view", "train", "assess", "help")
    ]
    assert order == sorted(order)


def test_a_wheel_brings_its_own_pages(tmp_path, monkeypatch):
    from geodl import shipped

    monkeypatch.setattr(shipped, "_PACKAGE", tmp_path / "geodl")
    packed = tmp_path / "geodl" / "shipped" / "docs" / "howto"
    assert pages() == {}
    assert run("help").output == ""
    packed.mkdir(parents=True)
    shutil.copy(PACKAGE.parent / "docs" / "howto" / "bands.md", packed)
    assert pages() == {"bands": packed / "bands.md"}
