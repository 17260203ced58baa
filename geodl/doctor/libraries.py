"""Python itself, and whether the libraries are there in the versions that geodl asks for."""

import platform
import re
import struct
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

import geodl
from geodl.doctor.finding import Check, Finding

if TYPE_CHECKING:
    from packaging.requirements import Requirement

OLDEST_PYTHON = (3, 11)
EXTRAS = {
    "monitor": "energy of GPUs and event files of trainings",
    "stac": "scenes of STAC catalogues",
    "onnx": "models in ONNX",
    "explain": "more ways to explain a map",
    "explore": "layers on a map to pan and zoom, in a notebook",
    "view": "geodl view",
    "cluster": "clusters with a queue, and several GPUs",
}
"""Extras that a user may want, and what for."""


def _python() -> Finding:
    bits = 8 * struct.calcsize("P")
    found = f"{platform.python_implementation()} {platform.python_version()}, {bits} bits, {sys.platform}"
    if sys.version_info < OLDEST_PYTHON or bits < 64:
        cure = f"install Python {'.'.join(map(str, OLDEST_PYTHON))} or later, of 64 bits"
        return Finding(name="python", state="fail", found=found, cure=cure)
    return Finding(name="python", state="ok", found=found)


def _geodl() -> Finding:
    found = f"{geodl.__version__} in {Path(geodl.__file__).parent}"
    try:
        installed = version("geodl")
    except PackageNotFoundError:
        cure = "pip install its wheel, or pip install -e . in its folder"
        return Finding(name="geodl", state="warn", found=f"{found}, not installed", cure=cure)
    if installed != geodl.__version__:
        cure = "pip install --force-reinstall --no-deps geodl"
        found = f"{found}, but the metadata say {installed}"
        return Finding(name="geodl", state="warn", found=found, cure=cure)
    return Finding(name="geodl", state="ok", found=found)


def _needed() -> Finding:
    wanting = _wanting("")
    if wanting:
        cure = f"pip install {' '.join(repr(str(row)) for row in wanting.values())}"
        return Finding(name="libraries", state="fail", found=_said(wanting), cure=cure)
    shown = ("numpy", "xarray", "dask", "distributed", "zarr", "geopandas", "odc-geo")
    return Finding(name="libraries", state="ok", found=", ".join(f"{name} {version(name)}" for name in shown))


def _optional() -> list[Finding]:
    findings = []
    for extra, purpose in EXTRAS.items():
        wanting = _wanting(extra)
        found = f"not installed ({_said(wanting)}); for {purpose}" if wanting else "installed"
        cure = f"if you want it: pip install 'geodl[{extra}]'" if wanting else ""
        findings.append(Finding(name=f"extra {extra}", state="ok", found=found, cure=cure))
    return findings


def _said(wanting: "Mapping[str, Requirement]") -> str:
    return ", ".join(_found(name, asked) for name, asked in wanting.items())


def _found(name: str, asked: "Requirement") -> str:
    try:
        return f"{asked} is asked for, {version(name)} is there"
    except PackageNotFoundError:
        return f"{name} is missing"


def _wanting(extra: str) -> "dict[str, Requirement]":
    """Return what geodl, or an extra of it, asks for and does not find, by name."""
    from packaging.requirements import Requirement

    wanting: dict[str, Requirement] = {}
    for line in requires("geodl") or ():
        asked = Requirement(line)
        optional = bool(re.search(r"\bextra\b", line))
        if optional != bool(extra):
            continue
        if asked.marker is not None and not asked.marker.evaluate({"extra": extra}):
            continue
        try:
            fits = asked.specifier.contains(version(asked.name), prereleases=True)
        except PackageNotFoundError:
            fits = False
        if not fits:
            asked.marker = None
            wanting[asked.name] = asked
    return wanting


LIBRARIES: dict[str, Check] = {
    "python": _python,
    "geodl": _geodl,
    "libraries": _needed,
    "extras": _optional,
}
