# The few commands people use. Each makes what it needs; a second run starts at once.
.DEFAULT_GOAL := help
.PHONY: help demo docs test test-fast test-long lint lock clean
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PYTEST_WORKERS ?= 2

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

# Facemap has wheels for these alone; without them, building its parts fails late and in other words.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info[:2] <= (3, 12) else "$(PYTHON) is Python %d.%d, \
	and 3.11 or 3.12 is needed: name one, as in `make PYTHON=python3.11 ...`." % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)

# The worker's extra needs torch, whose CPU build pip takes where one is at hand: it goes first and alone.
$(VENV)/.torch: | $(VENV)/bin/python
	$(PIP) install --quiet torch==2.13.0 -c constraints.txt
	@touch $@

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/.torch
	$(PIP) install --quiet -c constraints.txt -e '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/.torch
	$(PIP) install --quiet -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo ## Run the whole path on this machine, on generated recordings
	$(BIN)/fmdj demo $(DEMO_ARGS)

lint: $(VENV)/.dev ## Lint, format, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# A test that fails is run once more, three tests at most: the summary lists those that passed then.
test: lint ## Everything that CI runs
	@tests/install_mariadb.sh
	@tests/install_chromium.sh
	$(BIN)/pytest -n $(PYTEST_WORKERS) --dist loadfile --durations=25 -m "not long" --reruns 1 --max-suite-reruns 3 \
	  --cov --cov-report=term:skip-covered --cov-fail-under=90 $(PYTEST_ARGS)

test-fast: $(VENV)/.dev ## Unit tests only
	$(BIN)/pytest -m unit -q $(PYTEST_ARGS)

test-long: $(VENV)/.dev ## What takes longer than CI allows
	$(BIN)/pytest -m long --durations=0 $(PYTEST_ARGS)

# Without Chromium (exit code 3) the site has no pictures of the status page. A tutorial is run again when it has changed.
docs: $(VENV)/.dev ## The documentation site, in site/
	$(BIN)/python docs/screenshots.py docs/pictures || test $$? = 3
	$(BIN)/python docs/run_tutorials.py docs/pictures/tutorials
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lock: $(VENV)/.dev ## Resolve constraints.txt again from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --all-extras --python-version 3.11 --no-header --no-annotate --quiet \
	  | grep -vE '^(nvidia|cuda|triton)' > constraints.txt
	$(BIN)/python images/lock.py
	$(BIN)/python helm/schema.py

clean: ## Remove the environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
