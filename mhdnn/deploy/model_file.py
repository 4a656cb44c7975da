"""The model file: the potential as TorchScript, with metadata that tells what it needs and where it holds.

The file is read by `torch.jit.load` in Python and C++; nothing in it is unpickled. Metadata is JSON under
the extra file ``metadata.json``; those of `PLAIN_TEXTS` stand in extra files of their own, too, for programs without a
JSON parser. Weights and settings stand in the file a second time, in plain (`mhdnn.deploy.plain_weights`), for programs
without torch.

The script is the `mhdnn.potential.Potential` with its parts. It has ``forward`` for whole structures, and for a code
that divides them among processes the steps of it: ``element_index``, ``symmetry_functions`` (of the atoms that are
centres), ``scaled``, ``energies_of``. Its submodule ``charge_model``, None without charges, has ``electronegativity``,
``hardness``, ``charge_widths`` and ``screening``; the charges are found by the core (`mhdnn.electrostatics`). The
submodule ``domain`` (`mhdnn.domain`) tells what is outside the training data.

Files of formats 3 and 4 are read, too (`mhdnn.deploy.older_format`).

Both verify the file before torch reads it (`mhdnn.archive`).
"""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ase.data import atomic_numbers as atomic_number_of
from ase.data import chemical_symbols

import mhdnn
from mhdnn.archive import read_archive, write_archive
from mhdnn.deploy.older_format import OLDER_FORMATS, upgraded
from mhdnn.deploy.plain_weights import plain_weights
from mhdnn.errors import ModelError
from mhdnn.kernels import load_operators
from mhdnn.potential import Potential

METADATA_FILE = "metadata.json"
PLAIN_TEXTS = (
    "format_version", "mhdnn_version", "dtype", "elements", "reference_energies", "cutoff", "charges",
    "dispersion_left_out",
)  # fmt: skip
"""Metadata in extra files ``NAME.txt``: words, with blanks between those of a list; true and false are 1 and 0."""
FORMAT_VERSION = 5
METADATA_KINDS: dict[str, type | tuple[type, ...]] = {
    "mhdnn_version": str, "elements": list, "atomic_numbers": list, "cutoff": (int, float), "dtype": str,
    "charges": bool, "dispersion_left_out": str, "settings": dict, "reference_energies": list, "functions": list,
    "training": dict,
}  # fmt: skip
EXPORT_AGAIN = "export the checkpoint again (`mhdnn export`)"
UNBOUNDED = ("range", "minimum", "maximum")  # last words of the names of tensors that may be infinite
UNITS = {"length": "Å", "energy": "eV", "forces": "eV/Å", "stress": "eV/Å³", "charge": "e"}


def metadata_of(potential: Potential, settings: Mapping[str, Any], training: Mapping[str, Any]) -> dict[str, Any]:
    """Everything a program must know before it uses the model.

    :param settings: plain settings the potential was built from
    :param training: where it comes from (datasets, DFT code, functional, errors)
    """
    numbers = [int(number) for number in settings["atomic_numbers"]]
    return {
        "format_version": FORMAT_VERSION,
        "mhdnn_version": mhdnn.__version__,
        "torch_version": torch.__version__,
        "elements": [chemical_symbols[number] for number in numbers],
        "atomic_numbers": numbers,
        "cutoff": float(settings["cutoff"]),
        "dtype": settings["dtype"],
        "units": UNITS,
        "charges": bool(settings.get("charges")),
        "dispersion_left_out": settings.get("dispersion_left_out", ""),
        "settings": dict(settings),
        "reference_energies": potential.short_range.reference_energies.tolist(),
        "functions": potential.descriptor.names(numbers),
        "training_domain": potential.domain.metadata(),
        "uncertainty": potential.uncertainty.metadata(potential.domain.symbols),
        "training": dict(training),
    }


def _plain_text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_plain_text, value))
    return str(int(value)) if isinstance(value, bool) else str(value)


