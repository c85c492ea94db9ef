# `make demo` and `make test` do all the set-up they need; `make setup` alone builds .venv with the `crossmargin` command in it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-deps

.PHONY: setup setup-development demo serve test check lint types contracts unit clean

setup: $(VENV)/.runtime

setup-development: $(VENV)/.development

$(VENV)/.runtime: requirements/runtime.txt requirements/build.txt requirements/node.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes -r requirements/build.txt -r requirements/runtime.txt
	@if ! { command -v node && command -v npm; } >/dev/null 2>&1; then $(PIP) --require-hashes -r requirements/node.txt; fi
	$(PIP) --no-build-isolation --editable .
	@$(BIN)/python -m aggregator.cli.page_assets || true
	@touch $@

$(VENV)/.development: $(VENV)/.runtime requirements/development.txt
	$(PIP) --require-hashes -r requirements/development.txt
	@touch $@

# The main job: local chains with the real contracts, then the unified health of three very different owners.
demo: setup
	@$(BIN)/crossmargin localnet --demo

# The live service with its page, on the local network, whose market lives while it runs.
serve: setup
	@$(BIN)/crossmargin serve --local --activity

# Everything: style, types, import contracts and every test.
test: setup-development lint types contracts unit
	$(BIN)/pytest -m localnet

# The inner loop: all that needs no local chains.
check: setup-development lint types contracts unit

lint: setup-development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup-development
	$(BIN)/mypy

contracts: setup-development
	$(BIN)/lint-imports --no-cache

unit: setup-development
	$(BIN)/pytest -m "not localnet" -n 2

clean:
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
