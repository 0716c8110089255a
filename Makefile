# make demo   simulate an acquisition, process it on this machine, write its report
# make test   everything that must hold: lint, types, tests
# make test-kills   kill the driver in every phase of every stage, and go on; EVERY=1: at each change of the disk
# make test-cluster   the same work through a real Slurm on this machine, and faults; as root
# All make their own environment in .venv; they need Python 3.11 or later and make, the last one Slurm too.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEMO ?= demo

.PHONY: help demo test test-kills test-cluster lint install clean

help:
	@sed -n 's/^# //p' $(MAKEFILE_LIST)

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@echo "Installing uemdask and its libraries (about 2 GB, PyTorch above all) in $(VENV):"
	@echo "two to ten minutes, by the network; once. pip says what it does."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable ".[formats,test]"
	@touch $@

demo: $(INSTALLED)
	@echo "The demo takes five to fifteen minutes on two cores, and says what it is at."
	$(BIN)/uemdask demo $(DEMO)

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

test: lint
	$(BIN)/pytest

test-kills: $(INSTALLED)
	UEMDASK_SWEEP=$(if $(EVERY),every) $(BIN)/pytest -m kills tests/execution

test-cluster: $(INSTALLED)
	$(BIN)/pytest --durations=0 tests/cluster

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
