"""What comes with geodl wherever it is installed: sample scenes to try commands on, and what it imports."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from click.testing import CliRunner

from geodl import shipped
from geodl.cli import main
from geodl.demo import sample_scenes
from geodl.errors import OptionError


def test_a_wheel_takes_its_own_scenes_and_a_checkout_those_beside_it(tmp_path, monkeypatch):
    checkout = Path(shipped.__file__).resolve().parents[1]
    assert sample_scenes() == checkout / "sample_scenes"
    monkeypatch.setattr(shipped, "_PACKAGE", tmp_path)
    with pytest.raises(OptionError, match="has no sample scenes: name a folder with --scenes"):
        sample_scenes()
    packed = tmp_path / "shipped" / "sample_scenes"
    packed.mkdir(parents=True)
    (packed / "a.tif").touch()
    assert sample_scenes() == packed


def test_scenes_and_truth_are_copied_and_nothing_is_overwritten(tmp_path):
    target = tmp_path / "scenes"
    done = CliRunner().invoke(main, ["demo", "--copy", str(target)])
    assert done.exit_code == 0, done.output
    for original in sample_scenes().rglob("*.tif"):
        assert (target / original.relative_to(sample_scenes())).read_bytes() == original.read_bytes()
    assert not list(target.rglob("*.py"))
    again = CliRunner().invoke(main, ["demo", "--copy", str(target)])
    assert again.exit_code == 2
    assert "name a folder that does not" in again.stderr


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    refused = CliRunner().invoke(main, ["demo", "--copy", str(tmp_path / "file" / "scenes")])
    assert refused.exit_code == 2
    assert "Not a directory" in refused.stderr


# Import name -> declared distribution that brings it along.
BROUGHT = {
    "google": "onnx",
    "markupsafe": "jinja2",
    "pydantic_core": "pydantic",
    "pynvml": "nvidia-ml-py",
    "torchvision": "torchgeo",
}


def distribution(requirement):
    return re.sub(r"[-_.]+", "-", re.split(r"[\s<>=!~;\[]", requirement)[0]).lower()


def imports(package):
    """Yield the top-level names that the modules of a package import, at their top or inside functions."""
    for module in package.rglob("*.py"):
        if "geodl_qgis" in module.parts:  # runs in QGIS, with nothing but what QGIS has
            continue
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                yield node.module.split(".")[0]


def test_every_library_that_geodl_imports_is_declared():
    package = Path(shipped.__file__).resolve().parent
    project = tomllib.loads((package.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = [
        *project["dependencies"],
        *(line for lines in project["optional-dependencies"].values() for line in lines),
    ]
    declared = set(map(distribution, listed))
    assert set(BROUGHT.values()) <= declared
    foreign = set(imports(package)) - set(sys.stdlib_module_names) - {"geodl"}
    assert len(foreign) > 20
    known = packages_distributions()
    for name in foreign - set(BROUGHT):
        assert {distribution(one) for one in known.get(name, [])} & declared, (
            f"{name} is not in pyproject.toml"
        )
