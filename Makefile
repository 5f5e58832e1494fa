# make demo: set up and run everything on this machine.   make test: set up and test everything.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH := $(shell sed -n 's/^torch==//p' requirements.lock)
# The CPU build: a tenth of the size of the CUDA build that pip takes by default on Linux.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
N8N_DIR ?= var/n8n

.DEFAULT_GOAL := help
.PHONY: help demo test test-compose test-n8n check security fuzz deploy rollback doctor bench bench-reminders bench-breakdown bench-scaling bench-engine bench-spool bench-durability bench-danger bench-overload chaos chaos-rabbitmq chaos-sentinel train evaluate report lock clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-13s %s\n", $$1, $$2}'

$(VENV)/.installed: setup.cfg requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: set PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing PyTorch $(TORCH) (CPU) ..."
	@$(BIN)/python -c 'import torch, sys; sys.exit(torch.__version__.split("+")[0] != "$(TORCH)")' 2>/dev/null \
	  || $(BIN)/pip install -q --retries 0 --timeout 10 --index-url $(TORCH_INDEX) --no-deps "torch==$(TORCH)" 2>/dev/null \
	  || $(BIN)/pip install -q --no-deps "torch==$(TORCH)"
	@echo "Installing the other packages ..."
	@$(BIN)/pip install -q -c requirements.lock ".[webhook,worker,dev]"
	@rm -rf build *.egg-info
	@touch $@

demo: $(VENV)/.installed ## start everything on loopback with simulated patients, Meta and backend (Ctrl-C stops it)
	@$(BIN)/python -m demo

test: $(VENV)/.installed check ## the whole test suite, with real Redis, workers and browser
	@$(BIN)/python -m pytest -n 4 --dist loadscope

test-compose: $(VENV)/.installed ## build the images and try the demo in a real Docker engine, behind nginx with TLS (minutes)
	@COMPOSE_TEST=1 $(BIN)/python -m pytest -v -s -p no:cacheprovider tests/deploy/test_compose_up.py

test-n8n: $(VENV)/.installed ## n8n in front of the system, for real; installs n8n (2.4 GB) into N8N_DIR, default var/n8n
	@bash tests/n8n/install.sh $(N8N_DIR)
	@N8N_DIR=$(N8N_DIR) $(BIN)/python -m pytest -m n8n tests/n8n

check: $(VENV)/.installed ## format, lint, types, import rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

security: $(VENV)/.installed ## what docs/security.md claims: scanners, slow patterns, Redis' login, hashes (minutes)
	@$(BIN)/hadolint Dockerfile.webhook Dockerfile.worker
	@$(BIN)/python -m pytest -q tests/security tests/fuzz

fuzz: $(VENV)/.installed ## 1,000,000 inputs by atheris against what comes from outside (an hour or two on one core)
	@$(BIN)/pip install -q -c requirements.lock ".[fuzz]"
	@rm -rf build *.egg-info
	@$(BIN)/python -m tests.fuzz.run $(ARGS)

doctor: $(VENV)/.installed ## check what this installation needs: settings, Redis, workers, model, Meta, backend, mail, clock
	@$(BIN)/python -m workers.doctor $(ARGS)

bench: $(VENV)/.installed ## benchmarks: ratios against a baseline taken in the same run
	@$(BIN)/python -m benchmarks.road

bench-reminders: $(VENV)/.installed ## 10,000 reminders against Meta's limits, and beside replies (about 25 minutes)
	@$(BIN)/python -m benchmarks.reminders

bench-breakdown: $(VENV)/.installed ## what the road adds around the model, step by step (2 minutes on quiet cores)
	@$(BIN)/python -m benchmarks.breakdown $(ARGS)

bench-scaling: $(VENV)/.installed ## replies a second of one and two workers, and waits up to twice that load (15 minutes on quiet cores)
	@mkdir -p var && $(BIN)/python -m benchmarks.scaling --out var/scaling.json --picture docs/scaling.png $(ARGS)

