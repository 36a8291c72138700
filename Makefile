# All commands of the project. Each target installs its own requirements.
PYTHON   ?= python3.13
PORT     ?= 8888
BIN      := .venv/bin
READY    := .venv/.ready
ENGINES  := .venv/.engines
CHECKOV  := .venv/checkov
EMULATOR := .venv/emulator
MUTATION := .venv/mutation

# Keep compiled modules, or each start would compile them again.
unexport PYTHONDONTWRITEBYTECODE
export SAM_CLI_TELEMETRY := 0

# Two workers. worksteal keeps both busy until the end, which loadfile does not when one file takes long.
PARALLEL := $(BIN)/pytest -n 2 --dist worksteal

SOURCES := PYTHONPATH=layers/core:.
RUN     := $(SOURCES) $(BIN)/python -m
INSTALL := $(BIN)/uv pip install -q --require-hashes
COMPILE := $(BIN)/uv pip compile -q --generate-hashes --no-header

.DEFAULT_GOAL := help
.PHONY: $(shell grep -oE '^[a-z][a-z0-9-]*:' Makefile | tr -d :)

help: ## Show this list
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-22s %s\n", $$1, $$2}'

run: $(READY) ## Serve the whole API with demo data on http://127.0.0.1:8888, or another PORT
	@PORT=$(PORT) $(SOURCES) exec $(BIN)/python -m local

test: $(READY) ## Run all tests that need no other programs, without the exhaustive ones, and measure their coverage
	$(PARALLEL) --cov --cov-report=term -m "not exhaustive" tests/unit tests/client tests/e2e tests/iam

# The longest test starts first. Those of tests/iam share a fixture that takes long, and stay in one worker at the start.
test-exhaustive: $(READY) ## Run the tests that try every fault, crash and permission, or fuzz the API
	$(PARALLEL) -m exhaustive tests/e2e tests/iam tests/unit

CLIENT_TESTS := $(foreach version,3.10 3.11 3.12,test-client-$(version))
PYENV_PYTHONS = $(shell pyenv versions --bare 2>/dev/null | paste -s -d :)

test-client: $(READY) ## Run the client's tests on Python 3.10, 3.11 and 3.12, and its tutorial on these and 3.13
	$(MAKE) --no-print-directory -j 2 --output-sync $(CLIENT_TESTS)
	PYENV_VERSION=$(PYENV_PYTHONS) $(BIN)/pytest -q tests/pythons

$(CLIENT_TESTS): test-client-%: .venv/client-%/.ready
	.venv/client-$*/bin/pytest -q --no-header --confcutdir=tests/client -p no:cacheprovider tests/client

.venv/client-%/.ready: requirements/client.txt client/pyproject.toml $(READY)
	PYENV_VERSION=$(PYENV_PYTHONS) $(BIN)/uv venv -q --clear --no-project --python $* .venv/client-$*
	$(INSTALL) --python .venv/client-$*/bin/python -r requirements/client.txt
	$(BIN)/uv pip install -q --python .venv/client-$*/bin/python --no-deps --editable client
	@touch $@

test-browser: $(READY) ## Test the docs page in Chromium (Debian: apt install chromium chromium-driver)
	$(BIN)/pytest tests/browser

test-generated-clients: $(READY) tests/generated_clients/node_modules/.ready ## Generate clients from the OpenAPI document, and use them
	$(BIN)/pytest tests/generated_clients

test-readers: $(READY) ## Open archives in other ZIP readers (Debian: apt install zip unzip p7zip-full libarchive-tools default-jdk-headless)
	$(BIN)/pytest -n 2 tests/readers

# The longest tests start first.
test-integration: $(ENGINES) ## Run the tests on DynamoDB Local and SeaweedFS, with every race of two operations
	$(PARALLEL) --engines=real tests/e2e/test_session.py tests/e2e/test_large_export.py tests/integration tests/unit

reach: $(ENGINES) ## Measure the capacity that each route consumes, and write docs/reach.md
	$(BIN)/pytest --engines=real tests/integration/test_reach.py --write-reach

engines: $(ENGINES) ## Serve DynamoDB Local and SeaweedFS, and print how `make run` uses them
	@$(SOURCES) exec $(BIN)/python -m local.engines

sam-local: docker-running build ## Test the build in containers: `sam local invoke` of every event, and a session (needs Docker)
	$(BIN)/pytest --sam-local tests/sam_local

docker-running: $(READY)
	@$(BIN)/python scripts/require_docker.py

test-deployment: build $(EMULATOR) ## Deploy the build to an AWS emulator with `sam deploy`, and test it there
	$(BIN)/pytest tests/deployment

mutation: $(READY) $(MUTATION) ## Run mutation tests of the archive format and the permission rules
	$(MUTATION)/bin/python scripts/mutation.py

fuzz: FUZZ_SECONDS ?= 300
fuzz: $(READY) requirements/fuzz.txt ## Fuzz the readers of archives and manifests for FUZZ_SECONDS
	$(INSTALL) --python $(BIN)/python -r requirements/fuzz.txt
	$(RUN) scripts.fuzz_imports -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1

benchmark-archive: $(ENGINES) requirements/benchmarks.txt ## Compare exports with streaming ZIP libraries on SeaweedFS
	$(INSTALL) --python $(BIN)/python -r requirements/benchmarks.txt
	$(RUN) benchmarks.archive

