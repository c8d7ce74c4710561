#!/usr/bin/env bash
# docker compose with the stack's files; images built by it carry the last commit that touched what is in them,
# or what BOOSTING_COMMIT and the like say.
#   [GPU=1] [DOCKER_SOCKET=1] [WORKERS=2] scripts/compose.sh COMMAND...
set -euo pipefail
cd "$(dirname "$0")/.."

files=(--file docker-compose-mlops.yml --file docker-compose.trainers.yml)
if [[ -n ${GPU:-} ]]; then
    files+=(--file docker-compose.gpu.yml)
fi
if [[ -n ${DOCKER_SOCKET:-} ]]; then
    files+=(--file docker-compose.docker-socket.yml)
fi

if [[ -n ${WORKERS:-} ]]; then
    files+=(--file docker-compose.workers.yml --profile workers)
fi

# commit PATH...: so that a commit elsewhere does not make a new image, and a restart, of what it did not touch.
commit() {
    local found
    found=$(git log -1 --format=%h -- "$@" 2>/dev/null) || true
    if [[ -n $found && -n $(git status --porcelain -- "$@") ]]; then
        found+=-changed
    fi
    echo "${found:-unknown}"
}

if [[ ${1:-} == build ]]; then
    for service in boosting tensorflow pytorch console airflow mlflow; do
        paths=("services/$service" requirements/build.lock)
        if [[ $service != mlflow ]]; then
            paths+=(common)
        fi
        name=${service^^}_COMMIT
        export "$name=${!name:-$(commit "${paths[@]}")}"
    done
fi
exec docker compose "${files[@]}" "$@"
