"""The documentation: what its pages say runs, and the site has no broken link.

In `docs/index.md`, `docs/tutorials` and `docs/howto` the blocks of a page run in order in one folder, beside
the sample scenes: ``bash`` line by line, ``python`` in one namespace; ``yaml title="NAME"`` becomes that
file. What is not meant to run (output, installation) is ``text`` or ``console``.
"""

import functools
import importlib.util
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from geodl.cli import main
from geodl.cli.examples import EXAMPLES

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [DOCS / "index.md", *sorted(DOCS.glob("tutorials/*.md")), *sorted(DOCS.glob("howto/*.md"))]
LONG = {"own-model.md", "change.md", "huge-scene.md", "bands.md"}  # which train, or map several scenes
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def site():
    """The module that builds the site."""
    spec = importlib.util.spec_from_file_location("docs_build", DOCS / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_line(line):
    """Run a command as a shell would: geodl in this process, where torch is loaded already."""
    words = shlex.split(line, comments=True)
    if words[:1] != ["geodl"]:
        shell = subprocess.run(["bash", "-euc", line], capture_output=True, text=True)
        assert shell.returncode == 0, f"{line}\n{shell.stderr}"
        return
    target = None
    if ">" in words:
        words, target = words[: words.index(">")], words[-1]
    done = CliRunner().invoke(main, words[1:])
    assert done.exit_code == 0, f"{line}\n{done.output}{done.stderr}\n{done.exception!r}"
    if target is not None:
        Path(target).write_text(done.stdout)


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.slow if page.name in LONG else ()) for page in PAGES],
    ids=[page.relative_to(DOCS).as_posix() for page in PAGES],
)
def test_what_a_page_says_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    programs = shutil.ignore_patterns("*.py", "__pycache__")
    shutil.copytree(ROOT / "sample_scenes", "sample_scenes", ignore=programs)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    names = {"__name__": "page"}
    for language, title, code in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "bash":
            for line in code.replace("\\\n", " ").splitlines():
                run_line(line)
        elif language == "python":
            exec(compile(code, str(page), "exec"), names)
        elif language == "yaml" and title:
            Path(title).write_text(code)


@pytest.mark.slow
def test_the_commands_for_a_cluster_run(tmp_path):
    """Those of the page that need several machines, with all of them on this one."""
    text = (DOCS / "howto" / "cluster.md").read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    here = {
        "10.0.0.5": "127.0.0.1",
        "8786": str(port),
        "--nworkers 4 --nthreads 4": "--nworkers 2 --nthreads 1",
    }
    lines = [line for kind, _, code in blocks if kind == "console" for line in code.splitlines()]
    scheduler, worker, run = (
        shlex.split(functools.reduce(lambda told, pair: told.replace(*pair), here.items(), line))
        for line in lines
        if line.startswith(("dask", "geodl"))
    )
    assert worker[:2] == ["dask", "worker"]
    (tmp_path / "workflow.yaml").write_text(
        next(code for _, title, code in blocks if title == "workflow.yaml")
    )
    (tmp_path / "scenes").mkdir()
    for name in ("s2_coast_2023", "s2_valley_2023"):
        shutil.copy(ROOT / "sample_scenes" / f"{name}.tif", tmp_path / "scenes")
    paths = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    options = {"cwd": tmp_path, "env": paths, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*scheduler, "--no-dashboard"], **options) as first:
        with subprocess.Popen([*worker, "--no-dashboard"], **options) as second:
            try:
                done = subprocess.run(
                    run, cwd=tmp_path, env=paths, capture_output=True, text=True, timeout=500
                )
            finally:
                second.terminate()
        first.terminate()
    assert done.returncode == 0, done.stderr
    outcome = json.loads((tmp_path / "maps" / "run.json").read_text())
    assert [scene["status"] for scene in outcome["scenes"]] == ["done", "done"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_blocks_are_of_known_kinds(page):
    text = page.read_text(encoding="utf-8")
    assert {kind for kind, _, _ in BLOCK.findall(text)} <= {"bash", "python", "yaml", "text", "console"}
    assert text.count("```") == 2 * len(BLOCK.findall(text)), "a block without a kind would not be run"


def test_the_contracts_name_tests_that_exist():
    text = (DOCS / "contracts.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:benchmarks/)?test_\w+\.py)`", text)
    assert len(named) >= 10
    assert [name for name in named if not (ROOT / "tests" / name).is_file()] == []


def test_the_site_has_no_broken_link_and_all_pages(site, tmp_path):
    pytest.importorskip("material", reason="needs pip install 'geodl[docs]'")
    built = site.build(tmp_path / "site")
    pages = {path.relative_to(built).with_suffix(".md").as_posix() for path in built.rglob("*.html")}
    assert {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")} <= pages
    assert not [p for p in built.rglob("*.html") if "fonts.googleapis" in p.read_text(encoding="utf-8")]


def test_the_reference_holds_every_command_option_and_public_name(site):
    import geodl

    text = site.command_line()
    for name, command in main.commands.items():
        assert f"## `geodl {name}`" in text
        for parameter in command.params:
            if parameter.param_type_name == "option" and not parameter.hidden:
                assert f"<code>{max(parameter.opts, key=len)}" in text
    names = site.public_names()
    for name in geodl.__all__:
        assert name == "__version__" or f"## `geodl.{name}`" in names
    assert "Traceback" not in names


def test_every_bundled_model_has_its_card(site):
    from geodl.models.bundle import bundled_models

    text = site.cards()
    assert all(spec.title in text for spec in bundled_models())


def test_a_broken_link_breaks_the_build(site, tmp_path, monkeypatch):
    pytest.importorskip("material", reason="needs pip install 'geodl[docs]'")
    copy = tmp_path / "docs"
    (copy / "img").mkdir(parents=True)
    shutil.copy(DOCS / "mkdocs.yml", copy)
    (copy / "index.md").write_text("# x\n\n[nowhere](missing.md)\n")
    monkeypatch.setattr(site, "DOCS", copy)
    with pytest.raises(subprocess.CalledProcessError):
        site.build(tmp_path / "site")


def commands_of(group, above=""):
    for name, command in group.commands.items():
        yield f"{above} {name}".strip(), command
        if isinstance(command, click.Group):
            yield from commands_of(command, f"{above} {name}".strip())


def test_every_command_has_an_example_that_it_accepts():
    commands = dict(commands_of(main))
    assert set(EXAMPLES) <= set(commands)
    assert {name for name in main.commands if name != "models"} <= set(EXAMPLES)
    for name, lines in EXAMPLES.items():
        for line in lines:
            assert line.startswith(f"geodl {name}")
            if "--init" in line:  # which prints at once
                continue
            commands[name].make_context(name, shlex.split(line)[1 + len(name.split()) :])


def test_help_shows_examples_line_by_line():
    shown = CliRunner().invoke(main, ["vectorize", "--help"]).output
    lines = [line.strip() for line in shown.splitlines()]
    assert [line for line in lines if line.startswith("geodl")] == list(EXAMPLES["vectorize"])
