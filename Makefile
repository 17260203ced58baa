# Two commands do everything on a machine with Python >= 3.11, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
STAMP_TEST := $(VENV)/.installed-test

# The Python for which the system packages QGIS.
QGIS_PYTHON ?= /usr/bin/python3

.PHONY: demo test test-qgis lint bench slow plugin wheel docs clean

demo: $(STAMP)
	$(BIN)/geodl demo --out demo

test: $(STAMP_TEST)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

# Projects, styles and the plugin in real QGIS. Where QGIS is missing, it is installed first: Debian and Ubuntu
# only (apt-get), as root or with sudo, about 1 GB.
test-qgis: $(STAMP_TEST)
	@$(QGIS_PYTHON) -c 'import qgis.core' 2>/dev/null || { \
	  command -v apt-get >/dev/null || { echo 'no apt-get here: install QGIS for Python, and name that Python: make test-qgis QGIS_PYTHON=...'; exit 1; }; \
	  [ "$$(id -u)" = 0 ] && root= || root=sudo; \
	  echo 'QGIS is missing: installing the package python3-qgis'; \
	  $$root apt-get update -q && $$root apt-get install -q -y --no-install-recommends python3-qgis; }
	$(QGIS_PYTHON) -c 'import qgis.core'
	GEODL_QGIS_PYTHON=$(QGIS_PYTHON) $(BIN)/python -m pytest -m qgis tests

slow: $(STAMP_TEST)
	$(BIN)/python -m pytest -m slow

bench: $(STAMP_TEST)
	$(BIN)/python -m pytest -m benchmark -s

# For QGIS: Plugins > Manage and Install Plugins > Install from ZIP.
plugin: $(STAMP)
	$(BIN)/python -m geodl.plugin geodl-qgis.zip

# What is published: built, checked, installed into a fresh environment, and the demo run there without a network.
wheel: $(STAMP_TEST)
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/python -m twine check --strict dist/*
	GEODL_WHEEL=$$(echo dist/*.whl) $(BIN)/python -m pytest -m slow tests/test_wheel.py

# The documentation as a site, build/docs/site/index.html; a broken link is an error.
docs: $(STAMP_TEST)
	$(BIN)/python docs/build.py build/docs

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "geodl needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)

$(STAMP): $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e .
	touch $@

$(STAMP_TEST): $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[test]'
	touch $@ $(STAMP)

clean:
	rm -rf $(VENV) demo build dist geodl-qgis.zip *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
