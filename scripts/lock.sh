#!/usr/bin/env bash
# Makes every lock, or checks that each is what its inputs ask for.
#   UV=path/to/uv scripts/lock.sh make|check SERVICE...
# Locked versions are kept; UPGRADE=1 takes the newest.
set -euo pipefail
cd "$(dirname "$0")/.."

mode=$1
shift
# Local wheels must not leak into a lock, and every machine must arrive at the same one.
unset UV_FIND_LINKS
compile=("${UV:?}" pip compile --quiet --generate-hashes --no-annotate
    --custom-compile-command 'make lock'
    --python-version 3.11 --python-platform x86_64-manylinux_2_28
    --no-emit-package trainyard)
if [[ ${UPGRADE:-} == 1 ]]; then
    compile+=(--upgrade)
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
stale=0

# lock OUTPUT INPUT...: the existing lock is where the resolver starts, so nothing moves without need.
lock() {
    local output=$1 candidate=$scratch/lock
    shift
    if [[ $mode == make ]]; then
        "${compile[@]}" "$@" --output-file "$output" >/dev/null
        return
    fi
    cp "$output" "$candidate"
    "${compile[@]}" "$@" --output-file "$candidate" >/dev/null
    if ! diff -u "$output" "$candidate"; then
        echo "$output is out of date: run 'make lock'" >&2
        stale=1
    fi
}

lock requirements/dev.lock requirements/dev.in common/pyproject.toml --extra service --extra lake --extra sql
lock requirements/build.lock requirements/build.in
lock requirements/screenshots.lock requirements/screenshots.in
lock services/mlflow/requirements.lock services/mlflow/requirements.in
lock services/airflow/requirements.lock services/airflow/requirements.in common/pyproject.toml --extra airflow
for service in console "$@"; do
    lock "services/$service/requirements.lock" "services/$service/pyproject.toml"
done
# With the engine over several hosts: what the service has without it, at the same versions, and Ray.
for service in "$@"; do
    lock "services/$service/requirements-ray.lock" "services/$service/pyproject.toml" requirements/ray.in \
        --constraint "services/$service/requirements.lock"
done
exit "$stale"