bench-engine: $(VENV)/.installed ## the engine beside transformers and CTranslate2, an hour on quiet cores: ARGS="a c --picture docs/engine.png"
	@GLIBC_TUNABLES=glibc.malloc.hugetlb=1 $(BIN)/python -m benchmarks.engine --out var/engine.json $(ARGS)

chaos: $(VENV)/.installed ## everything that breaks in production, for half an hour, while patients write: ARGS="--seed 1"
	@$(BIN)/python -m tests.chaos --messages-per-second 12 --out var/chaos.json $(ARGS)

chaos-rabbitmq: $(VENV)/.installed ## the same with RabbitMQ as the broker, ten minutes; needs Debian's rabbitmq-server
	@$(BIN)/python -m tests.chaos --broker rabbitmq --minutes 10 --out var/chaos-rabbitmq.json $(ARGS)

chaos-sentinel: $(VENV)/.installed ## the same with Redis behind Sentinel, ten minutes; prints what each failover lost
	@$(BIN)/python -m tests.chaos --redis sentinel --minutes 10 --out var/chaos-sentinel.json $(ARGS)

bench-spool: $(VENV)/.installed ## a minute without Redis, killed and hung, 83 messages a second (about 5 minutes)
	@$(BIN)/python -m benchmarks.spool

bench-overload: $(VENV)/.installed ## ten times what can be answered for a minute, then calm until all is answered (15 minutes on quiet cores)
	@mkdir -p var && $(BIN)/python -m benchmarks.overload --out var/overload.json --picture docs/overload.png $(ARGS)

bench-danger: $(VENV)/.installed ## a danger message's fixed reply while backend, model, queue or rate limit stand in the way (10 minutes)
	@mkdir -p var && $(BIN)/python -m benchmarks.danger --out var/danger.json $(ARGS)

bench-durability: $(VENV)/.installed ## what syncing each write costs in acks, and what is lost without it (about 8 minutes)
	@$(BIN)/python -m benchmarks.durability $(ARGS)

train: $(VENV)/.installed ## fit n-grams and weights, train the bundled model on this CPU, measure it (about an hour)
	@$(BIN)/python -m training.cards
	@$(BIN)/python -m training.reliability
	@$(BIN)/python -m training.ngrams
	@$(BIN)/python -m training.calibrate
	@$(BIN)/python -m training.train
	@$(BIN)/python -m training.drafts

evaluate: $(VENV)/.installed ## measure the bundled model on the held-out split, or on FILE=gold.jsonl
	@$(BIN)/python -m training.evaluate $(if $(FILE),--file $(FILE))

report: $(VENV)/.installed ## write yesterday's report to var/reports, or of DATE=2026-11-23, or TO=folder; SEND=1 mails it
	@$(BIN)/python -m workers.report $(if $(DATE),--date $(DATE)) $(if $(TO),--to $(TO)) $(if $(SEND),--send)

deploy: ## update the Compose stack of this server to the release that is checked out: TAG=v0.2.0
	@deploy/update.sh $(TAG)

rollback: ## go back to the release before the last update
	@deploy/rollback.sh

lock: ## write the exact versions of a fresh installation to requirements.lock, with hashes for the images
	@rm -rf var/lock && $(PYTHON) -m venv var/lock
	@var/lock/bin/pip install -q "torch==$(TORCH)" && var/lock/bin/pip install -q ".[webhook,worker,dev,fuzz]"
	@{ echo "# Exact versions, written by 'make lock'. The torch build (CPU or CUDA) is chosen where it is installed."; \
	   var/lock/bin/pip freeze --exclude canada-tb-assistant | sed 's/+cpu$$//' | grep -vi '^-e\|@ file'; } > requirements.lock
	@var/lock/bin/python deploy/hashes.py
	@rm -rf build *.egg-info var/lock

clean: ## remove what make made here (the model cache stays)
	rm -rf $(VENV) var build *.egg-info
