# make sweep   sets up, then runs the sweep: `python -m platform.sweep`; its options: make sweep ARGS="--help"
# make test    sets up, then checks everything: ruff, mypy, import-linter, pytest
# make bench   sets up, then measures the platform beside other ways to do the same: minutes; make bench ARGS="cell startup"
# make docs    makes the tables of pieces again (README, docs/pieces.md), from their cards, and the site (mkdocs.yml)
# make golden  adds the identities of new pieces to tests/golden; refuses where a recorded one has changed
# make test-python PYTHON=python3.13  slow: sets up .venv-python3.13 and runs the tests of rooms that need no Ray with it
#
# Set-up makes .venv and installs the project and the versions of constraints.txt into it, once: it is done again
# when one of the files that it depends on changes. Another Python: make test PYTHON=python3.12

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
# a file's tests share its sweeps and storages
PYTEST = -q -n 2 --dist loadfile --no-loadscope-reorder
ROOMS = tests/test_*.py tests/experiment tests/method tests/reporting tests/stats tests/storage

# uv unpacks on all cores, a fifth of pip's time; where it cannot reach an index, pip does it. The indexes are pip's.
INDEX = index=$${PIP_INDEX_URL:-$$($(BIN)/pip config get global.index-url 2>/dev/null)}; \
  [ -z "$$index" ] || export UV_DEFAULT_INDEX="$$index"; [ -z "$$PIP_EXTRA_INDEX_URL" ] || export UV_INDEX="$$PIP_EXTRA_INDEX_URL";

.PHONY: sweep test test-python rooms bench golden docs
sweep: $(VENV)/installed
	@$(BIN)/python -m platform.sweep $(ARGS)

test: $(VENV)/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check -q
	$(BIN)/lint-imports --no-logo
	@echo "$(BIN)/mypy, beside the tests: alone it would leave a core idle for a minute"; \
	$(BIN)/mypy > $(VENV)/mypy.txt 2>&1 & types=$$!; \
	$(BIN)/pytest $(PYTEST); tests=$$?; \
	wait $$types; typed=$$?; cat $(VENV)/mypy.txt; exit $$((tests + typed))

test-python:
	@$(MAKE) rooms VENV=.venv-$(notdir $(PYTHON)) PYTHON=$(PYTHON)

rooms: $(VENV)/installed
	$(BIN)/python -m platform.sweep --version
	$(BIN)/pytest -q -n 2 --dist loadfile $(ROOMS)

bench: $(VENV)/installed
	@$(BIN)/python benchmarks/run.py $(ARGS)

docs: $(VENV)/installed
	@PYTHONPATH=. $(BIN)/python docs/tables.py
	@if [ -x $(BIN)/mkdocs ]; then \
	  NO_MKDOCS_2_WARNING=1 PYTHONPATH=. $(BIN)/mkdocs build --strict; \
	else echo "for the site:  $(BIN)/pip install -e '.[docs]' && make docs"; fi

golden: $(VENV)/installed
	@$(BIN)/python -m dfkd.testing.golden $(ARGS)

$(VENV)/installed: pyproject.toml constraints.txt platform/_start_up.py platform/_start_up.pth
	@$(PYTHON) -c 'import sys; v = "%d.%d" % sys.version_info[:2]; \
	  sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, $(PYTHON) is " + v + ": make PYTHON=...")'
	@echo "Setting up $(VENV), once: a minute or two, some gigabytes"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt uv
	@$(INDEX) $(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[dev]' || \
	  $(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@$(BIN)/python -m compileall -qq dfkd platform
	@touch $@
