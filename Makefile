# Everything starts here. `make demo` and `make test` set up what they need, on a fresh machine with Python and make.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
WORKERS ?= auto
comma  := ,
FUZZED := $(patsubst tests/fuzz/fuzz_%.py,%,$(sort $(wildcard tests/fuzz/fuzz_*.py)))
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header --group dev --all-extras
FAULTS  := tests/faults tests/fuzz tests/contract/test_ledger_machine.py

.DEFAULT_GOAL := help
.PHONY: help demo test quick faults fuzz airflow bench check lint types rooms audit format coverage lock upgrade schema shelf samples clean

help:  ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY)  ## Import the sample export into a stand-in platform, twice: nothing is sent a second time
	@$(BIN)/python sample_data/demo.py

test: $(READY)  ## Run all tests (BUT=faults: without what `make faults` runs)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(if $(filter faults,$(BUT)),$(FAULTS:%=--but-short %))

quick: $(READY)  ## Run the tests that take seconds
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow"

# QUICK=1 for small sizes; ONLY=single,memory for some parts; see tests/bench/__main__.py.
bench: $(READY)  ## Measure against what people use, into docs/performance.md (under 30 minutes)
	$(BIN)/python tests/bench $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY)) $(if $(BUDGET),--budget $(BUDGET))

faults: $(READY)  ## Prove the promise: kills, faults, bad input (LONG=1: kills until told to stop, FOR=3600 to bound it)
ifdef LONG
	$(BIN)/python tests/faults/long_form.py $(if $(FOR),--for $(FOR)) $(if $(EVERY),--every-statement)
else
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(FAULTS) -m "not slow"
endif

fuzz: $(READY)  ## Fuzz what takes bytes from outside, guided by coverage (ONLY=answers,mapping FOR=60)
	$(BIN)/pip install -qq --disable-pip-version-check "atheris>=2.3,<4"
	@for name in $(or $(subst $(comma), ,$(ONLY)),$(FUZZED)); do $(BIN)/python tests/fuzz $$name --for $(or $(FOR),60) || exit 1; done

airflow: build/airflow/bin/airflow  ## Install Airflow beside us, for the test of its recipe (some minutes)

build/airflow/bin/airflow:
	$(PYTHON) -m venv build/airflow
	build/airflow/bin/pip install -qq --disable-pip-version-check --no-compile "apache-airflow>=3,<4"

check: lint types rooms audit  ## Lint, types, the walls between the rooms, and known faults of what is pinned

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

rooms: $(READY)
	$(BIN)/lint-imports

audit: $(READY)  ## Ask whether pinned versions are known to be vulnerable (STRICT=1: fail if nobody can be asked)
	$(BIN)/python tests/audit $(if $(STRICT),--strict)

format: $(READY)  ## Put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

coverage: $(READY)  ## Run the tests with branch coverage, subprocesses included
	$(BIN)/python -m pytest -n $(WORKERS) --cov --cov-report=term

samples: $(READY)  ## Make the sample data anew (it is the same every time)
	$(BIN)/python sample_data/make_samples.py

schema: $(READY)  ## Write the JSON Schema of job files
	$(BIN)/python -m batchrunner.config > batchrunner/job.schema.json

lock: $(READY)  ## Pin what pyproject.toml newly asks for; keep every version that is chosen already
	$(BIN)/pip install --quiet "uv>=0.5"
	$(COMPILE) pyproject.toml -o requirements.lock

upgrade: $(READY)  ## Choose the newest versions within the ranges of pyproject.toml
	$(BIN)/pip install --quiet "uv>=0.5"
	$(COMPILE) --upgrade pyproject.toml -o requirements.lock

clean:  ## Remove the environment and everything that was made
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*

# Any active environment is left alone: the project has its own. The hashes make the set-up the same everywhere; the
# lock is whole, so nothing is resolved: pip would look at a newer release of an extra, and refuse it for want of a hash.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "batchrunner needs Python 3.11 or newer; name one with: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
		|| { echo "this Python cannot make environments; on Debian: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
