# `make demo`, `make dev` and `make test` set up all they need; they take the first Python that suits.

SUITS := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHONS := python3 python3.13 python3.12 python3.11
PYTHON ?= $(firstword $(foreach python,$(PYTHONS),$(shell $(python) -c '$(SUITS)' 2>/dev/null && echo $(python))))
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

export DAGSTER_HOME ?= $(CURDIR)/.dagster
export DAGSTER_DISABLE_TELEMETRY ?= 1
export DO_NOT_TRACK ?= 1

.PHONY: demo dev docs dbt-docs screenshots test lint clean help

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(READY): pyproject.toml constraints.txt dagster.yaml
	@test -n "$(PYTHON)" || { echo "No Python from 3.11 to 3.13 was found. Install one, or name it: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	mkdir -p "$(DAGSTER_HOME)" && cp dagster.yaml "$(DAGSTER_HOME)/"
	touch $@

demo: $(READY) ## a simulated account, synced and modelled, with a summary on the terminal
	$(BIN)/python -m activecampaign_dagster.demo

dev: $(READY) ## the Dagster UI on the simulated account
	$(BIN)/python -m activecampaign_dagster.demo --ui

docs: $(READY) ## the documentation as a site: build/site/index.html
	$(BIN)/sphinx-build --fresh-env --fail-on-warning --keep-going --quiet --conf-dir docs/site . build/site

# of the simulated account, unless there is another
dbt-docs: export ACTIVECAMPAIGN_DATABASE := $(or $(ACTIVECAMPAIGN_DATABASE),$(addprefix $(CURDIR)/,$(firstword $(wildcard data/activecampaign.duckdb data/warehouse.duckdb data/demo.duckdb))))
dbt-docs: DBT := --project-dir dbt_project --profiles-dir dbt_project
dbt-docs: $(READY) ## the dbt docs of the models, on http://127.0.0.1:8080
	@test -n "$$ACTIVECAMPAIGN_DATABASE" || { echo "There is no database in data/ yet: run make demo first, or set ACTIVECAMPAIGN_DATABASE."; exit 1; }
	$(BIN)/dbt docs generate $(DBT)
	$(BIN)/python dbt_project/lineage.py dbt_project/target
	$(BIN)/dbt docs serve $(DBT) --host 127.0.0.1 --no-browser

screenshots: $(READY) ## the pictures in docs/images anew, from a demo, with headless Chromium
	$(BIN)/python docs/site/screenshots.py

test: $(READY) ## everything that CI runs: format, lint, types, tests
	$(MAKE) lint
	$(BIN)/pytest

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/sqlfmt --check --no-progressbar dbt_project

clean: ## remove what the commands above made; your own database stays
	rm -rf $(VENV) .dagster data/demo* build *.egg-info dbt_project/target dbt_project/logs
