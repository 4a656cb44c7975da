#!/usr/bin/env bash
# What a newcomer does, timed: a fresh clone, README's two commands, and each page of the documentation from top to bottom
# (within the tests, which run its blocks; long trainings are cut short there).
#
#     scripts/newcomer.sh [FILE]     the table, as Markdown; default: newcomer.md

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh

table="$(realpath -m "${1:-newcomer.md}")"
place="$(mktemp -d)"
trap 'rm -rf "$place"' EXIT
git clone --quiet . "$place/mhdnn"
cd "$place/mhdnn"

timed() { # NAME COMMAND...: a row of the table
    local name="$1" start=$SECONDS
    shift
    say "$name"
    "$@" >"$place/log" 2>&1 || { tail -n 50 "$place/log" >&2; fail "$name"; }
    printf '| %s | %d |\n' "$name" $((SECONDS - start)) >>"$place/table"
}

printf '| | s |\n|---|---|\n' >"$place/table"
timed "\`scripts/quickstart.sh\`" scripts/quickstart.sh
timed "\`scripts/test.sh\`" scripts/test.sh --durations=0
sed -nE 's/^([0-9.]+)s call .*test_blocks_of_page_run\[(.+)\]$/| docs: \2 | \1 |/p' "$place/log" >>"$place/table"
cp "$place/table" "$table"
cat "$table"
