# Two commands for a newcomer: `make demo` and `make test`. Both set up .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
MSRC ?= ../shared/data/msrc
COCO ?= ../shared/data/coco

.PHONY: demo test gpu-test page-test wheel-test docs deploy recipes lint fuzz torture scale bench bench-gpu results clean

demo: $(STAMP)
	$(BIN)/weakseg demo --out runs/demo --overwrite

test: lint
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

gpu-test: $(STAMP)
	WEAKSEG_GPU=required $(BIN)/python -m pytest tests/gpu

page-test: $(STAMP)
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest tests/web/page_long.py

wheel-test: $(STAMP)
	$(BIN)/python -m pytest -s tests/base/test_wheel.py

docs: $(STAMP)
	$(BIN)/python -m sphinx -W --keep-going -q -b html -d runs/docs/.doctrees docs runs/docs/html
	@echo "docs: runs/docs/html/index.html"

deploy: $(STAMP)
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest tests/deploy/heads_long.py

recipes: $(STAMP)
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest --numprocesses 2 tests/all_recipes.py

fuzz: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python tests/hostile/fuzz.py 50000

torture: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python tests/torture.py

scale: $(STAMP)
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest tests/several_long.py
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest tests/pipeline/engines_long.py
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest tests/methods/faults_long.py
	$(BIN)/python benchmarks/engines.py
	$(BIN)/python benchmarks/scale.py

lint: $(STAMP)
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python benchmarks/ops.py
	$(BIN)/python benchmarks/stages.py
	$(BIN)/python benchmarks/wsgcn.py
	$(BIN)/python benchmarks/a2gnn.py
	$(BIN)/python benchmarks/group.py
	$(BIN)/python benchmarks/grm.py
	$(BIN)/python benchmarks/proposers.py

bench-gpu: $(STAMP)
	$(BIN)/python benchmarks/gpu.py

results: $(STAMP)
	$(BIN)/weakseg compare recipes/compare_msrc.yaml --out runs/compare_msrc --data.root $(MSRC)
	$(BIN)/weakseg compare recipes/ablation_msrc.yaml --out runs/compare_msrc --data.root $(MSRC)
	$(BIN)/weakseg run recipes/supervised_msrc.yaml --out runs/supervised_msrc --data.root $(MSRC)
	mkdir -p runs/msrc && cp -r $(MSRC)/. runs/msrc
	$(BIN)/weakseg data simulate --kind all --out runs/msrc/all.json --overwrite --data.root runs/msrc --data.format voc --data.train train --data.tags truth
	$(BIN)/weakseg compare recipes/labels_msrc.yaml --out runs/labels_msrc --data.root runs/msrc
	$(BIN)/weakseg compare recipes/labels_msrc.yaml --methods reference,reference-complete,tags,points,scribbles,boxes --segmenter --out runs/labels_msrc --data.root runs/msrc
	$(BIN)/weakseg compare recipes/layers_msrc.yaml --out runs/labels_msrc --data.root runs/msrc
	$(BIN)/weakseg compare recipes/boxes_coco88.yaml --out runs/boxes_coco88 --data.root $(COCO)

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "weakseg needs Python 3.11 or newer; name one with make PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) runs
