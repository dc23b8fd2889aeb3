# make demo: try it. make test: run the tests. make check: all that a change must pass. make docs: the site.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test long check format lint types arrows docs dist clean

demo: $(VENV)/.runtime
	$(BIN)/segdistill demo --out demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

# Tests of several seconds each: whole runs and studies, exports, runs that are killed; Ray's alone at the end.
long: $(VENV)/.dev
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile -m long --ignore tests/studies/test_cluster.py
	$(BIN)/python -m pytest -m long tests/studies/test_cluster.py

check: lint types arrows test long

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev
	$(BIN)/mypy

arrows: $(VENV)/.dev
	$(BIN)/python -m pytest tests/test_architecture.py

docs: $(VENV)/.dev
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/build_site.py

# Both distributions, in a small environment of their own.
dist:
	rm -rf dist build/dist
	$(PYTHON) -m venv build/dist
	build/dist/$(notdir $(BIN))/python -m pip install --quiet --disable-pip-version-check build twine
	build/dist/$(notdir $(BIN))/python -m build
	build/dist/$(notdir $(BIN))/python -m twine check --strict dist/*

clean:
	rm -rf $(VENV) demo runs build dist

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing pinned dependencies into $(VENV): about 5 GB, one to five minutes"
	$(PIP) --editable ".[study]"
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing pinned dependencies into $(VENV): about 5 GB, one to five minutes"
	$(PIP) --editable ".[dev]"
	touch $@ $(VENV)/.runtime
