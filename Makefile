# Everything runs in .venv, made from requirements.lock; nothing else needs to be installed.
PYTHON ?= python3
PERIOD ?= 2026Q3
WORKERS ?= 2
BIN := .venv/bin
# The company's own data: make report PARAMS=path/to/params. Without it, the made sample.
PARAMS ?= params
SAMPLE := $(if $(filter params,$(PARAMS)),sample/.made)

.PHONY: report lab test notebooks proof bench lock clean
.DELETE_ON_ERROR:

report: .venv/installed $(SAMPLE)
	$(BIN)/privacy-metrics report $(PERIOD) --params $(PARAMS)

lab: .venv/installed $(SAMPLE)
	$(BIN)/jupyter lab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks/explore.ipynb

test: .venv/installed .venv/browser $(SAMPLE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/privacy-metrics prepare $(PERIOD)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --nbval-lax --nbval-kernel-startup-timeout 120 tests notebooks

# Runs the notebooks and stores the outputs that nbval compares: look at the difference before you commit it.
notebooks: .venv/installed $(SAMPLE)
	$(BIN)/python tests/store_outputs.py

proof: .venv/installed .venv/browser $(SAMPLE)
	PROOF=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile tests

bench: .venv/installed
	$(BIN)/python benchmarks/collect.py
	$(BIN)/python benchmarks/controls.py

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	# JupyterLab asks nobody for news and updates.
	mkdir -p .venv/etc/jupyter/labconfig
	echo '{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}' > .venv/etc/jupyter/labconfig/page_config.json
	touch $@

# A browser for the tests that look at the pages; where it can't be installed, those tests skip and say why.
.venv/browser: .venv/installed
	@if ! command -v chromium >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    chromium fonts-liberation) >/dev/null 2>&1 || echo "no chromium could be installed: the browser tests will skip"; fi
	@touch $@

sample/.made: .venv/installed lib/privacy_metrics/sample.py lib/privacy_metrics/sample_registers.py
	$(BIN)/privacy-metrics sample sample
	@touch $@

# The lock is made anew on purpose only: it names versions and hashes, and no package index.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-annotate --no-header -o requirements.lock pyproject.toml

clean:
	rm -rf .venv sample confidential outputs/20*
