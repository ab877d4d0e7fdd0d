# Everything a person does here, one word each. `make help` lists the words.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
STACK ?= dev
VENV := .venv
RUN := $(VENV)/bin/python
LOCAL := $(RUN) -m local
# Only a KUBECONFIG written on make's own command line counts: one that merely stands in the environment must not
# turn `make up` into a change of somebody's cluster.
ELSEWHERE = $(if $(filter command,$(origin KUBECONFIG)),--kubeconfig $(KUBECONFIG))
FLAGS = --stack $(STACK) $(ELSEWHERE) $(if $(CONFIG),$(addprefix --config ,$(CONFIG)))
UV_PIP := $(VENV)/bin/uv pip install --quiet --python $(RUN) --require-hashes
# pulumi-aws is large: it is installed for stacks that declare something there.
NEEDS := $(VENV)/$(if $(shell grep -lsE '^ *tts:(nodeGroup|aws):' Pulumi.$(STACK).yaml),.program,.local)
PACK := policy/.venv
# torch and its libraries take 5 GB: they are installed for the tests of the engines alone.
TORCH := serving/engines/voxcpm/.venv
LOCKS := requirements policy/requirements local/requirements release/requirements serving/engines/hibari/requirements \
         serving/engines/hibari/build-requirements serving/engines/voxcpm/requirements serving/engines/glm_tts/requirements tests/requirements \
         tests/engines/requirements

.DEFAULT_GOAL := help
.PHONY: help demo up release upload register api-key export-records reference preview render status logs down test test-engines test-cluster test-matrix test-soak bench-release bench-cluster bench-serving policy format lint types lock clean

help:  ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.local  ## Two real releases on this machine, under traffic: ends with `dropped 0 of N`
	@$(LOCAL) demo --stack $(STACK)

up: $(NEEDS)  ## Bring the stack to what its config says (STACK=dev, CONFIG="key=value ...")
	@$(LOCAL) up $(FLAGS)

release: $(NEEDS)  ## Write VERSION into the stack's config and run `up`: make release VERSION=1.1.0
	@test -n "$(VERSION)" || { echo "Say which version: make release VERSION=1.1.0 (the versions are the files in models/)." >&2; exit 2; }
	@$(LOCAL) release $(VERSION) $(FLAGS)

upload: $(VENV)/.local  ## Put a version's model files into tts:objectStore: make upload VERSION=1.1.0 (FILES=folder)
	@test -n "$(VERSION)" || { echo "Say which version: make upload VERSION=1.1.0 (the versions are the files in models/)." >&2; exit 2; }
	@$(LOCAL) upload $(VERSION) $(FLAGS) $(if $(FILES),--files "$(FILES)")

register: $(VENV)/.local  ## A training output becomes a version: make register DIR=out MODEL=voxcpm VERSION=1.6.0 (STACK=dev edits its config)
	@test -n "$(DIR)" -a -n "$(MODEL)" -a -n "$(VERSION)" || { echo "Say what, as what: make register DIR=out MODEL=voxcpm VERSION=1.6.0." >&2; exit 2; }
	@$(LOCAL) register "$(DIR)" "$(MODEL)" "$(VERSION)" $(FLAGS) $(if $(filter command,$(origin STACK)),--edit)

api-key: $(VENV)/.local  ## Make an API key for a caller of tts:apiKeys: make api-key NAME=ada (REVOKE=1 takes it away)
	@test -n "$(NAME)" || { echo "Say whose key it is: make api-key NAME=ada." >&2; exit 2; }
	@$(LOCAL) api-key "$(NAME)" $(FLAGS) $(if $(REVOKE),--revoke)

export-records: $(VENV)/.local  ## Write tts:records as a data set for training: make export-records OUT=folder (SINCE=2026-11-01 RATED=up)
	@test -n "$(OUT)" || { echo "Say where to: make export-records OUT=folder." >&2; exit 2; }
	@$(LOCAL) export-records "$(OUT)" $(FLAGS) $(if $(SINCE),--since $(SINCE)) $(if $(RATED),--rated $(RATED))

preview: $(NEEDS)  ## Show what `up` would change; touches nothing
	@$(LOCAL) preview $(FLAGS)

render: $(NEEDS)  ## Write the objects of a stack with tts:gitops for Argo CD: make render STACK=prod (OUT=folder)
	@$(LOCAL) render $(FLAGS) $(if $(OUT),--out "$(OUT)")

status: $(NEEDS)  ## What is live, since when, by which release
	@$(LOCAL) status $(FLAGS)

logs: $(NEEDS)  ## The logs of the stack's pods
	@$(LOCAL) logs $(FLAGS)

down: $(NEEDS)  ## Remove the stack; the embedded platform stops when nothing is left on it
	@$(LOCAL) down $(FLAGS)

