"""`mhdnn completion`: a script for the shell that completes commands, keys and choices.

The words stand in the script, so that a press of Tab starts no Python; a new version of mhdnn wants a new script.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from mhdnn.commands import COMMANDS, first_words
from mhdnn.errors import ConfigError

BASH = """\
_mhdnn() {{
    local line="${{COMP_LINE:0:COMP_POINT}}" path="" word words=""
    local token="${{line##*[[:space:]]}}"
    for word in ${{line%"$token"}}; do
        case "$word" in mhdnn|*/mhdnn|-*|*=*) ;; *) path="${{path:+$path }}$word" ;; esac
    done
    while :; do
        case "$path" in
{cases}
        esac
        [[ -n "$words" || "$path" != *" "* ]] && break
        path="${{path% *}}"
    done
    COMPREPLY=($(compgen -W "$words" -- "$token"))
    if [[ "$token" == *=* ]]; then  # bash completes what comes after the sign
        COMPREPLY=("${{COMPREPLY[@]#*=}}")
        [[ -n "${{COMPREPLY[*]}}" ]] || COMPREPLY=($(compgen -f -- "${{token#*=}}"))
    elif [[ -z "${{COMPREPLY[*]}}" ]]; then
        COMPREPLY=($(compgen -f -- "$token"))
    fi
    [[ "${{COMPREPLY[*]}}" != *= ]] || compopt -o nospace 2>/dev/null
}}
complete -F _mhdnn mhdnn
"""

ZSH = """\
#compdef mhdnn
_mhdnn() {{
    local path="" word found=""
    for word in "${{(@)words[2,CURRENT-1]}}"; do
        case "$word" in -*|*=*) ;; *) path="${{path:+$path }}$word" ;; esac
    done
    while :; do
        case "$path" in
{cases}
        esac
        [[ -n "$found" || "$path" != *" "* ]] && break
        path="${{path% *}}"
    done
    local -a complete=(${{(M)${{=found}}:#*[^=]}}) keys=(${{(M)${{=found}}:#*=}})
    (( ${{#complete}} )) && compadd -- $complete
    (( ${{#keys}} )) && compadd -S '' -- $keys
    if compset -P '*='; then _files; else _files; fi
}}
if [[ "${{funcstack[1]}}" == _mhdnn ]]; then _mhdnn "$@"; else compdef _mhdnn mhdnn; fi
"""

FISH = """\
function __mhdnn_at
    set -l path
    for word in (commandline -opc)[2..]
        string match -qr -- '^-|=' $word; or set -a path $word
    end
    test "$path" = "$argv[1]"; or string match -q -- "$argv[1] *" "$path"; and test -n "$argv[1]"
end
{cases}
"""


def of_function(path: str) -> list[str]:
    """The keys of a function that the command line calls, given as ``module:name``."""
    from mhdnn.arguments import keys_of

    module, _, name = path.partition(":")
    return [f"{key.name}=" for key in keys_of(getattr(import_module(module), name))]


def of_training() -> list[str]:
    """Keys of the settings, groups with their choices, and options of Hydra."""
    from mhdnn.training.configuration import choices, default_config, groups, setting_names

    chosen = [f"{group}={name}" for group in groups() for name in choices(group)]
    return [*chosen, *(f"{name}=" for name in setting_names(default_config([]))), "--multirun", "--cfg", "--help"]


def of_plan() -> list[str]:
    """Keys of the settings of `mhdnn learn`."""
    from mhdnn.active.plan import Plan
    from mhdnn.typed import keys_with_meanings

    return [f"{key}=" for key, _, _ in keys_with_meanings(Plan)]


def words() -> dict[str, list[str]]:
    """What can follow each command, by the command's words, as in ``data select``."""
    from mhdnn.properties.commands import COMMANDS as PROPERTIES

    found = {path: of_function(function) for path, function in COMMANDS.items()}
    found |= {f"properties {name}": of_function(path) for name, path in PROPERTIES.items()}
    found |= {"train": of_training(), "learn": of_plan(), "completion": list(SHELLS)}
    for path in [path for path in found if " " in path]:
        first, _, second = path.partition(" ")
        found[first] = list(dict.fromkeys([*found.get(first, []), second]))
    return {"": [*first_words(), "--version", "--help"], **found}


def _cases(variable: str, table: Mapping[str, Sequence[str]]) -> str:
    return "\n".join(f"        '{path}') {variable}='{' '.join(entries)}' ;;" for path, entries in table.items())


def _fish_cases(table: Mapping[str, Sequence[str]]) -> str:
    lines = [f"complete -c mhdnn -n 'test (count (commandline -opc)) -eq 1' -f -a '{' '.join(table[''])}'"]
    for path, entries in table.items():
        if path and any(entries):
            files = "" if " " in path or path in ("train", "evaluate", "export") else " -f"
            lines.append(f"complete -c mhdnn -n '__mhdnn_at \"{path}\"'{files} -a '{' '.join(entries)}'")
    return "\n".join(lines)


Table = Mapping[str, Sequence[str]]
SHELLS: dict[str, Callable[[Table], str]] = {
    "bash": lambda table: BASH.format(cases=_cases("words", table)),
    "zsh": lambda table: ZSH.format(cases=_cases("found", table)),
    "fish": lambda table: FISH.format(cases=_fish_cases(table)),
}


def print_completion(shell: str) -> None:
    """A script for the shell that completes commands and keys: put it where the shell looks for completions.

    :param shell: bash (~/.local/share/bash-completion/completions/mhdnn), zsh (~/.zfunc/_mhdnn, with ~/.zfunc in fpath
        before compinit) or fish (~/.config/fish/completions/mhdnn.fish)
    :raises ConfigError: for a shell that is not known
    """
    if shell not in SHELLS:
        raise ConfigError(f"`{shell}`: no completion for this shell; expected one of {', '.join(SHELLS)}")
    print(SHELLS[shell](words()), end="")
