#!/usr/bin/env bash
# From a fresh machine to a trained model: environment, training on the bundled DFT set, test errors,
# an energy through ASE, and a report. About 3 minutes on 2 cores after the installation.
#
#     scripts/quickstart.sh [hydra overrides]     e.g. scripts/quickstart.sh trainer.max_epochs=20

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh

run=runs/quickstart
prepare_environment
say "Training on the bundled DFT set"
mhdnn train experiment=sn_graphene "hydra.run.dir=$run" "$@"

say "Tin on graphene, energy and forces through ASE (scripts/example_energy.py)"
python scripts/example_energy.py "$run/model.pt"

say "Errors against DFT"
python - "$run/errors.json" <<'PYTHON'
import json
import sys
from pathlib import Path

from mhdnn.evaluation.table import print_errors

print_errors(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
PYTHON
say "Model:  $run/model.pt"
say "Report: $run/report/report.html"
