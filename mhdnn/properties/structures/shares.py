"""Names with numbers, as ``W:2,Nb:10`` on the command line."""

from __future__ import annotations

from collections.abc import Sequence

from mhdnn.errors import ConfigError


def named_shares(key: str, words: Sequence[str]) -> dict[str, float]:
    """The number of each name.

    :param key: of the command, for the error
    :param words: such as ``111:1.15``
    :raises ConfigError: unless each is a name and a number, and each name comes once
    """
    try:
        pairs = [(name.strip(), float(value)) for name, value in (word.split(":") for word in words)]
    except ValueError as error:
        raise ConfigError(f"`{key}`: expected name:number with commas between, got {','.join(words)!r}") from error
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ConfigError(f"`{key}`: expected each name once, got {','.join(words)!r}; add the numbers of equal names")
    return found


def whole_shares(key: str, words: Sequence[str]) -> dict[str, int]:
    """The same with whole numbers.

    :raises ConfigError: as `named_shares`, and for a number that is not whole
    """
    found = named_shares(key, words)
    broken = [name for name, value in found.items() if not float(value).is_integer()]
    if broken:
        raise ConfigError(f"`{key}`: expected whole numbers, got {found[broken[0]]:g} for {broken[0]}")
    return {name: int(value) for name, value in found.items()}
