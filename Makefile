# Trainyard's one door. `make` lists what it does.
# A trainer is added by its name in SERVICES and a folder of that name under services/.

SERVICES    := boosting tensorflow pytorch
UV_VERSION  := 0.13.9
# Which build of PyTorch: cpu, or for a GPU cu130 and the like (make clean before another).
TORCH_BACKEND ?= cpu
TEST_ARGS   ?=

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-builtin-rules

ENVS  := dev mlflow airflow $(SERVICES)
UV    := $(CURDIR)/.venvs/uv/bin/uv
READY := $(ENVS:%=.venvs/%/.ready)

# The first Python 3.11 there is; else the newest that can start uv, which then brings a 3.11.
find-python = for name in python3.11 python3 python; do \
	$$name -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null \
	&& $$name -c 'import sys; print(sys.executable)' && exit; done; \
	for name in python3 python; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& $$name -c 'import sys; print(sys.executable)' && exit; done; true
PYTHON ?= $(shell $(find-python))

# Folders of wheels that pip was told of are for uv too.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_NO_PROGRESS ?= 1

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: $(READY) ## make every environment under .venvs/ (the others do it as they need)

.PHONY: demo
demo: .venvs/mlflow/.ready .venvs/boosting/.ready ## train XGBoost and LightGBM on real data and register the better one
	@.venvs/boosting/bin/python scripts/demo.py

.PHONY: serve
serve: $(filter-out .venvs/dev/.ready .venvs/airflow/.ready,$(READY)) ## start MLflow and the trainers in the background; logs under .run/
	@.venvs/boosting/bin/python scripts/serve.py start $(SERVICES)

.PHONY: stop
stop: ## stop what `make serve` started
	@if [[ -x .venvs/boosting/bin/python ]]; then .venvs/boosting/bin/python scripts/serve.py stop; \
	else echo "Nothing was started from here."; fi

.PHONY: versions
versions: $(READY) ## print the version of each framework, out of its own environment
	@for env in $(filter-out dev,$(ENVS)); do .venvs/$$env/bin/python scripts/versions.py "$$env"; done

.PHONY: test
test: $(READY) ## run every test that needs no Docker (TEST_ARGS= goes to pytest)
	@.venvs/dev/bin/python -m pytest tests --ignore=tests/stack $(TEST_ARGS)

.PHONY: bench
bench: $(READY) ## measure against the plain scripts; writes bench/results/
	@.venvs/dev/bin/python bench/run.py
	@.venvs/dev/bin/python bench/networks.py $(SERVICES)

.PHONY: check
check: .venvs/dev/.ready ## lint, types, import rules, Dockerfiles, shell scripts, locks
	@PATH="$(CURDIR)/.venvs/dev/bin:$$PATH" UV="$(UV)" scripts/check.sh $(SERVICES)

.PHONY: format
format: .venvs/dev/.ready ## let ruff mend what it can
	@.venvs/dev/bin/ruff check --fix --quiet . || true

.PHONY: lock
lock: .venvs/uv/.ready ## make every lock (UPGRADE=1 takes the newest versions)
	@UV="$(UV)" scripts/lock.sh make $(SERVICES)

.PHONY: clean
clean: stop ## stop the services, remove environments and caches (.run/, with its runs, stays)
	@rm -rf .venvs .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# An environment holds exactly its lock, and the project's own packages by their source.
define install
	@echo "Setting up .venvs/$*"
	@test -x .venvs/$*/bin/python || $(UV) venv --quiet --python "$(PYTHON_3_11)" .venvs/$*
	@$(UV) pip sync --quiet --python .venvs/$* --require-hashes --compile-bytecode $(1)
	$(if $(2),@$(UV) pip install --quiet --python .venvs/$* --no-deps $(2:%=--editable %))
	$(if $(wildcard services/$*/torch.txt),@UV="$(UV)" scripts/torch.sh .venvs/$* services/$*/torch.txt "$(TORCH_BACKEND)")
	@touch $@
endef
PYTHON_3_11 = $(shell $(PYTHON) -c 'import sys; print(sys.executable if sys.version_info[:2] == (3, 11) else "3.11")')

.venvs/dev/.ready: .venvs/%/.ready: requirements/%.lock common/pyproject.toml services/boosting/pyproject.toml | .venvs/uv/.ready
	$(call install,$<,common services/boosting)

.venvs/mlflow/.ready: .venvs/%/.ready: services/%/requirements.lock | .venvs/uv/.ready
	$(call install,$<)

# Airflow's own dependencies, and trainyard without the service's.
.venvs/airflow/.ready: .venvs/%/.ready: services/%/requirements.lock common/pyproject.toml | .venvs/uv/.ready
	$(call install,$<,common)

$(SERVICES:%=.venvs/%/.ready): .venvs/%/.ready: services/%/requirements.lock services/%/pyproject.toml common/pyproject.toml | .venvs/uv/.ready
	$(call install,$<,common services/$*)

.venvs/pytorch/.ready: services/pytorch/torch.txt

.venvs/uv/.ready:
	@test -n "$(PYTHON)" || { echo "Trainyard needs Python 3.11: install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Setting up uv $(UV_VERSION) with $(PYTHON)"
	@"$(PYTHON)" -m venv .venvs/uv || { echo "$(PYTHON) cannot make environments: install its venv package (python3.11-venv on Debian and Ubuntu)" >&2; exit 1; }
	@.venvs/uv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	@touch $@