test: $(VENV)/.tests $(PACK)/.pack  ## All checks that need no cluster: format, lint, types, layers, tests (14 minutes on 2 cores)
	@$(VENV)/bin/ruff format --check --quiet . && $(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-logo | tail -n 1
	@$(RUN) -m pytest -m "not cluster and not matrix and not soak" --numprocesses 2 --dist loadfile --no-loadscope-reorder $(PYTEST)

test-engines: $(TORCH)/.engines  ## The tests of the engines on torch, in an environment of their own (5 GB; then 3 minutes on 2 cores)
	@TQDM_DISABLE=1 $(TORCH)/bin/python -m pytest tests/engines $(PYTEST)

test-cluster: $(VENV)/.tests  ## The tests on a real Kubernetes with Istio, named by KUBECONFIG and TTS_*
	@if [ -z "$(KUBECONFIG)" ]; then echo "The cluster tests were not run: KUBECONFIG names no cluster."; \
	else $(RUN) -m pytest -m "cluster and not matrix" $(PYTEST); fi

test-matrix: $(VENV)/.tests  ## Every kill of the matrix, printed as a table; with CLUSTER=1 that on the cluster (an hour each)
	@$(RUN) -m pytest -m "matrix and $(if $(CLUSTER),,not )cluster" -s $(PYTEST)

test-soak: $(VENV)/.tests  ## The long forms: thousands of invented requests, a thousand streams at once (half an hour)
	@$(RUN) -m pytest -m soak -s $(PYTEST)

bench-release: $(VENV)/.tests  ## How long releases, restores and rollbacks take, and what they drop (RUNS=20: half an hour)
	@$(RUN) -m tests.bench.release --runs $(or $(RUNS),20)

policy: $(PACK)/.pack  ## Set up the policy pack, for `pulumi preview --policy-pack policy`

bench-cluster: $(VENV)/.tests  ## A release's time on a cluster, step by step, beside the embedded platform's (RUNS=3: ten minutes)
	@$(RUN) -m tests.bench.cluster --runs $(or $(RUNS),3)

bench-serving: $(VENV)/.tests  ## The speech server against the bare engine, and under load (RUNS=8: five minutes; SHORT=1: one)
	@$(RUN) -m tests.bench.serving --runs $(or $(RUNS),8) $(if $(SHORT),--short)

format: $(VENV)/.tests  ## Format the code
	@$(VENV)/bin/ruff format . && $(VENV)/bin/ruff check --fix .

lint: $(VENV)/.tests  ## Lint, and hold the layers
	@$(VENV)/bin/ruff check . && $(VENV)/bin/lint-imports --no-logo

types: $(VENV)/.tests  ## Check the types, strictly
	@$(VENV)/bin/mypy

reference: $(VENV)/.tests  ## Write docs/reference anew from Pulumi.yaml and the server's description
	@$(RUN) docs/reference/generate.py

lock: $(VENV)/.local  ## Write the requirements.txt files anew from their .in files, with every hash
	@for name in $(LOCKS); do echo $$name.txt; excludes=$$(dirname $$name)/excludes.txt; test -e $$excludes || excludes=; \
	  $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  $${excludes:+--excludes $$excludes} $$name.in --output-file $$name.txt || exit 1; done

clean: ## Remove the environment and, after `make down`, the embedded platform's folder
	@if [ -e .tts/node/daemon.json ]; then echo "Run 'make down' first: the embedded platform still runs." >&2; exit 1; fi
	@rm -rf $(VENV) $(PACK) $(TORCH) .tts .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# uv comes first and by pip, at the version that local/requirements.in pins; it installs all else, checked by hash.
$(VENV)/.uv: local/requirements.in
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is needed; $(PYTHON) is another version. Name one: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@echo "Setting up the Python environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check "$$(grep -E '^uv==' local/requirements.in)"
	@touch $@

$(VENV)/.local: $(VENV)/.uv local/requirements.txt
	@$(UV_PIP) -r local/requirements.txt
	@touch $@

$(VENV)/.program: $(VENV)/.local requirements.txt
	@$(UV_PIP) -r requirements.txt
	@touch $@

$(VENV)/.tests: $(VENV)/.local tests/requirements.txt
	@$(UV_PIP) -r tests/requirements.txt
	@touch $@

$(PACK)/.pack: $(VENV)/.local policy/requirements.txt
	@$(PYTHON) -m venv $(PACK)
	@$(VENV)/bin/uv pip install --quiet --python $(PACK)/bin/python --require-hashes -r policy/requirements.txt
	@touch $@

$(TORCH)/.engines: $(VENV)/.local serving/engines/voxcpm/requirements.txt tests/engines/requirements.txt
	@echo "Setting up the environment of the engines on torch in $(TORCH)"
	@$(PYTHON) -m venv $(TORCH)
	@$(VENV)/bin/uv pip install --quiet --python $(TORCH)/bin/python --no-deps --require-hashes -r serving/engines/voxcpm/requirements.txt
	@$(VENV)/bin/uv pip install --quiet --python $(TORCH)/bin/python --require-hashes -r tests/engines/requirements.txt
	@touch $@
