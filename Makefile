# Two commands do all the set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := src tests benchmarks examples
KILLS ?= 25

.DEFAULT_GOAL := help
.PHONY: help demo serve check test unit chaos bench lock clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

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

demo: $(VENV)/.run ## a whole spoken call on this machine; the recording and the picture land in demo-output/
	@$(BIN)/agentvoicebox demo --out demo-output

serve: $(VENV)/.run ## the server on 127.0.0.1:8000, with its own Valkey and PostgreSQL
	@$(BIN)/agentvoicebox serve

check: $(VENV)/.dev ## format, lint, types, floors, unit tests: under a minute
	@$(BIN)/ruff format --check -q $(SOURCES)
	@$(BIN)/ruff check -q $(SOURCES)
	@$(BIN)/mypy
	@$(BIN)/pytest tests/unit

test: check ## everything that must pass before landing
	@$(BIN)/pytest tests/property tests/contract tests/integration tests/e2e tests/chaos

chaos: $(VENV)/.dev ## kill -9 of everything under live spoken calls; KILLS=100 for a long run
	@mkdir -p benchmarks/results
	@$(BIN)/python benchmarks/chaos.py --kills $(KILLS) --json benchmarks/results/chaos.json --picture benchmarks/results/chaos.png

bench: $(VENV)/.dev ## every benchmark, as a table and as JSON
	@$(BIN)/python benchmarks/run.py

lock: ## resolve requirements/*.in into hashed pins (needs uv)
	cd requirements && uv pip compile --python-version 3.11 --universal --generate-hashes --no-emit-index-url -q \
	  --custom-compile-command "make lock" dev.in -o dev.txt
	cd requirements && uv pip compile --python-version 3.11 --universal --generate-hashes --no-emit-index-url -q \
	  --custom-compile-command "make lock" -c dev.txt run.in -o run.txt

clean: ## remove what can be made again
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis demo-output var
