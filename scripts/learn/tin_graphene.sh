#!/usr/bin/env bash
# Sixty more DFT structures of tin on graphene, chosen by the model in three rounds, for adhesion and sliding near rest; then
# gap curve and sliding against DFT points that no training has seen. An hour and a half on two cores.
#
#     pip install -c constraints.txt gpaw gpaw-data       # needs libxc
#     scripts/learn/tin_graphene.sh [FOLDER]              continues what is there; default: runs/tin_graphene

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/environment.sh

folder="${1:-runs/tin_graphene}"
rounds=3
prepare_environment
[[ -f "$folder/structures.extxyz" ]] || python scripts/learn/tin_graphene_structures.py "$folder/structures.extxyz"

# a model of the bundled set and of what is labelled so far; dispersion stands beside it
train() {  # NAME
    [[ -f "$folder/$1/model.pt" ]] && return
    local stores=(data/sn_graphene.h5 "$folder"/labelled_*.h5)
    [[ -f "${stores[1]}" ]] || stores=(data/sn_graphene.h5)
    mhdnn train experiment=sn_graphene data.dispersion=false \
        "data.train=[$(IFS=,; echo "${stores[*]}")]" "hydra.run.dir=$folder/$1"
}

for ((round = 1; round <= rounds; round++)); do
    train "before_$round"
    if [[ ! -f "$folder/chosen_$round.h5" ]]; then
        mhdnn data sample "$folder/structures.extxyz" "$folder/pool_$round.h5" num=300 seed="$round" \
            recipe=registry:1,rattle:0.02,gap:-0.3,rattle:0.05,gap:0.4,strain:0.02
        mhdnn data select "$folder/pool_$round.h5" "$folder/before_$round/model.pt" num=20 output="$folder/chosen_$round.h5"
    fi
    [[ -f "$folder/labelled_$round.h5" ]] || OMP_NUM_THREADS=1 mhdnn data label "$folder/chosen_$round.h5" \
        calculator=mhdnn.properties.corrected:CorrectedCalculator settings=scripts/learn/tin_graphene_gpaw.yaml \
        output="$folder/labelled_$round.h5" processes=2 code=GPAW functional=PBE dispersion="d3 bj pbe"
done
train after
python benchmarks/interface.py "$folder/after/model.pt" --output "$folder/interface.json" --figure "$folder/interface.png"
