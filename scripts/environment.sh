# Sourced by test.sh and quickstart.sh from the root of the repository.
#
#     prepare_environment [EXTRAS]     make .venv, install mhdnn[EXTRAS] into it, activate it
#
# A second call with unchanged pyproject.toml and constraints.txt installs nothing. Which Python makes
# .venv can be chosen: PYTHON=python3.12 scripts/test.sh
# shellcheck shell=bash

say() { printf '==> %s\n' "$*"; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

is_supported_python() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' >/dev/null 2>&1
}

find_python() {
    local candidate
    if [[ -n "${PYTHON:-}" ]]; then
        is_supported_python "$PYTHON" || fail "PYTHON=$PYTHON does not run or is no Python 3.10 to 3.13."
        printf '%s' "$PYTHON"
        return
    fi
    for candidate in python3 python3.13 python3.12 python3.11 python3.10; do
        if is_supported_python "$candidate"; then
            printf '%s' "$candidate"
            return
        fi
    done
    fail "Python 3.10 to 3.13 is needed and was not found; name one with PYTHON=/path/to/python3."
}

create_environment() {
    local python
    if [[ -x .venv/bin/python ]] && is_supported_python .venv/bin/python; then
        [[ -z "${PYTHON:-}" ]] || say "Using the .venv that is there; remove it to have it made with $PYTHON"
        return
    fi
    python="$(find_python)"
    "$python" -c 'import ensurepip, venv' 2>/dev/null \
        || fail "$python can't create virtual environments; install its venv module (Debian, Ubuntu: apt install python3-venv)."
    say "Creating .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
}

# What an installation depends on: the requirements, the interpreter, and where the checkout lies (an
# editable installation points to it).
installation_key() {
    { cat pyproject.toml constraints.txt; .venv/bin/python --version; pwd; } \
        | .venv/bin/python -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'
}

# Whether the installation with these extras, or with more, is up to date.
is_installed() {
    local stamp
    for stamp in .venv/installed-with-*; do
        if [[ "$stamp" == ".venv/installed-with-$2" || "$2" == "nothing" ]] \
            && [[ -f "$stamp" && "$(<"$stamp")" == "$1" ]]; then
            return 0
        fi
    done
    return 1
}

install_package() {
    local extras="$1" package="." pip=(.venv/bin/python -m pip install --quiet --quiet --no-input
        --disable-pip-version-check --constraint constraints.txt)
    [[ -z "$extras" ]] || package=".[$extras]"
    if ! .venv/bin/python -c 'import importlib.util, sys; sys.exit(not importlib.util.find_spec("torch"))'; then
        say "Installing torch (the largest download, it may take minutes)"
    fi
    # First and alone: everything that depends on torch then takes the build that is there.
    "${pip[@]}" torch
    say "Installing mhdnn${extras:+[$extras]} and what it needs"
    "${pip[@]}" --editable "$package"
}

prepare_environment() {
    local extras="${1:-}" key
    command -v c++ >/dev/null || command -v g++ >/dev/null \
        || say "Note: no C++ compiler found; compiled parts need one (Debian, Ubuntu: apt install g++)"
    create_environment
    key="$(installation_key)"
    if ! is_installed "$key" "${extras:-nothing}"; then
        rm -f .venv/installed-with-*
        install_package "$extras"
        printf '%s\n' "$key" > ".venv/installed-with-${extras:-nothing}"
    fi
    # shellcheck disable=SC1091
    source .venv/bin/activate
}
