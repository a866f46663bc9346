# Two commands matter: `make demo` and `make test`. Both do all of their set-up.
#   make demo ARGS=--once     train to the end without a browser
#   make demo DATA=DIR        train on a folder of annotated photographs (docs/data.md)
#   PIP_ARGS                  is handed to every pip install (an index of CPU builds of torch, a cache, …)
PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
ARGS ?=
DATA ?=
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt $(PIP_ARGS)

.PHONY: demo test check bench clean

demo: $(VENV)/.installed-demo
	$(BIN)/deepevent demo $(if $(DATA),--data $(DATA)) $(ARGS)

test: check $(VENV)/.system-packages
	$(PYTEST) --numprocesses auto --maxprocesses 4 --dist loadfile $(ARGS) || { test $$? = 1 && \
	  echo "Again, each alone (docs/decisions/0080-failed-tests-once-more.md): what passes now failed for want of time or by a race." && \
	  $(PYTEST) --last-failed --last-failed-no-failures none --maxfail 1 -v; }

check: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks $(ARGS)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "DeepEvent needs Python 3.11 or newer, and $(PYTHON) is older: name another with PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-demo: $(BIN)/python pyproject.toml constraints.txt
	$(PIP_INSTALL) --editable ".[server,train,sweep]"
	@touch $@

$(VENV)/.installed-test: $(BIN)/python pyproject.toml constraints.txt
	$(PIP_INSTALL) --editable ".[all,test]"
	@touch $@ $(VENV)/.installed-demo

# A browser, a database server and a proxy for the tests: taken as they are found, else from Debian.
$(VENV)/.system-packages: tests/system_packages.sh $(BIN)/python
	sh tests/system_packages.sh
	@touch $@

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
