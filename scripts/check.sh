#!/usr/bin/env bash
# Every check that runs nothing of the project's; all of them run, and any that fails fails the whole.
#   UV=path/to/uv scripts/check.sh SERVICE...
set -uo pipefail
cd "$(dirname "$0")/.." || exit
failed=()

check() {
    local name=$1
    shift
    if "$@"; then
        echo "ok      $name"
    else
        echo "FAILED  $name" >&2
        failed+=("$name")
    fi
}

mapfile -t shell_scripts < <(git ls-files '*.sh' .ci/run)
mapfile -t dockerfiles < <(git ls-files '*Dockerfile*')
packages=(common/trainyard)
for service in "$@"; do
    packages+=("services/$service/trainyard_$service")
done

packages+=(services/console/trainyard_console)

check ruff ruff check --quiet .
check "ruff format" ruff format --check --quiet .
check mypy mypy "${packages[@]}"
# Airflow types its decorators not at all, nor its providers their operators.
check "mypy dags" mypy --allow-untyped-decorators --allow-subclassing-any dags
check import-linter lint-imports --no-logo
check shellcheck shellcheck "${shell_scripts[@]}"
if ((${#dockerfiles[@]})); then
    check hadolint hadolint "${dockerfiles[@]}"
fi
check locks scripts/lock.sh check "$@"

if ((${#failed[@]})); then
    echo "make check failed: ${failed[*]}" >&2
    exit 1
fi
