# The two commands of the README: `make serve` and `make test`. Each works alone on a fresh clone
# with Python 3.11 or newer, make and a package registry; they build .venv from the hash-pinned lock.

PYTHON ?= python3
ARGS ?=
# The tests' two processes; a module's tests stay together, so that they share what it has started.
SIDE_BY_SIDE ?= -n 2 --dist loadscope --no-loadscope-reorder
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
OPENAI2 := .venv-openai2
SCHEMATHESIS := .venv-schemathesis
CLIENTS := .venv-clients
AUDIT := .venv-audit
DEPLOY := .venv-deploy
SHIPPED := .venv-shipped
ATHERIS := .venv-atheris
SBOM ?= dist/hansard.cdx.json
CLIENT_LOCKS := $(wildcard requirements/clients-*.txt)

.DEFAULT_GOAL := help
.PHONY: help serve test test-clients test-durability test-failover soak schemathesis fuzz atheris check format lint lint-deploy types imports bench bench-store conformance model lock audit licences sbom clean

help:  ## this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

serve: $(VENV)/.runtime  ## start Hansard on http://127.0.0.1:8000/v1; ARGS="--port 8123 --data DIR" goes to `hansard serve`
	@$(BIN)/hansard serve $(ARGS)

test: $(VENV)/.dev $(OPENAI2)/.ready  ## the whole test suite, from unit to acceptance
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

test-clients: $(VENV)/.dev $(OPENAI2)/.ready $(CLIENT_LOCKS:requirements/clients-%.txt=$(CLIENTS)/%/.ready)  ## real clients against a server: LangChain, the AI SDK, llm ...
	@$(BIN)/python -m pytest tests/clients -v -p no:randomly $(ARGS)

test-failover: $(VENV)/.dev  ## examples/replicas under load: the primary dies three times, then a replica; ROUNDS=10 for more
	@HANSARD_FAILOVER_ROUNDS=$(or $(ROUNDS),3) $(BIN)/python -m pytest tests/acceptance/test_failover.py -s -p no:randomly $(ARGS)

test-durability: $(VENV)/.dev  ## kills, failing disks, power cuts and lost connections, round after round, and what was lost
	@HANSARD_DURABILITY_ROUNDS=$${HANSARD_DURABILITY_ROUNDS:-20} HANSARD_DURABILITY_CUTS=$${HANSARD_DURABILITY_CUTS:-500} \
	  HANSARD_DURABILITY_EXAMPLES=$${HANSARD_DURABILITY_EXAMPLES:-100} \
	  $(BIN)/python -m pytest tests/durability tests/store/test_sql.py -q -s -p no:randomly $(ARGS)

soak: $(VENV)/.dev  ## half an hour of mixed load, and what is left over; MINUTES=5 for less, DATABASE=postgresql for that
	@MINUTES=$(MINUTES) PER_S=$(PER_S) SEED=$(SEED) DATABASE=$(DATABASE) $(BIN)/python -m tests.soak

schemathesis: $(VENV)/.dev $(SCHEMATHESIS)/.ready  ## made-up requests against every operation; ARGS="--max-examples 500" for more
	@$(BIN)/python -m tests.fuzz $(ARGS)

fuzz: $(VENV)/.dev  ## 100,000 hostile requests against a server with keys; REQUESTS=5000 for others, SEED=7 for the same again
	@REQUESTS=$(REQUESTS) SEED=$(SEED) $(BIN)/python -m tests.fuzz.hostile

atheris: $(ATHERIS)/.ready  ## made-up bytes for the parsers of requests and streams; SECONDS_EACH=3600 for an hour each
	@for part in request stream; do mkdir -p .bench/atheris/$$part && PYTHONPATH=src $(ATHERIS)/bin/python -m tests.fuzz.atheris_$$part \
	  -max_total_time=$(or $(SECONDS_EACH),120) -artifact_prefix=.bench/atheris/ .bench/atheris/$$part tests/fuzz/corpus/$$part || exit 1; \
	done

check: $(VENV)/.dev format lint lint-deploy types imports licences test  ## what CI runs: format, lint, deploy files, types, import contracts, licences, tests

format: $(VENV)/.dev
	@$(BIN)/ruff format --check .

lint: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/yamllint --strict --config-file deploy/.yamllint deploy

