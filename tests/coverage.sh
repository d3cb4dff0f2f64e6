#!/usr/bin/env bash
# Every line and branch of the protocol, of the engine, of oauth, of the vendors and of the stores is run by the tests of these rooms alone,
# on one run as on the next. Prints what is not, and fails.
#   tests/coverage.sh BIN   BIN: the bin folder of a venv with .[dev,lint] and Python 3.12 or newer; else .venv/bin.
#                           On 3.11 coverage's tracer breaks three tests of cancellation.
# What pytest says of the tests is not judged here: under the tracer some are too slow for their own time limits. A test
# that fails where it matters leaves its lines behind.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${1:-.venv/bin}
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
export COVERAGE_FILE=$data/coverage PYTHONDONTWRITEBYTECODE=1

tests="tests/oauth tests/vendors tests/engine tests/stores tests/test_open_store.py"
# Crowds that repeat what other tests cover: minutes under a tracer.
crowds=""
for name in many_credentials renewed_apart several_event_loops ten_thousand_callers ten_thousand_tasks thousand_times \
  lose_nothing_under_the_lease of_many_processes killed_writers; do
  crowds+="${crowds:+ and }not $name"
done

"$bin/coverage" run -m pytest -q -n 2 -p no:cacheprovider -k "$crowds" $tests || [ $? = 1 ]
# What Sentinels and clusters alone go through.
"$bin/coverage" run -m pytest -q -n 2 -p no:cacheprovider -m long tests/stores/test_redis_topologies.py || [ $? = 1 ]
"$bin/coverage" combine -q
# worker.py is a type: it is imported by none but type checkers.
"$bin/coverage" report --fail-under=100 --omit='linkauth/protocol/worker.py' \
  --include='linkauth/protocol/*,linkauth/engine/*,linkauth/oauth/*,linkauth/vendors/*,stores/linkauth_stores/*'
