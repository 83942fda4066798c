# Two commands do all the set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := src tests benchmarks examples
# More arguments of pytest, such as --random-order-seed=7, or of `make attack`.
ARGS ?=
KILLS ?= 25
EVENTS ?= 1000000
SANITY := deploy/sanity-local
CLIENTS := tests/e2e/clients

.DEFAULT_GOAL := help
.PHONY: help demo serve format lint types unit coverage check test requirements sbom chaos attack fuzz mutations clients bench lock clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# Installed only from hashed pins, so a machine gets exactly what was tested. The stamps say which set is in place.
$(VENV)/.run: requirements/run.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing (about 300 MB the first time) ..."
	@$(BIN)/python -m pip install --disable-pip-version-check -q --require-hashes -r requirements/run.txt
	@$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	@echo "Installing what the tests need ..."
	@$(BIN)/python -m pip install --disable-pip-version-check -q --require-hashes -r requirements/dev.txt
	@touch $@

# What the tests of the Sanity-compatible server need. Without Node they are skipped and say why; so they are after a failure here.
$(SANITY)/node_modules/.package-lock.json: $(SANITY)/package-lock.json
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
	  echo "Installing the Sanity-compatible server ..."; \
	  (cd $(SANITY) && npm ci --no-audit --no-fund --loglevel=error --fetch-timeout=30000) || echo "npm ci failed: its tests are skipped"; \
	fi

# Stock clients in Node, and a Chromium for them: about 170 MB. Without Node their tests are skipped and say why.
$(CLIENTS)/js/node_modules/.package-lock.json: $(CLIENTS)/js/package-lock.json
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
	  echo "Installing stock clients in Node ..."; \
	  (cd $(CLIENTS)/js && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error --fetch-timeout=30000) || echo "npm ci failed: their tests are skipped"; \
	fi

# Stock clients in Python whose pins differ from ours: about 750 MB.
.venv-clients/.installed: requirements/clients.txt
	@test -x .venv-clients/bin/python || $(PYTHON) -m venv .venv-clients
	@echo "Installing LiveKit and pipecat (about 750 MB) ..."
	@.venv-clients/bin/python -m pip install --disable-pip-version-check -q --require-hashes -r $<
	@touch $@

demo: $(VENV)/.run ## a whole spoken call on this machine; the recording and the picture land in demo-output/
	@$(BIN)/agentvoicebox demo --out demo-output

serve: $(VENV)/.run ## the server on 127.0.0.1:8000, with its own Valkey and PostgreSQL
	@$(BIN)/agentvoicebox serve

# $(call step,NAME,COMMAND): run it, then print the time it took and the processor time it used.
step = @bash -c 'TIMEFORMAT="$(1): %R s, processor %U s"; time { $(2); }'
# Pure code, so it runs on all cores; so do the contract tests, for which each process starts servers of its own. The other tests
# run real models or whole clusters, which fill the cores by themselves: one at a time.
PARALLEL := tests/fundamentals tests/unit

format: $(VENV)/.dev ## format the code
	@$(BIN)/ruff format -q $(SOURCES)

lint: $(VENV)/.dev
	$(call step,format,$(BIN)/ruff format --check -q $(SOURCES))
	$(call step,lint,$(BIN)/ruff check -q $(SOURCES))

types: $(VENV)/.dev
	$(call step,types,$(BIN)/mypy)

unit: $(VENV)/.dev
	$(call step,unit tests,$(BIN)/pytest -n auto --maxprocesses=8 --dist worksteal $(PARALLEL) $(ARGS))

# The unit tests and the contract tests, with the branches that they reach counted.
coverage: $(VENV)/.dev ## branch coverage of the unit and contract tests, held to its floor
	$(call step,unit and contract tests,$(BIN)/pytest -n auto --maxprocesses=8 --dist worksteal $(PARALLEL) tests/contract --cov --cov-report=term:skip-covered $(ARGS))

check: lint types unit ## format, lint, types, unit tests: under a minute

test: lint types coverage $(SANITY)/node_modules/.package-lock.json $(CLIENTS)/js/node_modules/.package-lock.json ## everything that must pass before landing
	$(call step,all other tests,$(BIN)/pytest tests/property tests/integration tests/e2e tests/chaos $(ARGS))

requirements: $(VENV)/.dev ## write docs/reference/requirements.md anew
	@$(BIN)/python -m tests.kit.requirements

sbom: $(VENV)/.dev ## the bill of materials, CycloneDX JSON: sbom.cdx.json
	@$(BIN)/python -m tests.kit.sbom > sbom.cdx.json

chaos: $(VENV)/.dev ## kill -9 of everything under live spoken calls; KILLS=100 for a long run
	@mkdir -p benchmarks/results
	@$(BIN)/python benchmarks/chaos.py --kills $(KILLS) --json benchmarks/results/chaos.json --picture benchmarks/results/chaos.png

attack: $(VENV)/.dev ## attacks on a server of this machine beside a measured caller: about 45 minutes; ARGS="--only 4 --seconds 6", --storm, --list
	@mkdir -p benchmarks/results
	@$(BIN)/python benchmarks/attack.py --json benchmarks/results/attack.json $(ARGS)

clients: $(VENV)/.dev $(CLIENTS)/js/node_modules/.package-lock.json .venv-clients/.installed ## calls of all stock clients, LiveKit and pipecat with them: about five minutes
	$(call step,stock clients,$(BIN)/pytest $(CLIENTS) $(ARGS))

mutations: $(VENV)/.dev ## breaks the listed mechanisms, one at a time; each must fail its tests: about five minutes on two cores
	@$(BIN)/python tests/mutations/run.py

fuzz: $(VENV)/.dev ## a million damaged client events at live sessions: about ten minutes on two cores; EVENTS=20000 for a short run
	@$(BIN)/python benchmarks/fuzz.py --events $(EVENTS)

bench: $(VENV)/.dev ## every benchmark, as a table and as JSON
	@$(BIN)/python benchmarks/run.py

lock: ## resolve requirements/*.in into hashed pins (needs uv)
	cd requirements && uv pip compile --python-version 3.11 --universal --generate-hashes --no-emit-index-url -q \
	  --custom-compile-command "make lock" dev.in -o dev.txt
	cd requirements && uv pip compile --python-version 3.11 --universal --generate-hashes --no-emit-index-url -q \
	  --custom-compile-command "make lock" -c dev.txt run.in -o run.txt
	cd requirements && uv pip compile --python-version 3.11 --universal --generate-hashes --no-emit-index-url -q \
	  --custom-compile-command "make lock" clients.in -o clients.txt

clean: ## remove what can be made again
	rm -rf $(VENV) .venv-clients $(SANITY)/node_modules $(CLIENTS)/js/node_modules .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis demo-output var
