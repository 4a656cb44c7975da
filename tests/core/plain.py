"""The plain weights of a model file as a dictionary that tests change, and a file with others."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mhdnn.archive import write_archive
from mhdnn.deploy.plain_weights import TYPES, WEIGHTS_NUMBERS, WEIGHTS_TEXT

Records = dict[str, "str | np.ndarray"]


def with_record(model: Path, folder: Path, changes: dict[str, Callable[[bytes], bytes | None]]) -> Path:
    """The model with other extra files of these names (None: without them), and a seal that holds."""
    bare, result = folder / "bare.zip", folder / "changed.pt"
    with zipfile.ZipFile(model) as old, zipfile.ZipFile(bare, "w", zipfile.ZIP_STORED) as new:
        for entry in old.infolist():
            content: bytes | None = old.read(entry)
            for name, change in changes.items():
                if entry.filename.endswith(f"/extra/{name}"):
                    content = change(old.read(entry))
            if content is not None:
                new.writestr(entry.filename, content)
    write_archive(result, bare.read_bytes())
    return result


def records_of(model: Path) -> Records:
    with zipfile.ZipFile(model) as archive:
        text, numbers = (
            next(archive.read(entry) for entry in archive.namelist() if entry.endswith(f"/extra/{name}"))
            for name in (WEIGHTS_TEXT, WEIGHTS_NUMBERS)
        )
    result: Records = {}
    for line in text.decode().splitlines()[1:]:
        kind, name, *words = line.split(" ")
        if kind == "text":
            result[name] = " ".join(words)
        else:
            shape = [int(size) for size in words[2:]]
            values = np.frombuffer(numbers, TYPES[words[0]], int(np.prod(shape)), int(words[1]))
            result[name] = values.reshape(shape)
    return result


def with_records(model: Path, folder: Path, records: Records) -> Path:
    """The model with these plain weights."""
    lines, numbers = ["mhdnn_weights 1"], b""
    for name, value in records.items():
        if isinstance(value, str):
            lines.append(f"text {name} {value}")
        else:
            lines.append(" ".join(["array", name, value.dtype.name, str(len(numbers)), *map(str, value.shape)]))
            numbers += value.tobytes() + bytes(-value.nbytes % 8)
    text = "\n".join(lines).encode()
    return with_record(model, folder, {WEIGHTS_TEXT: lambda _: text, WEIGHTS_NUMBERS: lambda _: numbers})
