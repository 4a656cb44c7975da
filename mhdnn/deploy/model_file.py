"""The model file: the potential as TorchScript, with metadata that tells what it needs and where it holds.

The file is read by `torch.jit.load` in Python and C++; nothing in it is unpickled. Metadata is JSON under
the extra file ``metadata.json``; those of `PLAIN_TEXTS` stand in extra files of their own, too, for programs without a
JSON parser.

The script has ``forward`` for whole structures, and for a code that divides them among processes the steps of it:
``element_index``, ``scaled_functions`` (of the atoms that are centres), ``energies_of``, ``outside_training``; with
charge equilibration also ``electronegativity_of``, ``hardness``, ``charge_widths`` and ``screening``. The charges are
found by `mhdnn.electrostatics`, in LAMMPS by its twin in C++.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ase.data import chemical_symbols

import mhdnn
from mhdnn.errors import ModelError
from mhdnn.kernels import load_operators
from mhdnn.potential import Potential

METADATA_FILE = "metadata.json"
PLAIN_TEXTS = (
    "format_version", "mhdnn_version", "dtype", "operator_library", "elements", "reference_energies", "cutoff",
    "charges", "dispersion_left_out",
)  # fmt: skip
"""Metadata in extra files ``NAME.txt``: words, with blanks between those of a list; true and false are 1 and 0."""
FORMAT_VERSION = 3
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
        "reference_energies": potential.reference_energies.tolist(),
        "functions": potential.descriptor.names(numbers),
        "function_minimum": _finite(potential.function_minimum),
        "function_maximum": _finite(potential.function_maximum),
        "operator_library": "mhdnn",
        "training": dict(training),
    }


def _finite(values: torch.Tensor) -> list[float | None]:
    """Numbers for JSON, which has no infinity: None where there is no limit."""
    return [value if math.isfinite(value) else None for value in values.tolist()]


def _plain_text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_plain_text, value))
    return str(int(value)) if isinstance(value, bool) else str(value)


def save_model(potential: Potential, path: Path, metadata: Mapping[str, Any]) -> None:
    """Write a model file (aside, then renamed)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".part")
    try:
        with warnings.catch_warnings():
            # deprecated since torch 2.9, and what LAMMPS can load
            warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
            script = torch.jit.script(potential.eval())
            texts = {f"{name}.txt": _plain_text(metadata[name]) for name in PLAIN_TEXTS}
            json_text = json.dumps(metadata, allow_nan=False)
            torch.jit.save(script, str(aside), _extra_files={METADATA_FILE: json_text, **texts})
        aside.replace(path)
    except OSError as error:
        raise ModelError(
            f"{path}: the model could not be written ({error}); free space or choose another path"
        ) from error
    finally:
        aside.unlink(missing_ok=True)


def load_model(path: Path | str, device: torch.device | str = "cpu") -> tuple[torch.jit.ScriptModule, dict[str, Any]]:
    """The scripted potential and its metadata; loads the operators that it calls.

    :raises ModelError: if the file does not exist or is no model file of mhdnn
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: no such model file; `mhdnn train` and `mhdnn export` write one")
    load_operators()
    extra = {METADATA_FILE: ""}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
            script = torch.jit.load(str(path), map_location=device, _extra_files=extra)
    except RuntimeError as error:
        raise ModelError(
            f"{path}: not a model file ({str(error).splitlines()[0]}); expected TorchScript written by `mhdnn export`"
        ) from error
    if not extra[METADATA_FILE]:
        raise ModelError(f"{path}: TorchScript without mhdnn's metadata; expected a file written by `mhdnn export`")
    metadata = json.loads(extra[METADATA_FILE])
    if metadata.get("format_version") != FORMAT_VERSION:
        raise ModelError(
            f"{path}: format version {metadata.get('format_version')}, this mhdnn reads {FORMAT_VERSION}; "
            "export the checkpoint again with this version"
        )
    return script, metadata
