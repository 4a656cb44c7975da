#!/usr/bin/env bash
# A potential of Si(111) on graphene with lithium from a universal one: CHGNet with D3 labels what `mhdnn learn` chooses;
# then both compute work of separation, gap curve, sliding and insertion energies, and LAMMPS runs molecular dynamics with the
# potential. Half an hour of two cores.
#
#     scripts/learn/silicon_graphene.sh [FOLDER]     continues what is there; default: runs/silicon_graphene

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/environment.sh

folder="${1:-runs/silicon_graphene}"
prepare_environment teacher,lammps
mhdnn lammps build
[[ -f "$folder/structures/lithiated.extxyz" ]] || python scripts/learn/structures.py "$folder/structures"
mhdnn learn scripts/learn/silicon_graphene.yaml "folder=$folder/learning" \
    "structures=[$folder/structures/clean.extxyz, $folder/structures/lithiated.extxyz]"
python scripts/learn/compare.py "$folder/structures" "$folder/learning/model.pt" "$folder/comparison"
python scripts/learn/dynamics.py "$folder/structures" "$folder/learning/model.pt" "$folder/dynamics"
