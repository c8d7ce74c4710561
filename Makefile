# Trainyard's one door. `make` lists what it does.
# A trainer is added by its name in SERVICES and a folder of that name under services/.

SERVICES    := boosting tensorflow pytorch
UV_VERSION  := 0.13.9
# Which build of PyTorch: cpu, or for a GPU cu130 and the like (make clean before another).
TORCH_BACKEND ?= cpu
TEST_ARGS   ?=
# Tests at once; each worker has an MLflow and services of its own, up to 4 GB. They wait half of the time, so
# four keep two processors busy: 25 minutes, and 39 with three.
TEST_WORKERS ?= $(shell awk '/^MemTotal/ { print ($$2 > 20e6 ? 4 : $$2 > 16e6 ? 3 : 2) }' /proc/meminfo)

# Past these `make fuzz` begins no other round.
FUZZ_MINUTES ?= 20

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-builtin-rules

ENVS  := dev mlflow airflow console $(SERVICES)
UV    := $(CURDIR)/.venvs/uv/bin/uv
READY := $(ENVS:%=.venvs/%/.ready)
READY_WITH_RAY := $(SERVICES:%=.venvs/%-ray/.ready)

# The first Python 3.11 there is; else the newest that can start uv, which then brings a 3.11.
find-python = for name in python3.11 python3 python; do \
	$$name -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null \
	&& $$name -c 'import sys; print(sys.executable)' && exit; done; \
	for name in python3 python; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& $$name -c 'import sys; print(sys.executable)' && exit; done; true
PYTHON ?= $(shell $(find-python))

# What a process compiles of our sources is kept for the next one, also where the machine's rule is another.
unexport PYTHONDONTWRITEBYTECODE

# Folders of wheels that pip was told of are for uv too.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_NO_PROGRESS ?= 1

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+(\/?%)?:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: $(READY) ## make every environment under .venvs/ (the others do it as they need)

.PHONY: demo
demo: .venvs/mlflow/.ready .venvs/boosting/.ready ## train XGBoost and LightGBM on real data and register the better one
	@.venvs/boosting/bin/python scripts/demo.py

.PHONY: serve
serve: $(filter-out .venvs/dev/.ready .venvs/airflow/.ready,$(READY)) $(if $(ENGINE),$(SERVICES:%=.venvs/%-$(ENGINE)/.ready)) ## start MLflow, the trainers and the console in the background; logs under .run/ (ENGINE=ray WORKERS=2: runs on two hosts of a Ray cluster, here)
	@ENGINE="$(ENGINE)" WORKERS="$(WORKERS)" .venvs/boosting/bin/python scripts/serve.py start $(SERVICES)

.PHONY: airflow
airflow: .venvs/airflow/.ready .venvs/boosting/.ready ## start Airflow in the background, beside `make serve`, on port 8082 (admin/admin)
	@.venvs/boosting/bin/python scripts/serve.py airflow

.PHONY: stop
stop: ## stop what `make serve` and `make airflow` started
	@if [[ -x .venvs/boosting/bin/python ]]; then .venvs/boosting/bin/python scripts/serve.py stop; \
	else echo "Nothing was started from here."; fi

.PHONY: versions
versions: ## print the version of each framework, from inside its image, or its environment where there are no images
	@if scripts/stack.sh built; then scripts/stack.sh versions; else $(MAKE) --silent $(READY) && \
	for env in $(filter-out dev,$(ENVS)); do .venvs/$$env/bin/python scripts/versions.py "$$env"; done; fi

.PHONY: env
env: ## make .env with random secrets (what it has stays)
	@$(PYTHON) scripts/env.py

.env:
	@$(PYTHON) scripts/env.py

.PHONY: up
up: .env ## build and start the whole stack in Docker, and wait until it is healthy (GPU=1, DOCKER_SOCKET=1, WORKERS=2: boosting's runs on two hosts of a Ray cluster)
	@scripts/stack.sh up

.PHONY: down
down: .env ## stop the stack; its volumes stay
	@scripts/compose.sh down --remove-orphans

.PHONY: ps
ps: .env ## show the stack's containers
	@scripts/compose.sh ps --all

.PHONY: size
size: ## print the size of each image over the base image
	@scripts/stack.sh size

.PHONY: build
build: .env ## build every image
	@scripts/stack.sh build boosting tensorflow pytorch console mlflow airflow

build/%: .env ## build one image, such as build/boosting
	@scripts/stack.sh build $*

