# Two commands do everything: `make demo` shows the product, `make test` proves it.
# Needs make, python3 (3.11 to 3.14) and pip; all else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test sweep fix clean

demo: .venv/ready-train
	$(BIN)/torchskip demo

test: .venv/ready-dev
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/check

sweep: .venv/ready-dev
	$(BIN)/python -m pytest -m slow

fix: .venv/ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv

# `venv --without-pip` with `pip --python` works where Debian splits ensurepip into a package.
.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "torchskip needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv --without-pip .venv

.venv/ready-dev: pyproject.toml constraints.txt | .venv/bin/python
	$(PYTHON) -m pip --python $(BIN)/python install -q -c constraints.txt -e '.[dev]'
	touch .venv/ready-train $@

.venv/ready-train: pyproject.toml constraints.txt | .venv/bin/python
	$(PYTHON) -m pip --python $(BIN)/python install -q -c constraints.txt -e '.[train]'
	touch $@
