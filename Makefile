# Everything runs in .venv, made from requirements.lock; nothing else needs to be installed.
PYTHON ?= python3
PERIOD ?= 2026Q3
WORKERS ?= 2
BIN := .venv/bin
LOCKED := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
  --no-annotate --no-header
# A test that hangs fails after ten minutes, and says where; the others go on.
HANGING := -o faulthandler_timeout=600 -o faulthandler_exit_on_timeout=true --max-worker-restart 1
# The company's own data: make report PARAMS=path/to/params. Without it, the made sample.
PARAMS ?= params
SAMPLE := $(if $(filter params,$(PARAMS)),sample/.made)

.PHONY: report lab test notebooks proof bench lock clean
.DELETE_ON_ERROR:

report: .venv/installed $(SAMPLE)
	$(BIN)/privacy-metrics report $(PERIOD) --params $(PARAMS)

lab: .venv/installed $(SAMPLE)
	$(BIN)/jupyter lab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks/explore.ipynb

test: .venv/installed .venv/browser .venv/postgresql .venv/spark $(SAMPLE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/privacy-metrics prepare $(PERIOD)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(HANGING) --nbval-lax --nbval-kernel-startup-timeout 120 \
	  --nbval-cell-timeout 300 tests notebooks

# Runs the notebooks and stores the outputs that nbval compares: look at the difference before you commit it.
notebooks: .venv/installed $(SAMPLE)
	$(BIN)/python tests/store_outputs.py

proof: .venv/installed .venv/browser .venv/postgresql .venv/spark $(SAMPLE)
	PROOF=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile tests

bench: .venv/installed
	$(BIN)/python benchmarks/collect.py
	$(BIN)/python benchmarks/protect.py
	$(BIN)/python benchmarks/requests.py
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

# A PostgreSQL server for the tests of databases, which start it themselves; where there is none, those tests skip.
.venv/postgresql: .venv/installed
	@if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && ! command -v initdb >/dev/null \
	  && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql) \
	    >/dev/null 2>&1 || echo "no PostgreSQL could be installed: the tests of it will skip"; fi
	@touch $@

# Java, and Spark for the tests of the engines (490 MB: nothing else needs it); where either is missing, those tests skip.
.venv/spark: .venv/installed requirements-spark.lock
	@if ! command -v java >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  (apt-get update -qq && for java in openjdk-17-jre-headless default-jre-headless; do \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$java && break; done) \
	    >/dev/null 2>&1 || true; fi
	@if ! command -v java >/dev/null && [ -z "$$JAVA_HOME" ]; then \
	  echo "there is no Java, and none could be installed: the tests of Spark will skip"; \
	  else $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --require-hashes \
	    -r requirements-spark.lock || echo "pyspark could not be installed: the tests of Spark will skip"; fi
	@touch $@

sample/.made: .venv/installed lib/privacy_metrics/sample.py lib/privacy_metrics/sample_registers.py
	$(BIN)/privacy-metrics sample sample
	@touch $@

# The lock is made anew on purpose only: it names versions and hashes, and no package index.
lock:
	uv pip compile $(LOCKED) --extra test -o requirements.lock pyproject.toml
	echo 'pyspark[sql]>=4.0' | uv pip compile $(LOCKED) --constraints requirements.lock -o requirements-spark.lock -

clean:
	rm -rf .venv sample confidential outputs/20*
