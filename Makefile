# Everything that is done with treadle from a checkout. Needs python3 (3.11 or later), pip and make; makes .venv itself.
#
#   make demo     see it work            make check    every static check
#   make test     run the tests          make help     all targets

SHELL := /bin/bash -euo pipefail
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV   ?= .venv
PYTHON := $(VENV)/bin/python
CASES  ?= ../shared/acceptance
ARGS   ?=
SECONDS ?= 60
COUNT  ?= 50000
SEED   ?= 1

# ------------------------------------------------------------------------------------------------ the environment

# A stamp for each lock: it is made again when the lock or pyproject.toml changes, and costs nothing otherwise.
LOCAL := $(VENV)/.installed-local
DEV   := $(VENV)/.installed-dev

$(VENV)/bin/python:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "treadle needs python3 3.11 or later; this is $$(python3 --version 2>&1)" >&2; exit 1; }
	@echo "making $(VENV)"
	@python3 -m venv $(VENV) || { rm -rf $(VENV); echo >&2; \
	  echo "python3 could not make a virtual environment: on Debian and Ubuntu install it with" >&2; \
	  echo "    sudo apt-get install python3-venv" >&2; exit 1; }

define install
	@echo "installing $(1) (requirements/$(1).txt)"
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m ensurepip --upgrade >/dev/null 2>&1 || \
	  { echo "$(VENV) has no pip, and python3 has no ensurepip: install python3-venv, remove $(VENV), and try again" >&2; exit 1; }
	@$(PYTHON) -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/$(1).txt
	@$(PYTHON) -m pip install -qq --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@
endef

$(LOCAL): requirements/local.txt pyproject.toml | $(VENV)/bin/python
	$(call install,local)

# Everything in local.txt is in dev.txt too, at the same version.
$(DEV): requirements/dev.txt pyproject.toml | $(VENV)/bin/python
	$(call install,dev)
	@touch $(LOCAL)

.PHONY: setup
setup: $(DEV) ## make .venv with everything that development needs

# ------------------------------------------------------------------------------------------------ what people do

.PHONY: demo test
demo: $(LOCAL) ## run an order through the whole local stack, lose a worker on the way, and draw what happened
	@$(PYTHON) examples/order/demo.py $(ARGS)

test: $(DEV) ## run the tests (ARGS="-k NAME" for some of them)
	@$(PYTHON) -m pytest -q -n auto --dist worksteal -m "not ministack" $(ARGS)

# ------------------------------------------------------------------------------------------------ what has to hold

.PHONY: check lint types imports security
check: ## every static check
	@$(MAKE) --keep-going lint types imports security
	@echo "all checks passed"

lint: $(DEV) ## ruff
	@echo "ruff"
	@$(PYTHON) -m ruff check --quiet .
	@$(PYTHON) -m ruff format --quiet --check .

types: $(DEV) ## mypy --strict
	@echo "mypy --strict"
	@$(PYTHON) -m mypy --no-error-summary

imports: $(DEV) ## imports go one way
	@echo "import-linter"
	@report=$$($(VENV)/bin/lint-imports --no-cache 2>&1) || { echo "$$report"; exit 1; }

security: $(DEV) ## bandit
	@echo "bandit"
	@$(PYTHON) -m bandit --quiet --recursive --configfile pyproject.toml shared functions infra

.PHONY: acceptance
acceptance: $(DEV) ## the conformance cases (CASES=DIR, ARGS="--area joins")
	@$(PYTHON) $(CASES)/run_cases.py $(ARGS)

.PHONY: ministack
ministack: $(DEV) ## deploy the real template to an emulator of AWS, and drive runs through it
	@$(PYTHON) -m pytest -q -m ministack tests/ministack $(ARGS)

.PHONY: simulate
simulate: $(DEV) ## let everything go wrong that can, for a minute and a half (ARGS="--shape diamond")
	@$(VENV)/bin/treadle simulate --seconds 90 $(ARGS)

.PHONY: simulate-all
simulate-all: $(DEV) ## every single fault, every pair of the small shapes, and 200,000 random schedules: half an hour or more
	@$(VENV)/bin/treadle simulate --seconds 0 --seeds 1770 $(ARGS)

.PHONY: compare plans
compare: $(DEV) ## random definitions in the engine and in the language's interpreter (COUNT=50000 SEED=1 ARGS="--jobs 2 --from 12000")
	@$(PYTHON) -m treadle.simulation.compare --count $(COUNT) --seed $(SEED) $(ARGS)

plans: $(DEV) ## random plans: what each end starts is what a look at all the facts says (COUNT=50000 SEED=1)
	@$(PYTHON) -m tests.core.laws --count $(COUNT) --seed $(SEED) $(ARGS)

.PHONY: soak
soak: $(DEV) ## 10,000 runs on the local stack while workers die: right ends, nothing left over, memory flat (ARGS="--runs 1000")
	@$(VENV)/bin/treadle soak $(ARGS)

.PHONY: mutations
mutations: $(DEV) ## take each key of the configuration and each row of the spec map away: its tests have to fail (ARGS=performance.advance, ROWS=Monitoring)
	@$(if $(ROWS),,$(PYTHON) -m tests.config.mutations $(ARGS))
	@$(if $(ARGS),,$(PYTHON) -m tests.docs.mutations $(ROWS))

.PHONY: fuzz
fuzz: $(DEV) .cache/atheris/.installed ## feed the readers, the checks and the expressions with what nobody writes (SECONDS=600 for longer)
	@for target in definition expression evaluation; do \
	  PYTHONPATH=.cache/atheris $(PYTHON) -m tests.fuzz.run $$target --seconds $(SECONDS) $(ARGS); done

.cache/atheris/.installed: tests/fuzz/requirements.txt | $(VENV)/bin/python
	@$(PYTHON) -m pip install -qq --disable-pip-version-check --target .cache/atheris -r $< && touch $@

.PHONY: bench
bench: $(DEV) ## what a step costs, counted, against benchmarks/gates.json and baseline.json (ARGS="chain10")
	@$(VENV)/bin/treadle bench --check $(ARGS)

# ------------------------------------------------------------------------------------------------ what is made

.PHONY: lock
# The resolver lives in its own environment, so that it never mixes with what it resolves. Locks are universal (every
# platform, Python 3.11 and later), carry hashes, and name no index: pip's own configuration says where to download.
lock: .cache/lock/bin/uv ## resolve the dependencies again and write requirements/*.txt
	@$(call compile,runtime,--extra functions)
	@$(call compile,local,--extra local --constraint requirements/runtime.txt requirements/build.in)
	@$(call compile,dev,--extra dev --constraint requirements/local.txt)

compile = echo "locking requirements/$(1).txt" && .cache/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-header --upgrade pyproject.toml $(2) --output-file requirements/$(1).txt

.cache/lock/bin/uv: | $(VENV)/bin/python
	@echo "making the resolver's environment"
	@python3 -m venv .cache/lock && .cache/lock/bin/python -m pip install -qq --disable-pip-version-check uv

.PHONY: layer
layer: $(DEV) ## stage the Lambda layer under .cache/layer
	@$(PYTHON) -m infra.layer

.PHONY: clean help
clean: ## remove what was made (not .venv)
	@rm -rf .cache build dist cdk.out demo.html
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'
