"""Several structures with their energies, relaxed or not: kept in a journal, and a failure of one leaves the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.jsonio import decode, encode

from mhdnn.properties.frames import with_results
from mhdnn.properties.journal import Journal, fingerprint, identity
from mhdnn.properties.points import Points
from mhdnn.properties.progress import tracked
from mhdnn.properties.relaxation import with_energy


@dataclass(frozen=True)
class Rest:
    """How structures come to rest.

    :param relax: whether positions are relaxed
    :param cell: whether cells of structures with three periodic directions are relaxed, too
    :param max_force: at the end of a relaxation, eV/Å
    """

    relax: bool
    cell: bool
    max_force: float


def structures_at_rest(
    structures: Sequence[Atoms],
    calculator: BaseCalculator | None,
    rest: Rest,
    points: Points,
    required: int = 0,
    journal: str | Path | None = None,
    description: str = "structures",
) -> list[Atoms | None]:
    """The structures with the results of the calculator, or those of their files without one.

    :param points: keeps what failed
    :param required: so many at the beginning must not fail
    :param journal: JSON file of finished structures, from which an interrupted command continues
    :return: None for those that failed
    :raises ConfigError: as `mhdnn.properties.relaxation.with_energy`
    :raises PropertyError: if a required one fails
    """
    kept = None
    if journal is not None and calculator is not None:
        settings = identity(structures[0], calculator)
        kept = Journal(journal, settings | {"relax": rest.relax, "cell": rest.cell, "max_force": rest.max_force})
    found: list[Atoms | None] = []
    for number, atoms in enumerate(tracked(list(structures), description)):
        compute = partial(_at_rest, atoms, calculator, rest, kept)
        name = f"structure {number - required}, {atoms.get_chemical_formula()},"
        found.append(compute() if number < required else points.get(name, compute))
    return found


def _at_rest(atoms: Atoms, calculator: BaseCalculator | None, rest: Rest, kept: Journal | None) -> Atoms:
    cell = bool(rest.relax and rest.cell and atoms.pbc.all())
    if calculator is None:
        return with_energy(atoms, None, rest.relax, cell, rest.max_force)

    def compute() -> dict[str, Any]:
        found = with_results(with_energy(atoms, calculator, rest.relax, cell, rest.max_force), calculator)
        assert found.calc is not None
        return {"atoms": encode(found.copy()), "results": found.calc.results}

    state = compute() if kept is None else kept.get(fingerprint(atoms), compute)
    result = decode(state["atoms"])
    values = {key: np.array(value) if isinstance(value, list) else value for key, value in state["results"].items()}
    result.calc = SinglePointCalculator(result, **values)
    return result
