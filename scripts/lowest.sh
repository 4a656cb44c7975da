#!/usr/bin/env bash
# The oldest admitted versions (constraints-lowest.txt): a chosen part of the tests with them.
#
#     PYTHON=python3.10 scripts/lowest.sh [pytest arguments]

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh

place="${LOWEST_ENVIRONMENT:-.venv-lowest}"
python="$(find_python)"
say "Environment $place with $("$python" --version)"
[[ -x "$place/bin/python" ]] || "$python" -m venv "$place"
"$place/bin/pip" install --quiet --constraint constraints-lowest.txt --editable . pytest
say "Tests"
"$place/bin/python" -m pytest -m "not slow" "$@" \
    tests/unit/test_symmetry_functions.py tests/unit/test_calculator.py tests/unit/test_data_store.py \
    tests/unit/test_datamodule.py tests/unit/test_training_parts.py tests/unit/test_training_steps.py \
    tests/unit/test_training_validation.py tests/integration/test_configs.py tests/physics