def save_model(potential: Potential, path: Path | str, metadata: Mapping[str, Any]) -> None:
    """Write a model file, sealed (`mhdnn.archive`) and atomically.

    :raises ModelError: if a weight is NaN or infinite
    :raises OutputError: if the file can't be written
    """
    check_weights(potential.state_dict(), path)
    content = io.BytesIO()  # torch's own writer aborts the process when the disk is full
    with warnings.catch_warnings():
        # deprecated since torch 2.9, and what LAMMPS can load
        warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
        script = torch.jit.script(potential.eval())
        texts = {f"{name}.txt": _plain_text(metadata[name]) for name in PLAIN_TEXTS}
        texts[METADATA_FILE] = json.dumps(metadata, allow_nan=False)
        torch.jit.save(script, content, _extra_files={**texts, **plain_weights(potential, metadata)})
    write_archive(Path(path), content.getvalue())


def load_model(path: Path | str, device: torch.device | str = "cpu") -> tuple[torch.jit.ScriptModule, dict[str, Any]]:
    """The scripted potential and its metadata; loads the operators that it calls.

    :raises ModelError: if the file does not exist, is damaged, or is no model file of mhdnn
    """
    return opened_model(read_model(path), path, device)


def read_model(path: Path | str) -> bytes:
    """The content of a model file, verified.

    :raises ModelError: if the file does not exist, or is damaged
    """
    path = Path(path)
    if path.is_dir():
        raise ModelError(f"{path}: is a folder; expected a model file, such as model.pt in the folder of a training")
    if not path.is_file():
        raise ModelError(f"{path}: no such model file; `mhdnn train` and `mhdnn export` write one")
    return read_archive(path)


def opened_model(
    content: bytes, path: Path | str, device: torch.device | str = "cpu"
) -> tuple[torch.jit.ScriptModule, dict[str, Any]]:
    """`load_model` from what was read.

    :param content: from `read_model`
    :param path: where it was, for messages
    :raises ModelError: if it is no model file of mhdnn
    """
    path = Path(path)
    load_operators()
    extra = {METADATA_FILE: ""}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
            script = torch.jit.load(io.BytesIO(content), map_location=device, _extra_files=extra)
    except RuntimeError as error:
        raise ModelError(
            f"{path}: not a model file ({first_line(error)}); expected TorchScript written by `mhdnn export`"
        ) from error
    if not extra[METADATA_FILE]:
        raise ModelError(f"{path}: TorchScript without mhdnn's metadata; expected a file written by `mhdnn export`")
    metadata = read_metadata(extra[METADATA_FILE], path)
    check_weights(script.state_dict(), path)
    return upgraded(script, metadata) if metadata["format_version"] != FORMAT_VERSION else (script, metadata)


def is_model_file(path: Path) -> bool:
    """Whether a file is TorchScript of mhdnn, rather than a checkpoint."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(f"/extra/{METADATA_FILE}") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def read_metadata(text: str | bytes, path: Path) -> dict[str, Any]:
    """The metadata of a model file, with every key that programs rely on.

    :raises ModelError: if it is no JSON, of another format, or lacks a key
    """
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: its metadata are no JSON ({first_line(error)}); {EXPORT_AGAIN}") from error
    version = metadata.get("format_version") if isinstance(metadata, dict) else None
    if version not in (*OLDER_FORMATS, FORMAT_VERSION):
        raise ModelError(
            f"{path}: format version {version}, this mhdnn reads {OLDER_FORMATS[0]} to {FORMAT_VERSION}; "
            "export the checkpoint again with this version"
        )
    for key, kind in METADATA_KINDS.items():
        value = metadata.get(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ModelError(f"{path}: `{key}` of its metadata is missing or of another kind; {EXPORT_AGAIN}")
    if [atomic_number_of.get(symbol) for symbol in metadata["elements"]] != metadata["atomic_numbers"]:
        raise ModelError(
            f"{path}: `elements` and `atomic_numbers` of its metadata contradict each other; {EXPORT_AGAIN}"
        )
    return metadata


def first_line(error: Exception) -> str:
    """The first line of an error of torch, which may go on for a page."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def check_weights(state: Mapping[str, torch.Tensor], source: Path | str) -> None:
    """Refuse weights that give NaN.

    :param state: named tensors; the ranges of functions may be infinite
    :param source: for the message
    :raises ModelError: naming the tensor
    """
    for name, values in state.items():
        if not values.is_floating_point():
            continue
        bad = torch.isnan(values) if name.endswith(UNBOUNDED) else ~torch.isfinite(values)
        if bool(bad.any()):
            raise ModelError(
                f"{source}: {int(bad.sum())} of {bad.numel()} numbers of `{name}` are NaN or infinite; "
                "train again from a checkpoint before that (checkpoints/best.ckpt)"
            )
