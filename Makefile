# Everything runs in .venv, made from requirements.lock; nothing else needs to be installed.
PYTHON ?= python3
PERIOD ?= 2026Q3
BIN := .venv/bin
WORKERS ?= 2

.PHONY: report test lab bench lock clean
.DELETE_ON_ERROR:

test: .venv/installed
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile tests

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# The lock is made anew on purpose only: it names versions and hashes, and no package index.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-annotate --no-header -o requirements.lock pyproject.toml

clean:
	rm -rf .venv sample confidential outputs/20*
