"""Damaged copies of a file: the same for the same number, whatever was made before."""

from __future__ import annotations

import random
from collections.abc import Callable

STRANGE = (
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"[/red]", b"999999999999999999999", b"-1", b"nan", b"inf", b"1e308",
    b"1e-308", b"*****", b'"', b"'", b"\n\n3\n", b"{[(", b"9" * 400, b"0", b"\r\n", b"%s", b"\\", b"Xx", b"\xc3\xa9",
)  # fmt: skip
"""What stands in files that went through other hands."""
LONGEST_PIECE = 80


def mutated(data: bytes, target: str, number: int) -> bytes:
    """The file with one to three damages."""
    generator = random.Random(f"{target} {number}")
    for _ in range(generator.choice((1, 1, 1, 2, 3))):
        if data:
            data = generator.choice(DAMAGES)(data, generator)
    return data


def _cut(data: bytes, generator: random.Random) -> bytes:
    return data[: generator.randrange(len(data))]


def _flipped(data: bytes, generator: random.Random) -> bytes:
    result = bytearray(data)
    for _ in range(generator.randint(1, 4)):
        result[generator.randrange(len(result))] ^= 1 << generator.randrange(8)
    return bytes(result)


def _without_piece(data: bytes, generator: random.Random) -> bytes:
    first, last = _piece(data, generator)
    return data[:first] + data[last:]


def _doubled_piece(data: bytes, generator: random.Random) -> bytes:
    first, last = _piece(data, generator)
    return data[:last] + data[first:]


def _zeroed_piece(data: bytes, generator: random.Random) -> bytes:
    first, last = _piece(data, generator)
    return data[:first] + bytes(last - first) + data[last:]


def _strange_inserted(data: bytes, generator: random.Random) -> bytes:
    first = generator.randrange(len(data))
    return data[:first] + generator.choice(STRANGE) + data[first:]


def _word_replaced(data: bytes, generator: random.Random) -> bytes:
    words = data.split(b" ")
    filled = [place for place, word in enumerate(words) if word.strip()]
    if filled:
        place = generator.choice(filled)
        words[place] = generator.choice(STRANGE) + (b"\n" if words[place].endswith(b"\n") else b"")
    return b" ".join(words)


def _line_moved(data: bytes, generator: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    line = lines.pop(generator.randrange(len(lines)))
    if generator.random() < 0.5:
        lines.insert(generator.randrange(len(lines) + 1), line)
    return b"".join(lines)


def _piece(data: bytes, generator: random.Random) -> tuple[int, int]:
    first = generator.randrange(len(data))
    return first, min(len(data), first + generator.randint(1, LONGEST_PIECE))


DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _cut, _flipped, _without_piece, _doubled_piece, _zeroed_piece, _strange_inserted, _word_replaced, _line_moved,
)  # fmt: skip
