# `make demo` and `make test` do all the set-up they need; `make setup` alone builds .venv with the `crossmargin` command.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-deps --require-hashes

.PHONY: setup setup-development demo test lint types contracts check-fast clean

setup: $(VENV)/.runtime

setup-development: $(VENV)/.development

$(VENV)/.runtime: requirements/runtime.txt requirements/build.txt requirements/node.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements/build.txt -r requirements/runtime.txt
	command -v node >/dev/null && command -v npm >/dev/null || $(PIP) -r requirements/node.txt
	$(BIN)/python -m pip --disable-pip-version-check --quiet install --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.development: $(VENV)/.runtime requirements/development.txt
	$(PIP) -r requirements/development.txt
	touch $@

clean:
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
