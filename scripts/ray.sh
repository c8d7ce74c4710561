#!/usr/bin/env bash
# Lays Ray over a service's environment: makes one that holds what the lock with Ray adds, and sees the service's own.
#   UV=path/to/uv scripts/ray.sh ENVIRONMENT LOCK ENVIRONMENT_WITH_RAY LOCK_WITH_RAY
# The second lock is made with the first as its constraint, so both have the same versions of what both have.
set -euo pipefail

under=$1 lock=$2 environment=$3 lock_with_ray=$4
added=$(mktemp)
trap 'rm -f "$added"' EXIT

# blocks LOCK OTHER: the entries of LOCK, with their hashes, whose name and version OTHER does not have.
blocks() {
    awk 'NR == FNR { if (/^[a-z0-9]/) there[$1]; next }
        /^[a-z0-9]/ { wanted = !($1 in there) }
        /^[a-z0-9 ]/ && wanted' "$2" "$1"
}

other=$(blocks "$lock" "$lock_with_ray")
if [[ -n $other ]]; then
    printf '%s\nis not in %s: run "make lock"\n' "$other" "$lock_with_ray" >&2
    exit 1
fi
blocks "$lock_with_ray" "$lock" >"$added"
"${UV:?}" pip sync --quiet --python "$environment" --require-hashes --compile-bytecode "$added"

# `site` reads the editable packages of the environment beneath as well.
purelib='import sysconfig; print(sysconfig.get_path("purelib"))'
beneath=$("$under/bin/python" -c "$purelib")
echo "import site; site.addsitedir('$beneath')" >"$("$environment/bin/python" -c "$purelib")/beneath.pth"
