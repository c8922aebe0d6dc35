# make [help]: what there is to make. VENV and PYTHON may be given.

VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done

# once, and again only when the dependencies may have changed
$(READY): pyproject.toml
	@echo "preparing $(VENV), which takes a minute or two"
	@.ci/environment $(VENV)

.PHONY: demo run test quick lint unit coverage test-slow chaos test-interop test-cluster mutate bench bench-long fix docs clean
demo: $(READY) ## run a production through a server with TLS and a database, on this machine
	@$(BIN)/jsonrpc-tm demo $(ARGS)

run: $(READY) ## start a server with config.yaml
	@$(BIN)/jsonrpc-tm --config config.yaml serve $(ARGS)

test: unit lint ## everything that must hold: style, types and tests, on both databases

quick: $(READY) ## the tests that need no network and no MariaDB, in about a minute
	$(BIN)/python -m pytest -q -n 2 --quick $(ARGS)

lint: $(READY) ## style, types, rooms, change notes
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(BIN)/towncrier build --draft --version next >/dev/null

unit: $(READY) ## tests with a report of what they covered within their own process
	@.ci/packages
	$(BIN)/python -m pytest -n 2 --dist loadgroup --cov --cov-report=term:skip-covered --cov-report=xml $(ARGS)

coverage: $(READY) ## the same, branches too, servers and commands that tests start included; takes half as long again
	COVER_PROCESSES=subprocess $(MAKE) unit ARGS="--cov-branch $(ARGS)"

test-slow: $(READY) ## tests that take minutes: servers killed under load, large databases
	@.ci/packages
	$(BIN)/python -m pytest -m slow $(ARGS)

chaos: $(READY) ## kill server, agents and database 100 times under load, on both databases, and check the books
	@.ci/packages
	$(BIN)/python -m pytest -m slow tests/chaos/test_chaos.py $(ARGS)

test-interop: $(READY) ## DIRAC's own clients, of three releases, run a production through the DIRAC wire
	@.ci/packages swig libssl-dev gcc libc6-dev python3-dev
	TM_INTEROP_ENVIRONMENTS=.interop $(BIN)/python -m pytest -m interop $(ARGS)

mutate: $(READY) ## change the code in random places and ask whether a test notices
	$(BIN)/python -m pip install --quiet 'cosmic-ray>=8.3'
	$(BIN)/python -m tests.mutation $(ARGS)

test-cluster: $(READY) ## servers on three MariaDB Galera nodes that lose nodes and processes under load
	@.ci/packages mariadb-server galera-4 rsync lsof
	$(BIN)/python -m pytest -m cluster tests/cluster $(ARGS)

bench: $(READY) ## measure, as ratios to bare aiohttp and raw databases; ARGS="--list" shows what, ARGS="echo files" chooses
	@$(BIN)/python -m benchmarks $(ARGS)

bench-long: $(READY) ## the same, with millions of files
	@$(BIN)/python -m benchmarks --long $(ARGS)

fix: $(READY) docs ## format, mend what a tool can mend, renew the pages made from the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY)
	$(BIN)/jsonrpc-tm settings --markdown > docs/settings.md
	$(BIN)/jsonrpc-tm methods --markdown --examples tests/conformance --set audit_log.enabled=true > docs/methods.md
	$(BIN)/python -m jsonrpc_tm.tools.docs.reference docs/plugins.md

clean: ## remove what was made
	rm -rf $(VENV) .interop .tox .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* coverage.xml build dist
