# The verbs people type. `make run` and `make test` are all that a fresh machine needs.
PORT ?= 8000
DATA ?= .local
MODELS ?= 2
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup run test test-clients build smoke services simulate bench bench-growth bench-peers bench-where bench-costs bench-plots fuzz lint check format api-reference lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install everything into this folder (quick when nothing changed)
	@scripts/setup

run: setup ## run the whole gateway on this machine: PORT=8000 DATA=.local MODELS=2
	@exec $(BIN)/python -m jatevo_local --port $(PORT) --data $(DATA) --models $(MODELS)

test: setup build ## run every test
	@scripts/npm-packages tests/browser
	$(BIN)/python -m pytest

test-clients: setup ## run real clients against the gateway: Codex, the SDKs of OpenAI, Anthropic and Vercel
	@scripts/clients >/dev/null
	$(BIN)/python -m pytest tests/clients

build: setup ## sam build: what `sam deploy` uploads, and its sizes (quick when nothing changed)
	@scripts/build

smoke: setup ## try a gateway as a client does: URL=https://… KEY=sk-clb-…
	@JATEVO_KEY="$(KEY)" $(BIN)/python -m jatevo_cli.smoke "$(URL)"

services: setup ## what `sam local start-api` needs around it: engine, model, .local/sam-env.json
	@exec $(BIN)/python -m jatevo_local.services --data $(DATA) $(if $(HOST),--host $(HOST))

simulate: setup ## the whole gateway in a simulation: SEED=0 STEPS=5000 SEEDS=1; MUTANT=name breaks it first
	@PYTHONHASHSEED=0 PYTHONPATH=tests/support $(BIN)/python -m jatevo_testing.simulate \
		--seed $(or $(SEED),0) --steps $(or $(STEPS),5000) --seeds $(or $(SEEDS),1) $(if $(MUTANT),--plant $(MUTANT))

bench: build ## what a request costs this gateway, over a stub of known timing: BENCH=--quick
	@PYTHONPATH=tests/support $(BIN)/python benchmarks/request_cost.py $(BENCH)

bench-growth: setup ## DynamoDB units on every route, and with what they grow: GROWTH="--most 1000000"
	@PYTHONPATH=tests/support $(BIN)/python benchmarks/growth.py $(GROWTH)

bench-peers: setup ## other gateways beside this one: codex-lb, LiteLLM, Portkey, installed into .tools/peers (0.7 GB)
	@scripts/peers
	@PYTHONPATH=tests/support $(BIN)/python benchmarks/peers.py $(PEERS)

bench-where: setup ## where the CPU of a request goes
	@PYTHONPATH=tests/support $(BIN)/python benchmarks/where.py

bench-costs: setup ## what that costs on AWS, from published prices: COSTS="--plain-ms 1.5"
	@$(BIN)/python benchmarks/costs.py $(COSTS)

bench-plots: setup ## the plots of docs/benchmarks.md and docs/costs.md, from the tables there
	@$(BIN)/python benchmarks/plots.py

fuzz: setup ## nonsense for every route of a gateway of its own: SECONDS_EACH=60
	@scripts/fuzz

lint: setup ## format, lint, types, import rules, template
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@scripts/sam validate --lint

check: lint test ## lint and every test: what a change must pass

format: setup ## format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

api-reference: setup ## write docs/api/openapi.json anew from the apps
	@$(BIN)/python -m jatevo_local.api_reference

lock: ## write the lock files anew from pyproject.toml and local/engines/package.json
	@scripts/lock

clean: ## remove what setup and the tools made; the local stack's data stays
	rm -rf .venv .tools .aws-sam local/engines/node_modules tests/clients/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis
