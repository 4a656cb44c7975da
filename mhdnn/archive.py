"""ZIP archives (model files, checkpoints) in which a changed bit is noticed.

torch reads its archives without looking at their checksums: a flipped bit of a weight gives another energy. So each
file is sealed: the comment at the end of the archive, which torch and zip programs skip, is the SHA-256 of all bytes
before it. Files without a seal are checked by the CRC-32 of their records. The twin of this module for LAMMPS is
``core/archive.cpp``.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

from mhdnn.errors import ModelError
from mhdnn.files import write_atomically

SEAL_PREFIX = b"mhdnn sha256 "
SEAL_LENGTH = len(SEAL_PREFIX) + 64
END_RECORD = b"PK\x05\x06"
END_RECORD_LENGTH = 22  # without the comment, whose length are its last two bytes
REMEDY = "copy it again, or export or train it again"


def seal(content: bytes) -> bytes:
    """An archive with its digest as comment.

    :param content: a ZIP archive without comment
    """
    if content[-END_RECORD_LENGTH:][:4] != END_RECORD:
        raise ValueError("`content`: expected a ZIP archive without comment")
    body = content[:-2] + SEAL_LENGTH.to_bytes(2, "little")
    return body + SEAL_PREFIX + hashlib.sha256(body).hexdigest().encode()


def is_sealed(content: bytes) -> bool:
    """Whether an archive ends with a seal; `check` tells whether it holds."""
    return content[-SEAL_LENGTH:].startswith(SEAL_PREFIX)


def check(content: bytes, path: Path | str) -> None:
    """Refuse an archive that is not what was written.

    :param path: for the message
    :raises ModelError: if the digest differs, or (without seal) the checksum of a record
    """
    if is_sealed(content):
        body, digest = content[:-SEAL_LENGTH], content[-SEAL_LENGTH:][len(SEAL_PREFIX) :]
        if hashlib.sha256(body).hexdigest().encode() != digest:
            raise ModelError(f"{path}: is damaged (its SHA-256 differs from that written in it); {REMEDY}")
        return
    if content[-END_RECORD_LENGTH:][:4] != END_RECORD or content[-2:] != b"\0\0":
        raise ModelError(f"{path}: not a model file and not a checkpoint of mhdnn, or cut short; {REMEDY}")
    damaged = _first_damaged_record(content)
    if damaged is not None:
        raise ModelError(f"{path}: is damaged ({damaged}); {REMEDY}")


def _first_damaged_record(content: bytes) -> str | None:
    """What is wrong with an archive, by the CRC-32 of its records; None if nothing is."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            name = archive.testzip()
    except Exception as error:  # zipfile raises whatever the damaged bytes lead it to
        return str(error) or type(error).__name__
    return None if name is None else f"the CRC-32 of its record {name} differs"


def read_archive(path: Path | str) -> bytes:
    """The content of a file, checked.

    :raises ModelError: if it can't be read, or is damaged
    """
    path = Path(path)
    if path.is_dir():
        raise ModelError(f"{path}: is a folder; expected a file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: can't be read ({error.strerror or error})") from error
    check(content, path)
    return content


def write_archive(path: Path, content: bytes) -> None:
    """Seal an archive and write it, atomically.

    :raises OutputError: if it can't be written
    """
    write_atomically(path, seal(content))
