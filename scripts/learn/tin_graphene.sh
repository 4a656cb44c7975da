#!/usr/bin/env bash
# Thirty-two more DFT structures of tin on graphene, thirty of them chosen by a model of the bundled set; then gap curve and
# sliding of a model of both against DFT points that no training has seen. Half an hour of two cores.
#
#     pip install -c constraints.txt gpaw gpaw-data       # needs libxc
#     scripts/learn/tin_graphene.sh [FOLDER]              continues what is there; default: runs/tin_graphene

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/environment.sh

folder="${1:-runs/tin_graphene}"
prepare_environment
[[ -f "$folder/apart.h5" ]] || python scripts/learn/tin_graphene_structures.py "$folder"

# dispersion stands beside the models
train() {  # NAME SETTING ...
    local name="$1"
    shift
    [[ -f "$folder/$name/model.pt" ]] \
        || mhdnn train experiment=sn_graphene data.dispersion=false "hydra.run.dir=$folder/$name" "$@"
}

label() {  # NAME
    [[ -f "$folder/$1_labelled.h5" ]] || OMP_NUM_THREADS=1 mhdnn data label "$folder/$1.h5" \
        calculator=mhdnn.properties.corrected:CorrectedCalculator settings=scripts/learn/tin_graphene_gpaw.yaml \
        output="$folder/$1_labelled.h5" processes=2 code=GPAW functional=PBE dispersion="d3 bj pbe"
}

train before
[[ -f "$folder/chosen.h5" ]] \
    || mhdnn data select "$folder/pool.h5" "$folder/before/model.pt" num=30 output="$folder/chosen.h5"
label chosen
label apart
# of 315 structures 32 are rigid slabs, whose energies set gap curve and sliding
train after "data.train=[data/sn_graphene.h5,$folder/chosen_labelled.h5,$folder/apart_labelled.h5]" \
    "data.weights={rigid: 10}"
python benchmarks/interface.py "$folder/after/model.pt" --output "$folder/interface.json" --figure "$folder/interface.png"
