#!/usr/bin/env bash
# Every property and every generated call, with other examples each time: a round after another until one fails, or
# FUZZ_MINUTES are over. A round that has begun is finished. What failed is said with what makes it fail again.
#   FUZZ_MINUTES=20 TEST_WORKERS=2 scripts/fuzz.sh [PYTEST ARGUMENTS...]
set -euo pipefail
cd "$(dirname "$0")/.."

over=$((FUZZ_MINUTES * 60))
for ((round = 1; round == 1 || SECONDS < over; round++)); do
    echo "Round $round, after $((SECONDS / 60)) of $FUZZ_MINUTES minutes"
    .venvs/dev/bin/python -m pytest tests --ignore=tests/stack -m "hypothesis or generated" \
        --hypothesis-profile=by-chance --timeout=3600 \
        --numprocesses "$TEST_WORKERS" --dist loadgroup --no-loadscope-reorder "$@"
done
