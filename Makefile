# Everything a person runs. It needs Python 3.11 to 3.13 and make; the first target that is asked for sets up .venv.

PYTHON ?= python3
SHOP ?=
ENGINE ?= auto
HISTORIES ?= 1000
export SHOP

# Where it is set, nothing is compiled and every start of Airflow takes five times as long.
unexport PYTHONDONTWRITEBYTECODE

# uv trusts what the machine trusts: a company's own certificates are in the system's store.
export UV_SYSTEM_CERTS := true

BIN := .venv/bin
STOCKTAKE := $(BIN)/python -m include.local
# One test goes through all of them: it is not taken for one that hangs.
FOR_HOURS := -o faulthandler_timeout=0
yes = $(filter-out 0 no false,$(1))

.DEFAULT_GOAL := help
.PHONY: help nightly republish replay plan ui psql env map new-shop schema stop test test-long histories changes kills faults shape check format table \
	lint bench docs requirements

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

nightly: .venv/.installed ## Run one night and say what came of it: SHOP= DATE= ENGINE= PARITY= FULL_REFRESH=1 DRY_RUN=1
	@$(STOCKTAKE) nightly --engine $(ENGINE) $(if $(DATE),--date $(DATE)) \
		$(if $(call yes,$(FULL_REFRESH)),--full-refresh) $(if $(call yes,$(DRY_RUN)),--dry-run) \
		$(if $(PARITY),--parity $(PARITY))

republish: .venv/.installed ## Put a past night back: NIGHT=2026-11-20 SHOP= PUBLICATION=
	@$(STOCKTAKE) republish --night "$(NIGHT)" $(if $(PUBLICATION),--publication $(PUBLICATION))

replay: .venv/.installed ## Check the quarantine again, without reading the shop: SHOP= ENGINE= DRY_RUN=1
	@$(STOCKTAKE) replay --engine $(ENGINE) $(if $(call yes,$(DRY_RUN)),--dry-run)

ui: .venv/.installed ## Start Airflow and say where it is and how to log in: SHOP=
	@$(STOCKTAKE) ui

psql: .venv/.installed ## Open the warehouse as the analyst: SHOP= ARGS='-c "select …"'
	@$(STOCKTAKE) psql $(ARGS)

env: .venv/.installed ## Print the environment for a shell: eval "$(make -s env)"
	@$(STOCKTAKE) env

plan: .venv/.installed ## Say what the next night will do because declarations changed, changing nothing: SHOP=
	@$(STOCKTAKE) plan

map: .venv/.installed ## Check every .sql file of a shop, without a night: columns, types, rows that the gate would hold: SHOP=
	@$(STOCKTAKE) map

new-shop: .venv/.installed ## Write the folder of a shop of your own, its files as a start to fill in: NAME=book-shop
	@$(STOCKTAKE) new-shop "$(NAME)"

schema: .venv/.installed ## Write down the shop's tables as every night expects them: SHOP=
	@$(STOCKTAKE) schema

stop: ## Stop Airflow and Postgres
	@test ! -e .venv/.installed || $(STOCKTAKE) stop

test: lint ## Check style, types, and all tests but the long ones
	@$(BIN)/pytest --numprocesses 2 --max-worker-restart 0 --no-loadscope-reorder -m "not long"

test-long: .venv/.installed ## Run the long tests: many nights, whole histories, every engine, a real Airflow: ONLY="tests/gate tests/audit"
	@$(BIN)/pytest --numprocesses 2 --max-worker-restart 0 --no-loadscope-reorder -m long $(ONLY)

histories: .venv/.installed ## Compare incremental nights with full rebuilds, through as many random histories: HISTORIES=5000
	@$(BIN)/pytest $(FOR_HOURS) tests/histories --histories $(HISTORIES)

changes: .venv/.installed ## Change the declarations in every way there is, and run all that may be asked after it
	@$(BIN)/pytest $(FOR_HOURS) tests/changes --every-change

kills: .venv/.installed ## Kill the loader, and its Postgres backend, at every statement of a publication, while readers loop
	@$(BIN)/pytest $(FOR_HOURS) tests/kills --every-statement --verbose --log-cli-level INFO

faults: .venv/.installed ## Kill nights, replays, republishes at every named point, take its servers, its disk and its files away: ONLY=accept,publish EVERY=1 OBJECT_STORE=1
	@# What killed processes held is found when it ends, and not worth a warning.
	@$(BIN)/python -W ignore:resource_tracker -m tests.faults $(if $(ONLY),--only $(ONLY)) $(if $(call yes,$(EVERY)),--every) \
		$(if $(call yes,$(OBJECT_STORE)),--object-store)

shape: .venv/.installed ## Run a night on the services of docker-compose.yaml as processes, and compare it with a local one: ON=celery SCALE=0.1 ENGINE=spark
	@$(BIN)/python -m tests.deployments $(or $(ON),celery) --engine $(ENGINE) $(if $(SCALE),--scale $(SCALE))

check: .venv/.installed ## Check a change in a minute: format, lint, types, stale pages, the tests of what changed
	@$(BIN)/python -m include.contributing check

format: .venv/.installed ## Format the code, and mend what the linter can mend
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

table: .venv/.installed ## Write the skeleton of a new table, which passes as it is: NAME=refunds_daily LAYER=reporting
	@$(BIN)/python -m include.contributing table "$(NAME)" "$(LAYER)"

lint: .venv/.installed ## Check style and types only
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

bench: .venv/.installed ## Measure nights, tables and engines beside other ways to do it: SCALE=0.1 ENGINES=pandas,duckdb; or nights alone: SIZES=0.1,1,4; RECORD=1 adds what is found to the history
	@$(BIN)/python -m tests.bench $(if $(SCALE),--scale $(SCALE)) $(if $(ENGINES),--engines $(ENGINES)) \
		$(if $(SIZES),--sizes $(SIZES)) $(if $(call yes,$(RECORD)),--record)

docs: .venv/.installed ## Write the generated pages again
	@$(BIN)/python -m include.contributing docs
	@$(BIN)/python -m tests.changes.page

requirements: .venv/.installed ## Pin every dependency of pyproject.toml in requirements.txt
	@$(BIN)/uv pip compile pyproject.toml --quiet --all-extras --universal --python-version 3.11 \
		--custom-compile-command "make requirements" --output-file requirements.txt

# Everything it says goes to standard error: `make -s env` prints nothing but its lines, the first time too.
.venv/.installed: requirements.txt
	@{ \
		$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
			echo "Stocktake needs Python 3.11, 3.12 or 3.13; $(PYTHON) is: $$($(PYTHON) --version 2>&1)."; \
			echo "Name another one: make PYTHON=python3.12 …"; exit 1; }; \
		$(PYTHON) -c 'import ensurepip, venv' || { \
			echo "$(PYTHON) comes without venv. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }; \
		$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear .venv || exit 1; \
		echo "Installing the requirements into .venv"; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check uv && \
		$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.txt; \
	} >&2
	@touch $@
