# Everything a person does with this project. Each target does all of its own set-up.
PYTHON  ?= python3.13
PORT    ?= 8888
BIN     := .venv/bin
READY   := .venv/.ready
ENGINES := .venv/.engines
CHECKOV := .venv/checkov
EMULATOR := .venv/emulator

# what is installed is compiled once, and not at every start where PYTHONDONTWRITEBYTECODE is set, as in CI
export UV_COMPILE_BYTECODE := 1
export SAM_CLI_TELEMETRY := 0

PARALLEL := $(BIN)/pytest -n 2 --dist loadfile

SOURCES := PYTHONPATH=layers/core:.
RUN     := $(SOURCES) $(BIN)/python -m
INSTALL := $(BIN)/uv pip install -q --require-hashes
LOCK    := $(BIN)/uv pip compile -q --upgrade --generate-hashes --no-header

.DEFAULT_GOAL := help
.PHONY: $(shell grep -oE '^[a-z][a-z-]*:' Makefile | tr -d :)

help: ## Show this list
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-22s %s\n", $$1, $$2}'

run: $(READY) ## Serve the whole API on http://127.0.0.1:$(PORT), with demo data
	@PORT=$(PORT) $(SOURCES) exec $(BIN)/python -m local

test: $(READY) ## Run the unit tests, and the API over real HTTP
	$(PARALLEL)

test-browser: $(READY) ## Run the tests of the docs page in Chromium (Debian: apt install chromium chromium-driver)
	$(BIN)/pytest tests/browser

test-readers: $(READY) ## Open archives in other ZIP readers (Debian: apt install unzip p7zip-full libarchive-tools default-jdk-headless)
	$(BIN)/pytest -n 2 tests/readers

test-integration: $(ENGINES) ## Run the tests on real engines: DynamoDB Local and SeaweedFS
	$(PARALLEL) --engines=real tests/unit tests/integration tests/e2e/test_session.py tests/e2e/test_large_export.py

reach: $(ENGINES) ## Measure what each route costs, and write docs/reach.md
	$(BIN)/pytest --engines=real tests/integration/test_reach.py --write-reach

engines: $(ENGINES) ## Serve DynamoDB Local and SeaweedFS, and say how `make run` stands on them
	@$(SOURCES) exec $(BIN)/python -m local.engines

sam-local: build ## Ask what is built, in containers: `sam local invoke` of every event, and a session (needs Docker)
	$(BIN)/pytest --sam-local tests/sam_local

test-deployment: build $(EMULATOR) ## Deploy what is built to an emulator of AWS, by `sam deploy`, and use it there
	$(BIN)/pytest tests/deployment

benchmark-archive: $(ENGINES) requirements/benchmarks.txt ## Time archives against ZIP makers that pipe, on SeaweedFS
	$(INSTALL) --python $(BIN)/python -r requirements/benchmarks.txt
	$(RUN) benchmarks.archive

benchmark-events: $(ENGINES) ## Count the events of one project in a second, one by one and ten at once, on DynamoDB Local
	$(RUN) benchmarks.events

check: $(READY) ## Lint, formatting, types and the template
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	AWS_DEFAULT_REGION=eu-west-1 $(BIN)/sam validate --lint

audit: $(CHECKOV) ## Look the template over for what is insecure, with checkov; .checkov.yaml names the exceptions
	$(CHECKOV)/bin/checkov --config-file .checkov.yaml

format: $(READY) ## Format the code and mend what lint can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

openapi: $(READY) ## Write the OpenAPI document from the handlers' declarations
	$(RUN) local.openapi_document

hooks: $(READY) ## Have git run the quick checks before each commit
	$(BIN)/pre-commit install --hook-type pre-commit --hook-type commit-msg

build: $(READY) ## Build what is deployed, into .aws-sam/
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/sam build

benchmark-cold-start: build ## Start every function, against a bare client and the usual handler; write the table
	$(RUN) benchmarks.cold_start

lock: $(READY) ## Lock the newest versions that the *.in files allow, with hashes
	$(LOCK) requirements/uv.in -o requirements/uv.txt
	$(LOCK) requirements/dev.in client/pyproject.toml --all-extras -o requirements/dev.txt
	$(LOCK) requirements/engines.in -o requirements/engines.txt
	$(LOCK) requirements/checkov.in -o requirements/checkov.txt
	$(LOCK) requirements/emulator.in -o requirements/emulator.txt
	$(LOCK) -c requirements/dev.txt requirements/benchmarks.in -o requirements/benchmarks.txt
	$(LOCK) -c requirements/dev.txt layers/core/requirements.in -o layers/core/requirements.txt

clean: ## Remove everything that was installed, built or stored
	rm -rf .venv .aws-sam .local .mypy_cache .pytest_cache .ruff_cache .hypothesis tests/iam/node_modules

$(READY): requirements/uv.txt requirements/dev.txt client/pyproject.toml tests/iam/package-lock.json
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
	$(INSTALL) --python $(BIN)/python -r requirements/dev.txt
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --editable client
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm ci --silent --ignore-scripts --prefix tests/iam
	@touch $@

$(CHECKOV) $(EMULATOR): .venv/%: requirements/%.txt $(READY)
	$(PYTHON) -m venv $@
	$(INSTALL) --python $@/bin/python -r $<
	@touch $@

$(ENGINES): $(READY) requirements/engines.txt local/engines.py
	$(INSTALL) --python $(BIN)/python -r requirements/engines.txt
	$(BIN)/python -m local.engines install
	@touch $@
