# make demo   simulate an acquisition, process it on this machine, write its report
# make test   everything that must hold: lint, types, tests; JOBS=8: as many processes, 2 by default
# make test-fast   for daily work, three minutes at most on two cores: no pipelines, trainings, process
#   groups or browser
# make test-kills   kill the driver in every phase of every stage, and go on; EVERY=1: at each change of the disk
# make bench   how fast everything is, beside its limits: about 15 minutes on two idle cores; writes
#   docs/performance.md, and fails where a ratio is a fifth worse than there; ACCEPT=1 writes it all the same
# make test-cluster   the same work through a real Slurm on this machine, and faults; as root
# All make their own environment in .venv; they need Python 3.11 or later and make, the last one Slurm too.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEMO ?= demo
JOBS ?= 2
# A file of tests stays in one process, with what its tests share; each process has one thread.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS) --dist loadfile

.PHONY: help demo test test-fast test-kills test-cluster bench lint install clean

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
	$(PYTEST)

test-fast: $(INSTALLED)
	$(PYTEST) -m "not (slow or kills)"

test-kills: $(INSTALLED)
	UEMDASK_SWEEP=$(if $(EVERY),every) $(BIN)/pytest -m kills tests/execution

test-cluster: $(INSTALLED)
	$(BIN)/pytest --durations=0 tests/cluster

bench: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/performance.py $(if $(ACCEPT),--accept)

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
