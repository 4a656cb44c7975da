#!/usr/bin/env bash
# From a fresh machine to all tests: environment, lint, types, tests.
#
#     scripts/test.sh [pytest arguments]     e.g. scripts/test.sh -x tests/unit

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh

prepare_environment dev
say "Lint and format"
ruff check .
ruff format --check .
codespell
git ls-files -z "*.cpp" "*.h" "*.c" "*.cu" "*.cuh" | xargs -0 clang-format --dry-run --Werror
say "Types"
mypy
say "Tests"
# Two at a time; the files of a folder share what is made once, so a file stays with one worker.
python -m pytest --numprocesses 2 --dist loadfile "$@"
