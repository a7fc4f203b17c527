# Two commands set everything up on a fresh machine: `make demo` and `make test`.
# Both need Python >= 3.11 and a C compiler; everything else comes from PyPI.

PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3 python; do \
  command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null \
  && { echo $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= auto

.PHONY: demo test lint types layers unit bench clean venv

$(VENV)/.installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "smelt needs Python >= 3.11 (set PYTHON=...)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch $@

venv: $(VENV)/.installed

demo: venv
	$(BIN)/python examples/variants/demo.py

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: venv
	$(BIN)/basedpyright --pythonpath $(BIN)/python --level error

layers: venv
	$(BIN)/lint-imports

unit: venv
	$(BIN)/python -m pytest -n $(JOBS)

test: lint types layers unit

bench: venv
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) .smelt-demo .smelt-twice
