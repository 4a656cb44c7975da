#!/usr/bin/env bash
# A wheel with compiled operators, installed into an empty environment and tried there, without a compiler but for the
# pair style of LAMMPS.
#
#     scripts/wheel.sh [FOLDER]      default: dist/; MHDNN_SHIP chooses the levels (mhdnn/kernels/shipped.py)

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh

folder="$(realpath -m "${1:-dist}")"
prepare_environment dev
place="$(mktemp -d)"
trap 'rm -rf "$place"' EXIT
[[ "$(uname -m)" == aarch64 ]] && levels="armv8-a" || levels="x86-64-v3 x86-64-v4"
say "Source archive and wheel (operators: ${MHDNN_SHIP:=$levels})"
export MHDNN_SHIP
python -m build --no-isolation --outdir "$place" . >"$place/log" 2>&1 || { cat "$place/log" >&2; fail "no wheel"; }
say "An empty environment"
python -m venv "$place/empty"
wheel=("$place"/*.whl)
"$place/empty/bin/pip" install --quiet --constraint constraints.txt "${wheel[0]}[lammps]"
say "Training and calculation without a compiler, LAMMPS with one"
cp scripts/try_wheel.py "$place"
(cd "$place" && "$place/empty/bin/python" try_wheel.py)
mkdir -p "$folder"
mv "$place"/*.whl "$place"/*.tar.gz "$folder"
say "$folder"