benchmark-imports: $(ENGINES) requirements/benchmarks.txt ## Compare the import of an archive with reading and putting its files, on SeaweedFS
	$(INSTALL) --python $(BIN)/python -r requirements/benchmarks.txt
	$(RUN) benchmarks.imports

benchmark-events: $(ENGINES) ## Measure recorded events per second of one project, singly and in batches of ten, on DynamoDB Local
	$(RUN) benchmarks.events

check: $(READY) ## Check lint, format, types, imports, spelling, language and the template
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy --python-version 3.10 client/projects_client
	$(SOURCES) $(BIN)/lint-imports --no-logo
	git ls-files -z | xargs -0 $(BIN)/codespell
	$(BIN)/python scripts/check_language.py
	AWS_DEFAULT_REGION=eu-west-1 $(BIN)/sam validate --lint

audit: $(CHECKOV) ## Scan the template for security problems with checkov; .checkov.yaml lists the exceptions
	$(CHECKOV)/bin/checkov --config-file .checkov.yaml

format: $(READY) ## Format the code, and fix lint that ruff can fix safely
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

parameters: $(READY) ## Write the reference page of the template parameters
	$(RUN) scripts.write_parameters

openapi: $(READY) ## Write the OpenAPI document from the handlers' declarations
	$(RUN) local.openapi_document

hooks: $(READY) ## Install the git hooks that run the quick checks before each commit
	$(BIN)/pre-commit install --hook-type pre-commit --hook-type commit-msg

build: $(READY) ## Build the deployment packages into .aws-sam/
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/sam build
	@$(BIN)/python scripts/stamp_versions.py --config-env $(or $(STAGE),prod)

deploy: stage-named build ## Deploy the build: make deploy STAGE=dev, with PARAMETERS="LogLevel=DEBUG ..." to change more than samconfig.toml
	@$(BIN)/python scripts/stamp_versions.py --config-env $(STAGE) "$$PARAMETERS"
	$(BIN)/sam deploy --config-env $(STAGE) --parameter-overrides file://.aws-sam/build/parameters.yaml

stage-named:
	@test -n "$(STAGE)" || { echo "Name the stage: make deploy STAGE=dev, or STAGE=prod."; exit 2; }

benchmark-cold-start: build ## Measure the start of every function against two other ways to write it, and write the table
	$(RUN) benchmarks.cold_start

lock: UPGRADE := --upgrade
lock: lock-added ## Lock the newest versions that the *.in files allow, with hashes

lock-added: $(READY) ## Lock requirements that were added or removed, and keep the other versions
	$(COMPILE) $(UPGRADE) requirements/uv.in -o requirements/uv.txt
	$(COMPILE) $(UPGRADE) requirements/dev.in client/pyproject.toml --all-extras -o requirements/dev.txt
	$(COMPILE) $(UPGRADE) requirements/client.in client/pyproject.toml --all-extras --universal --python-version 3.10 \
		-o requirements/client.txt
	$(COMPILE) $(UPGRADE) requirements/engines.in -o requirements/engines.txt
	$(COMPILE) $(UPGRADE) requirements/checkov.in -o requirements/checkov.txt
	$(COMPILE) $(UPGRADE) requirements/emulator.in -o requirements/emulator.txt
	$(COMPILE) $(UPGRADE) requirements/mutation.in -o requirements/mutation.txt
	$(COMPILE) $(UPGRADE) requirements/fuzz.in -o requirements/fuzz.txt
	$(COMPILE) $(UPGRADE) -c requirements/dev.txt requirements/benchmarks.in -o requirements/benchmarks.txt
	$(COMPILE) $(UPGRADE) -c requirements/dev.txt layers/core/requirements.in -o layers/core/requirements.txt

clean: ## Remove everything that the other targets installed, built or stored
	rm -rf .venv .aws-sam .local .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .fuzz .fuzz-words .mutation .coverage* \
		tests/iam/node_modules tests/generated_clients/node_modules

$(READY): requirements/uv.txt requirements/dev.txt client/pyproject.toml tests/iam/package-lock.json
	@$(PYTHON) -c 'import sys, ensurepip; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null || { echo \
		"This project needs Python 3.13 with venv: install it (Debian: python3.13-venv), or name it as in" \
		"make $(or $(firstword $(MAKECMDGOALS)),run) PYTHON=/path/to/python3.13" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
	$(INSTALL) --python $(BIN)/python -r requirements/dev.txt
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --editable client
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm ci --silent --ignore-scripts --prefix tests/iam
	@touch $@

tests/generated_clients/node_modules/.ready: tests/generated_clients/package-lock.json $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm ci --silent --ignore-scripts --prefix tests/generated_clients
	@touch $@

$(CHECKOV) $(EMULATOR) $(MUTATION): .venv/%: requirements/%.txt $(READY)
	$(PYTHON) -m venv $@
	$(INSTALL) --python $@/bin/python -r $<
	@touch $@

$(ENGINES): $(READY) requirements/engines.txt local/engines.py
	$(INSTALL) --python $(BIN)/python -r requirements/engines.txt
	$(BIN)/python -m local.engines install
	@touch $@
