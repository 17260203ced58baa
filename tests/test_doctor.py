"""`geodl doctor` finds what is broken, says the cure, and breaks with nothing."""

import builtins
import json
import os
import resource
import subprocess
import sys

import pytest
from click.testing import CliRunner

from geodl import doctor
from geodl.cli import main
from geodl.doctor import finding, libraries, machine, parts
from geodl.errors import ModelError


def state(findings):
    found = findings if isinstance(findings, list) else [findings]
    order = ("ok", "warn", "fail")
    return max((one.state for one in found), key=order.index)


def without(monkeypatch, *modules):
    """Make imports of modules fail, as if they were not installed."""
    real = builtins.__import__

    def absent(name, *rest, **options):
        if name.split(".")[0] in modules:
            raise ImportError(f"No module named {name!r}")
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", absent)


def test_this_installation_is_fit():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "geodl", "doctor", "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    content = json.loads(done.stdout)
    assert content["ok"], [row for row in content["findings"] if row["state"] == "fail"]
    assert done.returncode == 0
    assert spent.ru_utime - before.ru_utime < 10  # 3 on a machine that is not old
    names = {row["name"] for row in content["findings"]}
    assert {"python", "geodl", "torch", "gpu", "torchvision", "gdal", "proj", "models", "threads"} <= names
    assert {"memory", "libraries"} <= names


def test_a_failure_is_shown_with_its_cure(monkeypatch):
    def broken():
        raise ModelError("model x", "its weights are not those of its model.json", "install it again")

    monkeypatch.setattr(
        doctor, "CHECKS", {"models": broken, "crash": lambda: 1 / 0, "python": libraries._python}
    )
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[0].startswith("fail  models  model x: its weights are not")
    assert lines[1].strip() == "install it again"
    assert "ZeroDivisionError" in lines[2]
    assert lines[-2].startswith("ok    python")
    assert lines[-1] == "2 of 3 do not work"
    content = json.loads(CliRunner().invoke(main, ["doctor", "--json"]).output)
    assert [row["state"] for row in content["findings"]] == ["fail", "fail", "ok"]
    assert content["ok"] is False


@pytest.mark.parametrize(
    ("check", "module"),
    [
        ("torch", "torch"),
        ("gpu", "torch"),
        ("torchvision", "torchvision"),
        ("gdal", "rasterio"),
        ("gdal", "pyogrio"),
        ("proj", "pyproj"),
        ("memory", "psutil"),
    ],
)
def test_a_missing_library_is_a_failure_and_no_crash(monkeypatch, check, module):
    without(monkeypatch, module)
    (found,) = finding.examine(check, doctor.CHECKS[check])
    assert found.state == "fail"
    assert module in found.found
    assert found.cure


def test_missing_and_old_libraries_are_named(monkeypatch):
    lines = [
        "numpy>=999",
        "nobody-wrote-this>=1",
        "click",
        "rasterio<0.1; python_version<'3'",
        "x; extra == 'onnx'",
    ]
    monkeypatch.setattr(libraries, "requires", lambda name: lines)
    found = libraries._needed()
    assert found.state == "fail"
    assert "numpy>=999 is asked for" in found.found
    assert "nobody-wrote-this is missing" in found.found
    assert "rasterio" not in found.found
    assert found.cure == "pip install 'numpy>=999' 'nobody-wrote-this>=1'"
    extras = {row.name: row for row in libraries._optional()}
    assert "x is missing" in extras["extra onnx"].found
    assert extras["extra onnx"].state == "ok"
    assert extras["extra explain"].cure == ""


def test_old_python(monkeypatch):
    monkeypatch.setattr(libraries, "OLDEST_PYTHON", (99, 1))
    assert "Python 99.1" in libraries._python().cure


