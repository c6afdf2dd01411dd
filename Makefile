# What a person does with this repository. `make` alone lists it. Everything needs only Python 3.11 or later and the network
# once: the first target that needs them makes .venv and installs the exact versions of constraints.txt into it.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
# Two test workers with one numerical thread each: the same on every machine, and faster than threads that fight.
WORKERS ?= 2

export OMP_NUM_THREADS ?= 1
export RAY_USAGE_STATS_ENABLED := 0
# Settings of the caller's shell that would let other packages in.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

.DEFAULT_GOAL := help
.PHONY: help setup tools demo test slow check bench clean

help:  ## list these targets
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.installed  ## make .venv and install what running needs (a minute and a half plus downloads, 2.1 GB)

tools: .venv/.tools  ## setup, and what tests and checks need beside it

demo: setup  ## simulate a market, learn, evaluate offline, compare with the truth; ends with a report
	@if [ -f runs/demo/run.json ]; then echo "Removing the demo's last run."; rm -r runs/demo; fi
	-$(BIN)/slatelab data obd
	$(BIN)/slatelab demo --out runs/demo

test: tools  ## the fast tests
	$(BIN)/pytest -m "not slow and not gpu" -n $(WORKERS) --dist loadgroup -q

slow: tools  ## the statistical tests: coverage over thousands of seeds, whole runs
	$(BIN)/pytest -m "slow and not gpu" -n $(WORKERS) --dist loadgroup -q

check: tools  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: tools  ## measure speed
	$(BIN)/slatelab bench

clean:  ## remove .venv, runs and caches
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis runs *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# torch goes first and by its exact version: left to an open range, pip may weigh several builds of many hundred MB.
# setuptools goes with it so that building our own package needs no second download (--no-build-isolation).
.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  version=$$($(PYTHON) --version 2>/dev/null); \
	  echo "SlateLab needs Python 3.11 or later; '$(PYTHON)' is $${version:-not there}."; \
	  echo "Name another one, for example: make PYTHON=python3.12 $(or $(MAKECMDGOALS),setup)"; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version) and installing into it (a minute and a half, plus downloads) ..."
	@$(PYTHON) -m venv .venv
	@$(PIP) install -c constraints.txt torch setuptools
	@$(PIP) install -c constraints.txt --no-build-isolation -e '.[fast]'
	@touch $@
	@echo "Installed."

.venv/.tools: .venv/.installed
	@echo "Installing what tests and checks need ..."
	@$(PIP) install -c constraints.txt --no-build-isolation -e '.[fast,dev]'
	@touch $@
