#!/usr/bin/env bash
# The documentation as a site: docs/_build/html/index.html.
#
#     scripts/docs.sh [arguments of sphinx-build]

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh

prepare_environment dev
say "Documentation"
sphinx-build --quiet --fail-on-warning --keep-going -b html "$@" docs docs/_build/html
say "docs/_build/html/index.html"
