#!/usr/bin/env bash
# The documentation that scripts/docs.sh has built: spelling, links to other sites, a look in a browser.
#
#     scripts/docs_check.sh [--offline] [PAGE.html ...]      --offline: without the links

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh

prepare_environment dev
say "Spelling"
codespell
if [[ "${1:-}" == --offline ]]; then
    shift
else
    say "Links"
    sphinx-build -q -b linkcheck docs docs/_build/links
fi
say "In a browser, 390 and 1300 pixels wide"
python scripts/look_at_docs.py docs/_build/html "$@"