lint-deploy: $(DEPLOY)/.ready  ## the Dockerfile, the Compose files and the Kubernetes manifest, by what reads them elsewhere
	@$(DEPLOY)/bin/hadolint deploy/docker/Dockerfile
	@$(DEPLOY)/bin/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose/*.yaml
	@$(DEPLOY)/bin/kubernetes-validate --quiet --strict deploy/kubernetes/*.yaml

types: $(VENV)/.dev
	@$(BIN)/mypy
	@$(BIN)/mypy --config-file pyproject.toml model bench

imports: $(VENV)/.dev
	@$(BIN)/lint-imports --no-cache

bench: $(VENV)/.dev  ## measure against other servers, side by side; ARGS=validation, authentication, counting, engine, proxy or many-streams for one
	@$(BIN)/python -m bench $(ARGS)

bench-store: $(VENV)/.dev  ## measure the store by itself, on both databases; ARGS="size --database sqlite" for a part, on one
	@$(BIN)/python -m bench.store $(ARGS)

conformance: $(VENV)/.dev  ## judge Hansard and its peers by the API's rules, and write docs/conformance.md
	@$(BIN)/python -m bench.conformance $(ARGS)

model: ## train the built-in model anew (25 to 40 minutes on two cores)
	@$(MAKE) --no-print-directory -C model PYTHON=$(PYTHON)

lock:  ## refresh requirements/*.txt (needs uv)
	cd requirements && ./compile

audit: $(AUDIT)/.ready  ## ask for known vulnerabilities of every version in the locks (needs the network)
	@for lock in container build dev audit deploy; do echo "$$lock:"; \
	  $(AUDIT)/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r requirements/$$lock.txt $(ARGS) || exit 1; \
	done

licences: $(VENV)/.dev  ## hold the licence of every package that an install or the image brings to the allow-list
	@$(BIN)/python requirements/licences.py requirements/container.txt

sbom: $(AUDIT)/.ready $(SHIPPED)/.ready  ## write what the image has to dist/hansard.cdx.json (CycloneDX), with licences
	@mkdir -p $(dir $(SBOM))
	@$(AUDIT)/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application --output-reproducible \
	  --output-format JSON --output-file $(SBOM) $(SHIPPED)/bin/python
	@echo "$(SBOM)"

clean:  ## remove what these targets made
	rm -rf $(VENV) $(OPENAI2) $(CLIENTS) $(SCHEMATHESIS) $(AUDIT) $(DEPLOY) $(SHIPPED) $(ATHERIS) .schemathesis .venv-model .mypy_cache .ruff_cache .pytest_cache .hypothesis .bench

$(VENV)/bin/python:
	@echo "Creating $(VENV) with $$($(PYTHON) --version) ..." >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Hansard needs Python 3.11 or newer: try 'make serve PYTHON=python3.12'." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.runtime: requirements/runtime.txt requirements/build.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing Hansard from the lock (once) ..." >&2
	@$(PIP) --require-hashes -r requirements/runtime.txt -r requirements/build.txt
	@$(PIP) --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	@echo "Installing the development tools from the lock (once) ..." >&2
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

$(OPENAI2)/.ready: requirements/openai2.txt | $(VENV)/bin/python
	@$(PYTHON) -m venv $(OPENAI2)
	@$(OPENAI2)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/openai2.txt
	@touch $@

$(SCHEMATHESIS)/.ready: requirements/schemathesis.txt | $(VENV)/bin/python
	@echo "Installing Schemathesis from its lock (once) ..." >&2
	@$(PYTHON) -m venv $(SCHEMATHESIS)
	@$(SCHEMATHESIS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(ATHERIS)/.ready: requirements/atheris.txt requirements/runtime.txt | $(VENV)/bin/python
	@echo "Installing Atheris from its lock (once) ..." >&2
	@$(PYTHON) -m venv $(ATHERIS)
	@$(ATHERIS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $< -r requirements/runtime.txt
	@touch $@

$(AUDIT)/.ready: requirements/audit.txt | $(VENV)/bin/python
	@echo "Installing the tools of the audit from their lock (once) ..." >&2
	@$(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(DEPLOY)/.ready: requirements/deploy.txt | $(VENV)/bin/python
	@echo "Installing the linters of deploy/ from their lock (once) ..." >&2
	@$(PYTHON) -m venv $(DEPLOY)
	@$(DEPLOY)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# What the image has, and nothing beside it: not even pip.
$(SHIPPED)/.ready: requirements/container.txt | $(VENV)/bin/python
	@rm -rf $(SHIPPED) && $(PYTHON) -m venv --without-pip $(SHIPPED)
	@$(BIN)/python -m pip --python $(SHIPPED)/bin/python install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# One environment for each client, as its users have it: what one of them pins must not hold back another.
$(CLIENTS)/%/.ready: requirements/clients-%.txt | $(VENV)/bin/python
	@echo "Installing the client $* from its lock (once) ..." >&2
	@$(PYTHON) -m venv $(CLIENTS)/$*
	@$(CLIENTS)/$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@
