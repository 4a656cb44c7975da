"""vasprun.xml of VASP 5 and 6.

The energy of a step in this file holds the work of an external pressure (``PSTRESS``), which is taken off; its
``e_0_energy`` is wrong in some versions, so the extrapolated energy is worked out from the last electronic step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from mhdnn.data.ase_bridge import voigt_stress
from mhdnn.data.codes import bader
from mhdnn.data.codes.labels import (
    atomic_number,
    check_converged,
    chosen_charges,
    chosen_energy,
    failing,
    no_steps,
    number,
    numbers,
)
from mhdnn.data.codes.vasp_outcar import total_charge
from mhdnn.data.reading import Frame, ReadOptions, default_group, open_binary, readable
from mhdnn.data.schema import Record
from mhdnn.data.unit_names import stress_unit
from mhdnn.errors import DataError
from mhdnn.structure import Structure, cell_volume

ENERGIES = ("e_fr_energy", "e_0_energy")


@dataclass
class _Header:
    """What stands before the steps."""

    symbols: list[str] = field(default_factory=list)
    valence: np.ndarray | None = None
    parameters: dict[str, str] = field(default_factory=dict)

    def value(self, key: str, name: str) -> float | None:
        return number(self.parameters[key], name) if key in self.parameters else None


@dataclass
class _Step:
    """Texts of one ``calculation``, not yet understood."""

    iterations: int
    electronic: dict[str, str]
    energies: dict[str, str]
    arrays: dict[str, list[str]]


def frames(path: Path, options: ReadOptions) -> Iterator[Frame]:
    """The ionic steps of a vasprun.xml without those of machine-learned force fields, which have no electronic ones."""
    header, density = _Header(), bader.beside(path)
    count, learned, previous = 0, 0, None
    for step in _steps(path, header):
        if isinstance(step, str):
            if previous is not None:
                yield partial(_record, previous, header, path, count, options, density, False)
                count, previous = count + 1, None
            yield failing(
                f"{path}: frame {count}: the file ends within this step ({step}); leave it out with `--skip-invalid`"
            )
            return
        if step.iterations == 0 and _learned(header):
            learned += 1
            continue
        if previous is not None:
            yield partial(_record, previous, header, path, count, options, density, False)
            count += 1
        previous = step
    if previous is not None:
        yield partial(_record, previous, header, path, count, options, density, True)
    else:
        yield no_steps(
            path, "ab-initio step (there are steps of a machine-learned force field)" if learned else "ionic step"
        )


def _learned(header: _Header) -> bool:
    return header.parameters.get("ML_LMLFF", "F").strip().upper().startswith("T")


def _steps(path: Path, header: _Header) -> Iterator[_Step | str]:
    """Each step; at the end the parser's message if the file is cut."""
    inside = False
    try:
        with readable(path), open_binary(path) as file:
            for event, element in ElementTree.iterparse(file, events=("start", "end")):
                if event == "start":
                    inside = inside or element.tag == "calculation"
                elif element.tag == "calculation":
                    yield _step(element)
                    element.clear()
                    inside = False
                elif not inside:
                    _read_header(element, header, str(path))
    except ElementTree.ParseError as error:
        yield str(error)
    except DataError as error:
        yield str(error)


def _step(element: ElementTree.Element) -> _Step:
    electronic = element.findall("scstep")
    return _Step(
        len(electronic),
        _energies(electronic[-1].find("energy")) if electronic else {},
        _energies(element.find("energy")),
        {
            key: [vector.text or "" for vector in element.findall(f"{where}/v")]
            for key, where in (
                ("basis", "structure/crystal/varray[@name='basis']"),
                ("positions", "structure/varray[@name='positions']"),
                ("forces", "varray[@name='forces']"),
                ("stress", "varray[@name='stress']"),
            )
        },
    )


def _energies(element: ElementTree.Element | None) -> dict[str, str]:
    found = {} if element is None else {key: element.findtext(f"i[@name='{key}']") for key in ENERGIES}
    return {key: text for key, text in found.items() if text is not None}


