# Everything runs in .venv, made from requirements.lock; nothing else needs to be installed.
PYTHON ?= python3
BIN := .venv/bin
PERIOD ?= 2026Q3
SHELL := /bin/sh

.PHONY: report test lab bench sample clean lock
report: sample
	$(BIN)/privacy-metrics report $(PERIOD)

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.12 report")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@
