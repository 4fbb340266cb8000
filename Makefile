# Every target sets up what it needs: `make demo` and `make test` work in a fresh clone with Python 3.11 or newer.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-dev
RUN_STAMP := $(VENV)/.installed
# Seconds that the demo runs, counted from the first request; empty: until Ctrl-C.
DEMO_SECONDS ?=
# Minutes of the emulator's clock that `make soak` plays.
SOAK_MINUTES ?= 60
# Tests run on this many processes.
WORKERS ?= 2

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

# Run time only, pinned with hashes; then this project itself, for the `cloudops` command.
$(RUN_STAMP): requirements.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(STAMP): requirements-dev.txt $(RUN_STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

.PHONY: setup
setup: $(STAMP) ## Install everything into .venv, pinned, and nothing else
	@echo "Ready: $(BIN)/cloudops --help"

.PHONY: demo
demo: $(RUN_STAMP) ## From real requests to a fired alert, live in the terminal (DEMO_SECONDS=90 ends by itself)
	@cd backend && ../$(BIN)/python -m demo $(if $(DEMO_SECONDS),--seconds $(DEMO_SECONDS))

.PHONY: smoke
smoke: $(STAMP) ## The same line on free ports without display, asserted through Google's own clients
	$(BIN)/pytest -q backend/tests/whole/test_first_light.py

.PHONY: run
run: $(RUN_STAMP) ## The reference service alone, on port 8000
	@cd backend && ../$(BIN)/uvicorn app.main:app --port 8000 --no-proxy-headers

.PHONY: test
test: $(STAMP) ## The test suite
	$(BIN)/pytest -n $(WORKERS) --dist loadfile

.PHONY: probe
probe: $(STAMP) ## Every kind of request beside the bare app: the same bytes, and told right
	$(BIN)/pytest -q backend/tests/contract/requests

.PHONY: check
check: $(STAMP) format-check lint types test ## What CI runs: format, lint, strict types, borders, tests

.PHONY: format
format: $(STAMP) ## Format the code
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

.PHONY: format-check
format-check: $(STAMP)
	$(BIN)/ruff format --check

.PHONY: lint
lint: $(STAMP)
	$(BIN)/ruff check

.PHONY: types
types: $(STAMP)
	$(BIN)/mypy

.PHONY: snapshots
snapshots: $(STAMP) ## Rewrite stored snapshots and generated pages; review the diff
	UPDATE_SNAPSHOTS=1 $(BIN)/pytest -q backend/tests

.PHONY: bench
bench: $(STAMP) ## What one request costs beside a peer, as a ratio
	$(BIN)/python backend/benchmarks/request_cost.py
	$(BIN)/python backend/benchmarks/log_cost.py
	$(BIN)/python backend/benchmarks/emulator_cost.py

.PHONY: soak
soak: $(STAMP) ## An hour of heavy load on the emulator's stores, in minutes: memory stays flat (SOAK_MINUTES=60)
	$(BIN)/python backend/benchmarks/emulator_soak.py --minutes $(SOAK_MINUTES)

.PHONY: terraform-live
terraform-live: $(STAMP) ## The Terraform modules with the real provider, in a test project (PROJECT=my-test-project)
	$(BIN)/python backend/tools/terraform_live.py $(PROJECT)

.PHONY: lock
lock: $(STAMP) ## Pin the newest versions that pyproject.toml allows
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade --no-header \
		--all-extras --group service --group dev pyproject.toml -o requirements-dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade --no-header \
		--all-extras --group service -c requirements-dev.txt pyproject.toml -o requirements.txt

.PHONY: clean
clean: ## Remove what the other targets made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
