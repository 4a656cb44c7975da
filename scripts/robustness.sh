#!/usr/bin/env bash
# What damaged files and kills do: for each reader, dataset, model file and checkpoint the numbers of damaged copies, of
# mhdnn's own errors, of accepted ones, of errors that escaped and of hangs; for each kind of work kills and losses.
#
#     scripts/robustness.sh [--short] [--mutations N] [--kills N] [--work NAME]     some minutes; with --short one
#     scripts/robustness.sh --mutations 0 --kills 20 --work learn                    a loop of `mhdnn learn`, killed

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh

prepare_environment dev
export OMP_NUM_THREADS=1
exec python -m scripts.robustness "$@"