@pytest.mark.parametrize(
    ("driver", "built", "visible", "expected"),
    [
        (False, "13.0", None, "ok"),
        (True, None, None, "built for the processor only"),
        (True, "13.0", "", "hidden by CUDA_VISIBLE_DEVICES"),
        (True, "13.0", None, "cannot use it"),
    ],
)
def test_a_gpu_that_is_not_used(monkeypatch, driver, built, visible, expected):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", built)
    monkeypatch.setattr(parts.Path, "exists", lambda path: driver)
    monkeypatch.setattr(parts.shutil, "which", lambda name: None)
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = parts._gpu()
    assert expected in (found.state, *found.found.split(", ")) or expected in found.found
    assert (found.state == "warn") == driver


class FakeCard:
    """What `doctor` asks of ``torch.cuda``, of a machine with two cards."""

    total = 8.0

    def __init__(self, monkeypatch):
        import torch

        monkeypatch.setattr(torch, "cuda", self)
        self.sum = lambda: self.total
        real = torch.ones
        monkeypatch.setattr(torch, "ones", lambda *n, device=None: self if device == "cuda" else real(*n))

    def is_available(self):
        return True

    def device_count(self):
        return 2

    def get_device_name(self, number):
        return f"Card {number}"

    def mem_get_info(self):
        return 70e9, 80e9


@pytest.mark.parametrize(("total", "expected"), [(8.0, "ok"), (7.0, "fail"), (float("nan"), "fail")])
def test_a_gpu_that_computes_and_one_that_computes_nonsense(monkeypatch, total, expected):
    FakeCard(monkeypatch).total = total
    found = parts._gpu()
    assert found.state == expected
    assert found.found.startswith("Card 0, Card 1; 70.0 of 80.0 GB free")
    assert bool(found.cure) == (expected == "fail")


def test_a_gpu_that_breaks_is_a_failure_and_no_crash(monkeypatch):
    card = FakeCard(monkeypatch)

    def broken():
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nmore")

    card.sum = broken
    (found,) = finding.examine("gpu", parts._gpu)
    assert found.state == "fail"
    assert found.found.endswith("CUDA error: no kernel image is available for execution on the device")
    assert found.cure


def test_foreign_data_and_missing_drivers(monkeypatch):
    monkeypatch.setenv("PROJ_LIB", "/opt/other/share/proj")
    assert [(row.name, row.state) for row in parts._gdal()] == [("gdal", "ok"), ("PROJ_LIB", "warn")]
    monkeypatch.setattr(parts, "RASTER_DRIVERS", ("GTiff", "NoSuchDriver"))
    found = parts._gdal()[0]
    assert (found.state, found.found.endswith("without NoSuchDriver")) == ("fail", True)


def test_damaged_models_are_found(monkeypatch, tmp_path):
    from geodl.models import bundle

    monkeypatch.setattr(bundle, "BUNDLED", tmp_path)
    assert parts._models().found == "none is bundled"
    source = next(folder for folder in (bundle.Path(bundle.__file__).parent / "bundled").iterdir())
    copy = tmp_path / source.name
    copy.mkdir()
    for file in source.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert parts._models().state == "ok"
    weights = copy / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    (found,) = finding.examine("models", parts._models)
    assert found.state == "fail"
    assert source.name in found.found


@pytest.mark.parametrize(
    ("asked", "expected"),
    [(None, "ok"), ("4", "ok"), ("1", "warn"), ("9", "warn"), ("many", "warn"), ("0", "warn")],
)
def test_threads(monkeypatch, asked, expected):
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda pid: set(range(4)), raising=False)
    if asked is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert machine._threads().state == expected


def test_little_memory_and_disk(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    limit.write_text("1500000000\n")
    monkeypatch.setattr(machine, "_LIMITS", (str(limit), str(tmp_path / "none")))
    found = machine._memory()
    assert found.state == "warn"
    assert "of 1.5 GB" in found.found
    limit.write_text("max\n")
    monkeypatch.setattr(machine, "LITTLE_MEMORY", 0)
    assert machine._memory().state == "ok"
    monkeypatch.setattr(machine, "LITTLE_DISK", 1e18)
    assert [row.state for row in machine._disk()] == ["warn", "warn"]