rebuild-%: .env ## build one image and restart its service; the others keep their containers
	@scripts/stack.sh rebuild $*

logs/%: .env ## follow the log of one container, such as logs/mlflow
	@scripts/compose.sh logs --follow --tail 100 $*

shell/%: .env ## open a shell in one container, such as shell/pytorch
	@scripts/compose.sh exec $* bash

# One half is of the stack itself, the other of projects beside it.
.PHONY: test-stack
test-stack: .venvs/dev/.ready ## test the stack that `make up` started (TEST_ARGS= goes to pytest)
	@.venvs/dev/bin/python -m pytest tests/stack --numprocesses 2 --dist loadgroup --no-loadscope-reorder $(TEST_ARGS)

# The tests train on processors that other tests use too: threads that wait for each other soon sleep, as a service has
# it for its runs. XGBoost and LightGBM take a third less of the processor so.
test fuzz: export GOMP_SPINCOUNT ?= 1000
test fuzz: export OPENBLAS_THREAD_TIMEOUT ?= 18

.PHONY: test
test: $(READY) $(READY_WITH_RAY) ## run every test that needs no Docker (TEST_ARGS= goes to pytest, TEST_WORKERS= at once)
	@.venvs/dev/bin/python -m pytest tests --ignore=tests/stack --numprocesses $(TEST_WORKERS) --dist loadgroup --no-loadscope-reorder $(TEST_ARGS)

.PHONY: fuzz
fuzz: $(READY) ## run every property with other examples each time, round after round, until one fails or FUZZ_MINUTES are over (20)
	@FUZZ_MINUTES="$(FUZZ_MINUTES)" TEST_WORKERS="$(TEST_WORKERS)" scripts/fuzz.sh $(TEST_ARGS)

.PHONY: bench
bench: $(READY) .venvs/boosting-ray/.ready ## measure against the plain scripts; writes bench/results/
	@.venvs/dev/bin/python bench/run.py
	@.venvs/dev/bin/python bench/reading.py
	@.venvs/dev/bin/python bench/scoring.py
	@.venvs/dev/bin/python bench/networks.py $(SERVICES)
	@.venvs/dev/bin/python bench/search.py

.PHONY: bench-kills
bench-kills: .venvs/dev/.ready .venvs/mlflow/.ready .venvs/boosting/.ready ## a thousand runs while processes are killed at random, counted; half an hour (KILLS_RUNS=50 for a quick look)
	@.venvs/dev/bin/python bench/kills.py

.PHONY: bench-search-kills
bench-search-kills: .venvs/dev/.ready .venvs/mlflow/.ready .venvs/boosting/.ready ## searches while their processes are killed at random, counted; 4 minutes
	@.venvs/dev/bin/python bench/search_kills.py

.PHONY: bench-hosts
bench-hosts: $(READY) .venvs/boosting-ray/.ready ## runs on other hosts and of several workers beside the same without, on three network namespaces (root); 25 minutes (HOSTS_PARTS=start)
	@.venvs/dev/bin/python bench/hosts.py

.PHONY: bench-host-kills
bench-host-kills: .venvs/dev/.ready .venvs/mlflow/.ready .venvs/boosting-ray/.ready ## 50 kills and cuts among three hosts while runs go on, counted (root); 15 minutes (HOST_KILLS=10 for a quick look)
	@.venvs/dev/bin/python bench/host_kills.py

.PHONY: bench-many-hosts
bench-many-hosts: .venvs/dev/.ready .venvs/mlflow/.ready .venvs/boosting/.ready ## 2,000 runs through 20 hosts that are no hosts, and what each costs the service; 5 minutes (MANY_RUNS=200)
	@.venvs/dev/bin/python bench/many_hosts.py

.PHONY: bench-console
bench-console: .venvs/dev/.ready .venvs/mlflow/.ready .venvs/boosting/.ready .venvs/console/.ready ## how soon a run is on an open page of the console, in headless Chromium; a minute
	@.venvs/dev/bin/python bench/console.py

.PHONY: bench-load
bench-load: .venvs/dev/.ready .venvs/mlflow/.ready .venvs/boosting/.ready ## how quickly a service answers while 220 ask and four runs train; 2 minutes
	@.venvs/dev/bin/python bench/load.py

.PHONY: bench-isolation
bench-isolation: .venvs/dev/.ready ## measure the images beside one that holds every framework (needs Docker and 15 GB)
	@.venvs/dev/bin/python bench/isolation.py

