# `make demo` and `make test` do all the set-up on a fresh machine. Sizes are those of docs/install.md.
PYTHON ?= python3
# Where `make install` puts the command: $(PREFIX)/bin.
PREFIX ?= $(HOME)/.local
VENV := .venv
BIN := $(VENV)/bin
SOURCES := src tests benchmarks examples requirements deploy
# More arguments of pytest, such as --random-order-seed=7, or of `make attack`.
ARGS ?=
KILLS ?= 25
# The server that `make load` calls; one is started when it is empty.
URL ?=
KEY ?=
CALLS ?= 100
EVENTS ?= 1000000
SANITY := deploy/sanity-local
CLIENTS := tests/e2e/clients
LINTERS := tests/integration/documents
WEB := web
INSTALLED := $(PREFIX)/share/agentvoicebox

.DEFAULT_GOAL := help
.PHONY: help demo serve install uninstall format lint types unit coverage check test requirements reference dashboards observability alert-drill docs console sbom wheel install-matrix \
  telephone chaos attack fuzz mutations clients conversations bench load figures frontier images lock clean delete-data

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s  %s\n", $$1, $$2}'

# $(call environment,FOLDER): a virtual environment with a complete pip. One that an interruption left incomplete, or that is of an old
# Python, is made anew: pip's own record is the last file that `venv` writes.
is_complete = import importlib.metadata as m, sys; sys.exit(sys.version_info < (3, 11) or not m.files("pip"))
environment = "$(1)/bin/python" -c '$(is_complete)' 2>/dev/null || { \
    $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
      echo "Python 3.11 or newer is needed, and $(PYTHON) is: $$($(PYTHON) --version 2>&1 | head -n 1)." \
        "Name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }; \
    echo "Making the virtual environment $(1)"; \
    $(PYTHON) -m venv --clear "$(1)"; }
# Of its own: no check for a newer pip, no waiting for an answer.
pip = -m pip install --disable-pip-version-check --no-input -q

$(VENV)/.pip:
	@$(call environment,$(VENV))
	@touch $@

# Installed only from hashed pins, so a machine gets exactly what was tested. The stamps say which set is in place.
$(VENV)/.run: requirements/run.txt pyproject.toml | $(VENV)/.pip
	@echo "Installing what the server runs on into $(VENV): 740 MB the first time"
	@$(BIN)/python requirements/install.py requirements/run.txt
	@$(BIN)/python $(pip) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	@echo "Installing what the tests need into $(VENV): 1.1 GB more the first time"
	@$(BIN)/python requirements/install.py requirements/dev.txt
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

# What checks the OpenAPI and AsyncAPI documents: 69 MB.
$(LINTERS)/node_modules/.package-lock.json: $(LINTERS)/package-lock.json
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
	  echo "Installing what checks the documents ..."; \
	  (cd $(LINTERS) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error --fetch-timeout=30000) || echo "npm ci failed: its tests are skipped"; \
	fi

# What builds and tests the console: about 60 MB. The built files are committed, so nobody else needs it.
$(WEB)/node_modules/.package-lock.json: $(WEB)/package-lock.json
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
	  echo "Installing what builds the console ..."; \
	  (cd $(WEB) && npm ci --no-audit --no-fund --loglevel=error --fetch-timeout=30000) || echo "npm ci failed: its tests are skipped"; \
	fi

# Stock clients in Python whose pins differ from ours: about 750 MB.
.venv-clients/.installed: requirements/clients.txt
	@$(call environment,.venv-clients)
	@echo "Installing LiveKit and pipecat into .venv-clients: 750 MB the first time"
	@.venv-clients/bin/python requirements/install.py $<
	@touch $@

demo: $(VENV)/.run ## a complete spoken call; what it writes is in demo-output/
	@$(BIN)/agentvoicebox demo --out demo-output

serve: $(VENV)/.run ## the server on http://127.0.0.1:8000/v1; data in var/
	@$(BIN)/agentvoicebox serve

# An environment of its own, so the checkout may be moved or deleted afterwards.
install: ## the command agentvoicebox for you, in ~/.local (PREFIX)
	@mkdir -p "$(INSTALLED)" "$(PREFIX)/bin"
	@$(call environment,$(INSTALLED)/venv)
	@echo "Installing into $(INSTALLED)/venv: 740 MB the first time"
	@"$(INSTALLED)/venv/bin/python" requirements/install.py requirements/run.txt
	@"$(INSTALLED)/venv/bin/python" $(pip) --no-deps --no-build-isolation --force-reinstall .
	@ln -sf "$(INSTALLED)/venv/bin/agentvoicebox" "$(PREFIX)/bin/agentvoicebox"
	@echo "The command is $(PREFIX)/bin/agentvoicebox. It keeps its data in ./var, or in AVB_DATA_DIR."
	@case ":$$PATH:" in *":$(PREFIX)/bin:"*) ;; *) echo "Your PATH lacks it: export PATH=\"$(PREFIX)/bin:\$$PATH\"" ;; esac

