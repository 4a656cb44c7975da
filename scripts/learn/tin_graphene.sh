#!/usr/bin/env bash
# Twenty more DFT structures of tin on graphene near rest, chosen by a model of the bundled set; then gap curve and sliding
# of a model of both against DFT points that no training has seen. Half an hour on two cores.
#
#     pip install -c constraints.txt gpaw gpaw-data       # needs libxc
#     scripts/learn/tin_graphene.sh [FOLDER]              continues what is there; default: runs/tin_graphene

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/environment.sh

folder="${1:-runs/tin_graphene}"
prepare_environment
[[ -f "$folder/structures.extxyz" ]] || python scripts/learn/tin_graphene_structures.py "$folder/structures.extxyz"

# a model of the bundled set and of what is labelled; dispersion stands beside it
train() {  # NAME
    [[ -f "$folder/$1/model.pt" ]] && return
    local stores=(data/sn_graphene.h5)
    [[ ! -f "$folder/labelled.h5" ]] || stores+=("$folder/labelled.h5")
    mhdnn train experiment=sn_graphene data.dispersion=false \
        "data.train=[$(IFS=,; echo "${stores[*]}")]" "hydra.run.dir=$folder/$1"
}

train before
if [[ ! -f "$folder/chosen.h5" ]]; then
    mhdnn data sample "$folder/structures.extxyz" "$folder/pool.h5" num=300 seed=1 \
        recipe=registry:1,rattle:0.02,gap:-0.3,rattle:0.05,gap:0.4,strain:0.02
    mhdnn data select "$folder/pool.h5" "$folder/before/model.pt" num=20 output="$folder/chosen.h5"
fi
[[ -f "$folder/labelled.h5" ]] || OMP_NUM_THREADS=1 mhdnn data label "$folder/chosen.h5" \
    calculator=mhdnn.properties.corrected:CorrectedCalculator settings=scripts/learn/tin_graphene_gpaw.yaml \
    output="$folder/labelled.h5" processes=2 code=GPAW functional=PBE dispersion="d3 bj pbe"
train after
python benchmarks/interface.py "$folder/after/model.pt" --output "$folder/interface.json" --figure "$folder/interface.png"