.PHONY: screenshots
screenshots: .venvs/screenshots/.ready ## take the pictures of docs/images from the running Airflow, MLflow and console, in headless Chromium
	@.venvs/screenshots/bin/python scripts/screenshots.py docs/images

.PHONY: first-champion
first-champion: .venvs/screenshots/.ready ## take the pictures of the way to a first champion from the running console
	@.venvs/screenshots/bin/python scripts/first_champion.py docs/images

.PHONY: check
check: .venvs/dev/.ready ## lint, types, import rules, Dockerfiles, shell scripts, locks
	@PATH="$(CURDIR)/.venvs/dev/bin:$$PATH" UV="$(UV)" scripts/check.sh $(SERVICES)

.PHONY: format
format: .venvs/dev/.ready ## format the code, and let ruff mend what it can
	@.venvs/dev/bin/ruff check --fix --quiet . || true
	@.venvs/dev/bin/ruff format --quiet .

.PHONY: lock
lock: .venvs/uv/.ready ## make every lock (UPGRADE=1 takes the newest versions)
	@UV="$(UV)" scripts/lock.sh make $(SERVICES)

.PHONY: clean
clean: stop ## stop the services, remove environments and caches (.run/, with its runs, stays)
	@rm -rf .venvs .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# An environment holds exactly its lock, and the project's own packages by their source.
define install
	@echo "Setting up .venvs/$*"
	@test -x .venvs/$*/bin/python || "$(UV)" venv --quiet --python "$(PYTHON_3_11)" .venvs/$*
	@"$(UV)" pip sync --quiet --python .venvs/$* --require-hashes --compile-bytecode $(1)
	$(if $(2),@"$(UV)" pip install --quiet --python .venvs/$* --no-deps $(2:%=--editable %))
	$(if $(wildcard services/$*/torch.txt),@UV="$(UV)" scripts/torch.sh .venvs/$* services/$*/torch.txt "$(TORCH_BACKEND)")
	@touch $@
endef
PYTHON_3_11 = $(shell $(PYTHON) -c 'import sys; print(sys.executable if sys.version_info[:2] == (3, 11) else "3.11")')

.venvs/dev/.ready: .venvs/%/.ready: requirements/%.lock common/pyproject.toml services/boosting/pyproject.toml services/console/pyproject.toml | .venvs/uv/.ready
	$(call install,$<,common services/boosting services/console)

.venvs/screenshots/.ready: .venvs/%/.ready: requirements/%.lock | .venvs/uv/.ready
	$(call install,$<)

.venvs/mlflow/.ready: .venvs/%/.ready: services/%/requirements.lock | .venvs/uv/.ready
	$(call install,$<)

# Airflow's own dependencies, and trainyard without the service's.
.venvs/airflow/.ready: .venvs/%/.ready: services/%/requirements.lock common/pyproject.toml | .venvs/uv/.ready
	$(call install,$<,common)

$(SERVICES:%=.venvs/%/.ready) .venvs/console/.ready: .venvs/%/.ready: services/%/requirements.lock services/%/pyproject.toml common/pyproject.toml | .venvs/uv/.ready
	$(call install,$<,common services/$*)

.venvs/pytorch/.ready: services/pytorch/torch.txt

# A service with Ray's core: what its lock with Ray adds, laid over the environment without it.
$(READY_WITH_RAY): .venvs/%-ray/.ready: .venvs/%/.ready services/%/requirements-ray.lock scripts/ray.sh
	@echo "Setting up .venvs/$*-ray"
	@test -x .venvs/$*-ray/bin/python || "$(UV)" venv --quiet --python "$(PYTHON_3_11)" .venvs/$*-ray
	@UV="$(UV)" scripts/ray.sh .venvs/$* services/$*/requirements.lock .venvs/$*-ray services/$*/requirements-ray.lock
	@"$(UV)" pip install --quiet --python .venvs/$*-ray --no-deps --editable common --editable services/$*
	@touch $@

.venvs/uv/.ready:
	@test -n "$(PYTHON)" || { echo "Trainyard needs Python 3.11: install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Setting up uv $(UV_VERSION) with $(PYTHON)"
	@"$(PYTHON)" -m venv .venvs/uv || { echo "$(PYTHON) cannot make environments: install its venv package (python3.11-venv on Debian and Ubuntu)" >&2; exit 1; }
	@.venvs/uv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	@touch $@
