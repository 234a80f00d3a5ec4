# Everything a person needs: `make test`, `make demo`, `make bench`. Needs Python >= 3.11, make and git.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := test
.NOTPARALLEL:
.DELETE_ON_ERROR:

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3.14 python3,$(shell command -v $(name) 2>/dev/null)))
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
COMPILE := pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --extra dev \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file requirements.lock pyproject.toml
PEERS := benchmarks/peers/requirements
COMPILE_PEERS := pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file $(PEERS).lock $(PEERS).in

# One step of `make test`: its name before it, a loud line when it fails.
step = @printf '\n==> %s\n' "$(1)"; $(2) || { printf '\n==> FAILED: %s\n' "$(1)" >&2; exit 1; }

# What `make sim` runs; `make sim SEEDS=1-100 CORE_SEEDS=1-500` is shorter, JOBS as many as there are cores.
SEEDS ?= 1-1000
CORE_SEEDS ?= 1-3000
PROFILES ?= swarm crash partition clock disk beyond lying
JOBS ?= 2
RESULTS := build/sim

# What `make fuzz` runs: seconds in all, and the seed; TARGETS="frames raft" for some of the decoders.
fuzz: DURATION ?= 300
fuzz: SEED ?= 1
TARGETS ?=

# How long `make chaos` fails real nodes, in seconds, and what decides how; without SEED it is drawn, and printed.
chaos: DURATION ?= 60
NODES ?= 3

# How long `make overload` runs each scenario, in seconds; SCENARIOS="fast_producers never_reads" for some.
overload: DURATION ?= 60
SCENARIOS ?=

.PHONY: test lint types layers unit fuzz sim sim-bench guarantees chaos overload demo bench slow-queue pressure bench-peers-install docs format lock clean

$(STAMP): requirements.lock pyproject.toml
	@printf '==> making %s with %s (a minute or two the first time)\n' "$(VENV)" "$(PYTHON)"
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python")'
	@"$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV): $(STAMP)

test: lint types layers unit
	@printf '\n==> all checks passed\n'

lint: $(STAMP)
	$(call step,ruff check,$(BIN)/ruff check)
	$(call step,ruff format --check,$(BIN)/ruff format --check)

types: $(STAMP)
	$(call step,mypy --strict,$(BIN)/mypy)
	$(call step,pyright,$(BIN)/pyright)

layers: $(STAMP)
	$(call step,import layers,$(BIN)/lint-imports)

unit: $(STAMP)
	$(call step,pytest,$(BIN)/python -m pytest $(PYTEST))

fuzz: $(STAMP)
	@$(BIN)/python -m tests.fuzz $(TARGETS) --for $(DURATION) --seed $(SEED)

demo: $(STAMP)
	@$(BIN)/python examples/departments/main.py

sim: $(STAMP)
	@mkdir -p $(RESULTS)
	@for profile in $(PROFILES); do printf '\n==> %s\n' "$$profile"; \
		$(BIN)/haq sim swarm --profile "$$profile" --seeds $(SEEDS) --jobs $(JOBS) -o json > $(RESULTS)/$$profile.json || { \
		printf '\n==> FAILED: %s: see %s\n' "$$profile" "$(RESULTS)/$$profile.json" >&2; exit 1; }; done
	@printf '\n==> cores\n'; $(BIN)/haq sim swarm --core --seeds $(CORE_SEEDS) --jobs $(JOBS) -o json > $(RESULTS)/cores.json
	@$(BIN)/haq sim guarantees $(RESULTS)/*.json

sim-bench: $(STAMP)
	@$(BIN)/haq sim bench

guarantees: $(STAMP)
	@$(BIN)/haq sim guarantees $(RESULTS)/*.json --page docs/guarantees.md

chaos: $(STAMP)
	@$(BIN)/python -m tests.chaos --for $(DURATION) $(if $(SEED),--seed $(SEED)) --nodes $(NODES) $(CHAOS)

overload: $(STAMP)
	@$(BIN)/python -m tests.overload $(SCENARIOS) --for $(DURATION) $(OVERLOAD)

bench: $(STAMP)
	@$(BIN)/python -m benchmarks

slow-queue: $(STAMP)
	@$(BIN)/python -m benchmarks.slow_queue

pressure: $(STAMP)
	@$(BIN)/python -m benchmarks.pressure

bench-peers-install: $(STAMP)
	@$(BIN)/python -m benchmarks.peers.install

docs: $(STAMP)
	@$(BIN)/python -m tests.checks.reference

format: $(STAMP)
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

lock: $(STAMP)
	@$(BIN)/$(COMPILE)
	@$(BIN)/$(COMPILE_PEERS)
	@if grep -nE '://|^--' requirements.lock $(PEERS).lock; then echo 'the lock must not name an index' >&2; exit 1; fi

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache haqactor.egg-info benchmarks/out
	find haqactor nodes journal sim tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