def _read_header(element: ElementTree.Element, header: _Header, name: str) -> None:
    if element.tag in ("incar", "parameters"):
        for item in element.iter("i"):
            key = item.get("name", "")
            if element.tag == "incar" or key not in header.parameters or key != "NELM":
                header.parameters.setdefault(key, item.text or "")
    elif element.tag == "atominfo":
        header.symbols = [row[0].text or "" for row in element.iterfind("array[@name='atoms']/set/rc")]
        header.valence = _valence(element, name)


def _valence(element: ElementTree.Element, name: str) -> np.ndarray | None:
    """Electrons that each atom's pseudopotential brings, in the order of the atoms."""
    fields = [item.text for item in element.iterfind("array[@name='atomtypes']/field")]
    types = [[cell.text or "" for cell in row] for row in element.iterfind("array[@name='atomtypes']/set/rc")]
    kinds = [row[1].text or "" for row in element.iterfind("array[@name='atoms']/set/rc") if len(row) > 1]
    if "valence" not in fields or not types:
        return None
    by_type = numbers((row[fields.index("valence")] for row in types), name)
    indices = [int(kind) - 1 for kind in kinds]
    return by_type[indices] if indices and max(indices) < len(by_type) else None


def _record(
    step: _Step,
    header: _Header,
    path: Path,
    frame: int,
    options: ReadOptions,
    density: bader.Density | None,
    last: bool,
) -> Record:
    name = f"{path}: frame {frame}"
    limit = header.value("NELM", name)
    check_converged(
        limit is None or not step.iterations or step.iterations < limit,
        options,
        name,
        f"{step.iterations} electronic steps, `NELM` is {limit}",
    )
    cell = _array(step, "basis", 3, name)
    atoms = len(header.symbols)
    positions = _array(step, "positions", atoms, name) @ cell
    energy, kind = _energy(step, header, cell, options, name)
    electrons = header.value("NELECT", name)
    printed = bader.charges(density, header.valence, electrons, positions, cell, last) if density else None
    charges, scheme, unused = chosen_charges(options, {} if printed is None else {"bader": printed})
    partial_stress = header.value("ISIF", name) == 1
    structure = Structure(
        atomic_numbers=np.array([atomic_number(symbol.strip(), name) for symbol in header.symbols], dtype=np.int64),
        positions=positions,
        cell=cell,
        pbc=np.full(3, True),
        energy=energy,
        forces=_array(step, "forces", atoms, name) if step.arrays["forces"] else None,
        stress=None if partial_stress else _stress(step, name),
        charges=charges,
        total_charge=total_charge(header.valence, electrons),
        group=default_group(path),
    )
    unused += ("stress (its trace alone, ISIF = 1)",) if partial_stress and step.arrays["stress"] else ()
    return Record(structure, energy_kind=kind, charge_scheme=scheme, unused=unused)


def _array(step: _Step, key: str, count: int, name: str) -> np.ndarray:
    found = [numbers(text.split(), name) for text in step.arrays[key]]
    if len(found) != count or any(row.shape != (3,) for row in found):
        raise DataError(
            f"{name}: expected {count} vectors of `{key}`, found {len(found)}; the file was changed by hand"
        )
    return np.array(found).reshape(count, 3)


def _energy(
    step: _Step, header: _Header, cell: np.ndarray, options: ReadOptions, name: str
) -> tuple[float | None, str | None]:
    energies = step.energies or step.electronic
    if "e_fr_energy" not in energies:
        return None, None
    free = number(energies["e_fr_energy"].strip(), name)
    if step.energies:
        pressure = (header.value("PSTRESS", name) or 0.0) * stress_unit("kB", name)
        free -= pressure * cell_volume(cell)
    extrapolated = None
    if all(key in step.electronic for key in ENERGIES):
        last = {key: number(text.strip(), name) for key, text in step.electronic.items()}
        extrapolated = free + last["e_0_energy"] - last["e_fr_energy"]
    return chosen_energy(options, free, extrapolated, name)


def _stress(step: _Step, name: str) -> np.ndarray | None:
    if not step.arrays["stress"]:
        return None
    return -voigt_stress(_array(step, "stress", 3, name), name) * stress_unit("kB", name)