uninstall: ## undo make install; data is kept
	@rm -rf "$(INSTALLED)" "$(PREFIX)/bin/agentvoicebox"
	@echo "Removed $(INSTALLED) and $(PREFIX)/bin/agentvoicebox."

# $(call step,NAME,COMMAND): run it, then print the time it took and the processor time it used.
step = @bash -c 'TIMEFORMAT="$(1): %R s, processor %U s"; time { $(2); }'
# Pure code, so it runs on all cores; so do the contract tests, for which each process starts servers of its own. The other tests
# run real models or whole clusters, one at a time, in three groups (tests/kit/side_by_side).
PARALLEL := tests/fundamentals tests/unit

format: $(VENV)/.dev ## format the code
	@$(BIN)/ruff format -q $(SOURCES)

lint: $(VENV)/.dev ## whether the code is formatted, and ruff's rules
	$(call step,format,$(BIN)/ruff format --check -q $(SOURCES))
	$(call step,lint,$(BIN)/ruff check -q $(SOURCES))

types: $(VENV)/.dev ## mypy, strict
	$(call step,types,$(BIN)/mypy)

unit: $(VENV)/.dev ## the unit tests, on all cores
	$(call step,unit tests,$(BIN)/pytest -n auto --maxprocesses=8 --dist worksteal $(PARALLEL) $(ARGS))

# The unit tests and the contract tests, with the branches that they reach counted.
coverage: $(VENV)/.dev ## unit and contract tests, with branch coverage
	$(call step,unit and contract tests,$(BIN)/pytest -n auto --maxprocesses=8 --dist worksteal $(PARALLEL) tests/contract --cov --cov-report=term:skip-covered $(ARGS))

check: lint types unit ## format, lint, types, unit tests: under a minute

test: lint types coverage $(SANITY)/node_modules/.package-lock.json $(CLIENTS)/js/node_modules/.package-lock.json $(LINTERS)/node_modules/.package-lock.json $(WEB)/node_modules/.package-lock.json ## everything that must pass: about half an hour
	$(call step,all other tests,$(BIN)/python -m tests.kit.side_by_side $(ARGS))

# As root, with debootstrap: Asterisk and sipp run in a folder of their own (see docs/telephony.md).
telephone: $(VENV)/.dev ## calls through a real Asterisk: 4 minutes, 0.6 GB, as root
	@$(BIN)/python -m tests.kit.asterisk_folder
	@echo "Calling through it: three to four minutes"
	$(call step,telephone,REAL_TELEPHONE=1 $(BIN)/pytest tests/integration/test_real_asterisk_queue.py tests/e2e/test_real_asterisk.py tests/e2e/test_real_asterisk_outgoing.py $(ARGS))
	@cat benchmarks/results/telephone.json

requirements: $(VENV)/.dev ## write docs/reference/requirements.md
	@$(BIN)/python -m tests.kit.requirements

reference: $(VENV)/.dev ## write the generated pages of docs/reference
	@$(BIN)/python -m tests.kit.reference

dashboards: $(VENV)/.dev ## write the dashboards of Grafana from their code
	@$(BIN)/python -m tests.kit.dashboards

observability: ## Prometheus and Alertmanager beside `make serve`
	@exec deploy/observability/start.sh

.venv-docs/.installed: requirements/docs.txt
	@$(call environment,.venv-docs)
	@echo "Installing what builds the documents into .venv-docs"
	@.venv-docs/bin/python requirements/install.py $<
	@touch $@

alert-drill: $(VENV)/.dev ## a cause of each alert on live servers: 15 minutes
	$(call step,alert drill,ALERT_DRILL=1 $(BIN)/pytest tests/chaos/test_alert_drill.py tests/chaos/test_alert_drill_faults.py $(ARGS))

docs: .venv-docs/.installed ## the documents as a site, in site/
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict -q

console: $(WEB)/node_modules/.package-lock.json ## build the page of the console from web/ (needs Node)
	@cd $(WEB) && npm run --silent types && npm run --silent build

sbom: $(VENV)/.dev ## the bill of materials: sbom.cdx.json (CycloneDX)
	@$(BIN)/python -m tests.kit.sbom > sbom.cdx.json

wheel: $(VENV)/.run ## build the wheel into dist/
	@rm -rf dist && $(BIN)/hatchling build -t wheel -d dist

install-matrix: $(VENV)/.dev ## pip on 3.11 to 3.13, pipx, uv: each an install and a demo
	$(call step,installations,INSTALL_MATRIX=1 $(BIN)/pytest tests/e2e/test_install.py $(ARGS))

