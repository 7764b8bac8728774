# Every target sets up what it needs: a virtual environment in .venv, installed from constraints.txt once.
# A second run installs nothing and works offline. PYTHON picks the interpreter the environment is made from.

PYTHON ?= python3
GPU_PYTHON ?= $(PYTHON)
JOBS ?= 2

VENV := .venv
PY := $(VENV)/bin/python
# The stamp's name carries what was installed and where; it changes when either does, and pip then only adds what is missing.
STAMP := $(VENV)/.installed-$(shell (pwd; cat constraints.txt pyproject.toml) | cksum | tr ' \t' '--')

.DEFAULT_GOAL := help
.PHONY: help setup demo test pytest lint bench bench-kernels gpu mutate warmup wheel clean distclean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-22s %s\n", $$1, $$2 }'

setup: $(STAMP) ## the virtual environment .venv with everything the other targets need

demo: $(STAMP) ## add noise to a photograph, restore it, print the table, write the side-by-side picture to demo/
	$(VENV)/bin/imrestore demo -o demo

# Types are checked beside the first tests, which leave a core idle now and then: half a minute less than before them.
test: $(STAMP) ## lint, type check, all tests
	@$(MAKE) --no-print-directory -j2 lint pytest

# The tests start some two hundred interpreters, each of which compiles our modules for 0.2 s where it may not keep the bytecode.
pytest: $(STAMP) ## the tests alone
	PYTHONDONTWRITEBYTECODE= $(PY) -m pytest -n $(JOBS) --dist worksteal

lint: $(STAMP) ## ruff and mypy
	$(PY) -m ruff check .
	$(PY) -m mypy

bench: $(STAMP) ## every goal side by side with OpenCV, scipy and scikit-image; JSON in benches/results/
	$(PY) -m benches $(BENCH)

bench-kernels: $(STAMP) ## single kernels with pytest-benchmark: --benchmark-autosave, --benchmark-compare-fail=median:10%
	$(PY) -m pytest benches/test_kernels_bench.py $(BENCH)

# On a GPU machine whose own Python has CuPy nothing is installed; elsewhere the environment is made. The tests of the
# documentation have nothing to say about a GPU and need numpydoc, which such a Python may lack.
gpu: ## the tests that need a CUDA device, with skips turned into failures
	@if $(GPU_PYTHON) -c 'import cupy, numba, hypothesis, pytest' 2>/dev/null; then python=$(GPU_PYTHON); \
	else $(MAKE) --no-print-directory setup && python=$(PY); fi; \
	set -x; PYTHONPATH=.:kernels $$python -m pytest tests -m gpu --require-gpu --ignore tests/test_docs.py

mutate: $(STAMP) ## break kernel lines one by one and report the ones no test notices
	$(PY) tests/mutate.py

warmup: $(STAMP) ## compile every CPU kernel into the cache
	$(VENV)/bin/imrestore warmup

wheel: $(STAMP) ## wheel and sdist into dist/
	$(PY) -m build --no-isolation --sdist --wheel

clean: ## what the targets made, except .venv and benches/results
	rm -rf demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## clean, and .venv too
	rm -rf $(VENV)

# Bytecode is made of what is imported, when it is: of all modules that torch and the others bring it takes a minute.
# A half-made environment is finished; one that cannot run, or runs a Python that is too old, is made anew.
$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "imrestore needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	@$(PY) -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@echo 'Installing into $(VENV) from constraints.txt: once, a minute or two.'
	$(PY) -m pip install -qq --no-compile --constraint constraints.txt torch==2.13.0
	$(PY) -m pip install -qq --no-compile --constraint constraints.txt hatchling
	$(PY) -m pip install -qq --no-compile --constraint constraints.txt --no-build-isolation \
		--editable '.[learned,cuda12,dask,tiff,test,bench]'
	@rm -f $(VENV)/.installed-*
	@touch $@
