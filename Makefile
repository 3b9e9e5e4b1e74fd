# Two commands for a newcomer: `make demo` and `make test`. Both set up .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
MSRC ?= ../shared/data/msrc

.PHONY: demo test lint bench results clean

demo: $(STAMP)
	$(BIN)/weakseg demo --out runs/demo

test: lint
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python benchmarks/ops.py
	$(BIN)/python benchmarks/stages.py
	$(BIN)/python benchmarks/wsgcn.py

results: $(STAMP)
	$(BIN)/weakseg compare recipes/compare_msrc.yaml --out runs/compare_msrc --data.root $(MSRC)
	$(BIN)/weakseg compare recipes/ablation_msrc.yaml --out runs/compare_msrc --data.root $(MSRC)
	$(BIN)/weakseg run recipes/supervised_msrc.yaml --out runs/supervised_msrc --data.root $(MSRC)

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "weakseg needs Python 3.11 or newer; name one with make PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) runs
