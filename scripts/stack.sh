#!/usr/bin/env bash
# The Docker stack, for the Makefile.
#   scripts/stack.sh up | build SERVICE... | rebuild SERVICE | built | versions | size
set -euo pipefail
cd "$(dirname "$0")/.."

AIRFLOW=(airflow-api-server airflow-scheduler airflow-dag-processor airflow-triggerer airflow-worker)
TRAINERS=(boosting tensorflow pytorch)
IMAGES=("${TRAINERS[@]}" console mlflow airflow)
BASE=${PYTHON_IMAGE:-python:3.11-slim-bookworm}

# One after the other, because the layers of one are the cache of the next; Airflow's parts share one image.
build() {
    local service
    for service in "$@"; do
        echo "Building $service"
        scripts/compose.sh build --quiet "${service/%airflow/airflow-init}"
    done
}

# start [--no-deps] SERVICE...: wait until they are at work, or say which are not and why.
start() {
    local options=()
    if [[ $1 == --no-deps ]]; then
        options+=("$1")
        shift
    fi
    if ! scripts/compose.sh up --detach --no-build "${options[@]}" "$@" || ! become_ready "$@"; then
        explain >&2
        return 1
    fi
}

# Not by Compose's --wait: a health check says that a container runs, and a trainer may still wait for MLflow.
become_ready() {
    local deadline=$((SECONDS + 300)) stuck_since='' health
    while ((SECONDS < deadline)); do
        health=$(scripts/compose.sh ps --all --format '{{.Health}}' "$@")
        if (($(grep --count --line-regexp healthy <<<"$health") == $#)); then
            if ready "$@" >/dev/null; then
                return 0
            fi
            health=unhealthy
        fi
        if grep --quiet unhealthy <<<"$health"; then
            stuck_since=${stuck_since:-$SECONDS}
            if ((SECONDS - stuck_since > 60)); then
                return 1
            fi
        else
            stuck_since=''
        fi
        sleep 1
    done
    return 1
}

# Whether each trainer among these services is ready; prints which is not, and why.
ready() {
    local service reason failed=0
    for service in "$@"; do
        if [[ " ${TRAINERS[*]} " == *" $service "* ]] &&
            ! reason=$(scripts/compose.sh exec -T "$service" python -m trainyard.api.probe --ready </dev/null 2>&1); then
            printf '\n%s is not ready:\n%s\n' "$service" "$reason"
            failed=1
        fi
    done
    return "$failed"
}

explain() {
    local id name state exit health
    while read -r id name state exit health; do
        if [[ $health == unhealthy ]]; then
            printf '\n%s is unhealthy:\n' "$name"
            docker inspect --format '{{range .State.Health.Log}}{{.Output}}{{end}}' "$id" | sed '/^$/d' | tail -n 1
        elif [[ $health == healthy ]]; then
            ready "$name" || true
        elif [[ $state == restarting || ($state == exited && $exit != 0) ]]; then
            printf '\n%s is %s (exit %s); its last lines:\n' "$name" "$state" "$exit"
            docker logs --tail 5 "$id" 2>&1
        fi
    done < <(scripts/compose.sh ps --all --format '{{.ID}} {{.Service}} {{.State}} {{.ExitCode}} {{.Health}}')
    printf '\nMore: make logs/NAME, make ps, docs/troubleshooting.md.\n'
}

up() {
    mkdir -p "$(setting DATA_PATH ./data)" "$(setting PEOPLE_PATH ./people)"
    build "${IMAGES[@]}"
    if [[ -n ${WORKERS:-} ]]; then
        scripts/compose.sh up --detach --no-build --no-deps ray-head boosting-worker
    fi
    start postgres redis mlflow "${AIRFLOW[@]}" "${TRAINERS[@]}" console
    echo
    printf '%-11s http://127.0.0.1:%s\n' \
        console "$(setting CONSOLE_PORT 8000)" \
        Airflow "$(setting AIRFLOW_PORT 8082)  (user admin, password AIRFLOW_ADMIN_PASSWORD in .env)" \
        MLflow "$(setting MLFLOW_PORT 5000)" \
        boosting "$(setting BOOSTING_PORT 8001)/docs" \
        tensorflow "$(setting TENSORFLOW_PORT 8002)/docs" \
        pytorch "$(setting PYTORCH_PORT 8003)/docs"
    echo 'The console and the trainers ask for the TRAINYARD_TOKEN of .env, or a token of your own (docs/security.md).'
}

rebuild() {
    build "$1"
    if [[ $1 == airflow ]]; then
        start "${AIRFLOW[@]}"
    else
        start --no-deps "$1"
    fi
}

# setting NAME DEFAULT: as Compose would take it, from the environment before .env; without quotes, and with ~ as the home.
setting() {
    local line value
    line=$(grep -s "^$1=." .env | tail -n 1) || true
    value=${!1:-${line:+${line#*=}}}
    if [[ $value =~ ^\"(.*)\"$ || $value =~ ^\'(.*)\'$ ]]; then
        value=${BASH_REMATCH[1]}
    fi
    value=${value:-$2}
    if [[ $value == \~/* ]]; then
        value=$HOME/${value#\~/}
    fi
    echo "$value"
}

# image NAME: as the Compose files call it.
image() {
    local kind=
    case $1 in
    boosting) kind=${WORKERS:+ray} kind=${kind:-$(setting ENGINE '')} ;;
    tensorflow | pytorch) kind=${GPU:+gpu} kind=${kind:-$(setting ENGINE '')} ;;
    esac
    echo "trainyard-$1${kind:+-$kind}:$(setting IMAGE_TAG latest)"
}

built() {
    local name
    for name in "${IMAGES[@]}"; do
        docker image inspect "$(image "$name")" >/dev/null 2>&1 || return 1
    done
}

versions() {
    local name
    for name in mlflow airflow console boosting tensorflow pytorch; do
        docker run --rm --interactive --network none --entrypoint python "$(image "$name")" - "$name" <scripts/versions.py 2>/dev/null
    done
}

size() {
    local base name
    base=$(docker image inspect --format '{{.Size}}' "$BASE")
    printf '%-11s %5d MB\n' base $((base / 1000000))
    for name in "${IMAGES[@]}"; do
        printf '%-11s %5d MB over the base\n' "$name" $((($(docker image inspect --format '{{.Size}}' "$(image "$name")") - base) / 1000000))
    done
}

"$@"