chaos: $(VENV)/.dev ## kill -9 of everything under live calls; KILLS=100
	@mkdir -p benchmarks/results
	@$(BIN)/python benchmarks/chaos.py --kills $(KILLS) --json benchmarks/results/chaos.json --picture benchmarks/results/chaos.png

attack: $(VENV)/.dev ## attacks beside a measured caller: 45 minutes; ARGS=--list
	@mkdir -p benchmarks/results
	@$(BIN)/python benchmarks/attack.py --json benchmarks/results/attack.json $(ARGS)

clients: $(VENV)/.dev $(CLIENTS)/js/node_modules/.package-lock.json .venv-clients/.installed ## all stock clients, with LiveKit: 5 minutes, 750 MB
	$(call step,stock clients,$(BIN)/pytest $(CLIENTS) $(ARGS))

# Of its own: gevent changes the standard library of its process.
.venv-load/.installed: requirements/load.txt
	@$(call environment,.venv-load)
	@echo "Installing Locust into .venv-load: 35 MB the first time"
	@.venv-load/bin/python requirements/install.py $<
	@touch $@

# Keys go by the environment: `ps` shows arguments to everybody.
load: export LOAD_KEYS := $(or $(KEY),$(LOAD_KEYS))
load: $(VENV)/.dev .venv-load/.installed ## 100 calls at once, measured; URL=, KEY=, ARGS=--help
	@$(BIN)/python -m benchmarks.load --calls $(CALLS) $(if $(URL),--url "$(URL)") $(ARGS)

frontier: $(VENV)/.dev ## callers' wait against cut-offs: docs/endpointing.md
	@$(BIN)/python -m benchmarks.endpointing $(ARGS) > /dev/null

figures: $(VENV)/.dev .venv-load/.installed ## measure what docs/figures.md keeps: 20 minutes
	@$(BIN)/python -m benchmarks.figures $(ARGS)

mutations: $(VENV)/.dev ## breaks mechanisms; each must fail its tests: 5 minutes
	@$(BIN)/python tests/mutations/run.py

fuzz: $(VENV)/.dev ## damaged client events: 10 minutes; EVENTS=20000
	@$(BIN)/python benchmarks/fuzz.py --events $(EVENTS)

conversations: $(VENV)/.dev ## the delivery agent's conversations, graded
	@mkdir -p benchmarks/results
	@$(BIN)/python benchmarks/conversations.py --json benchmarks/results/conversations.json $(ARGS)

bench: $(VENV)/.dev ## every benchmark, as a table and as JSON
	@$(BIN)/python benchmarks/run.py

images: $(VENV)/.dev ## build the images, run them, kill one: 10 minutes, as root
	@mkdir -p benchmarks/results
	@$(BIN)/python benchmarks/images.py --json benchmarks/results/images.json $(ARGS)

lock: ## resolve requirements/*.in into pins (needs uv)
	cd requirements && uv pip compile --python-version 3.11 --universal --generate-hashes --no-emit-index-url -q \
	  --custom-compile-command "make lock" dev.in -o dev.txt
	cd requirements && uv pip compile --python-version 3.11 --universal --generate-hashes --no-emit-index-url -q \
	  --custom-compile-command "make lock" -c dev.txt run.in -o run.txt
	cd requirements && uv pip compile --python-version 3.11 --universal --generate-hashes --no-emit-index-url -q \
	  --custom-compile-command "make lock" clients.in -o clients.txt
	cd requirements && uv pip compile --python-version 3.11 --universal --generate-hashes --no-emit-index-url -q \
	  --custom-compile-command "make lock" docs.in -o docs.txt
	cd requirements && uv pip compile --python-version 3.11 --universal --generate-hashes --no-emit-index-url -q \
	  --custom-compile-command "make lock" load.in -o load.txt
	cd requirements && uv pip compile --python-version 3.11 --universal --generate-hashes --no-emit-index-url -q \
	  --custom-compile-command "make lock" gpu.in -o gpu.txt

clean: ## remove what make can make again; never data
	rm -rf $(VENV) .venv-clients .venv-docs .venv-load $(SANITY)/node_modules $(CLIENTS)/js/node_modules $(LINTERS)/node_modules $(WEB)/node_modules site .coverage .mypy_cache .ruff_cache .pytest_cache \
	  .hypothesis demo-output dist sbom.cdx.json

delete-data: ## delete ./var for good: tenants, keys, calls; asks first
	@if [ ! -d var ]; then echo "There is no folder var here."; exit 0; fi; \
	if [ -e var/embedded.lock ] && command -v flock >/dev/null && ! flock -n var/embedded.lock true; then \
	  echo "A server is using ./var: stop it first." >&2; exit 1; fi; \
	printf 'Delete %s with all tenants, keys, calls and recordings? Type yes: ' "$(CURDIR)/var"; read answer; \
	if [ "$$answer" = yes ]; then rm -rf var && echo "Deleted."; else echo "Nothing was deleted." >&2; exit 1; fi
