"""How far the labels of the bundled set are from convergence: k-points and plane-wave cutoff.

    python3 scripts/dft/convergence.py     # a Python that has GPAW; some minutes

Prints energies per atom of rattled α-Sn and graphene on denser meshes, forces of bilayers of tin on the mesh of the set
and on a denser one, and the stress of flat graphene against the cutoff: along the vacuum it should vanish, in the plane
it is compared with a finite difference.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from ase import Atoms
from ase.build import bulk
from ase.units import GPa

sys.path.insert(0, str(Path(__file__).parents[1]))
from dft.adhesion import candidates
from dft.codes import GPAWPlaneWaves, Label
from dft.structures import sheet

STRAIN = 0.01
SEED = 7  # of the set
BILAYERS = ("tin_bilayer-54-0", "tin_bilayer-52-0", "tin_bilayer-50-0")


def label(atoms: Atoms, mesh: tuple[int, int, int], cutoff: float = 500.0) -> Label:
    with tempfile.TemporaryDirectory() as folder:
        return GPAWPlaneWaves(cutoff).label(atoms, mesh, Path(folder) / "log")


def mesh_errors() -> None:
    tin = bulk("Sn", "diamond", a=6.6)
    tin.rattle(0.1)
    graphene = sheet(1)
    graphene.rattle(0.05)
    for name, atoms, meshes in (
        ("alpha-Sn", tin, [(4, 4, 4), (5, 5, 5), (6, 6, 6)]),
        ("graphene", graphene, [(8, 8, 1), (10, 10, 1), (12, 12, 1), (14, 14, 1)]),
    ):
        for mesh in meshes:
            result = label(atoms, mesh)
            force = abs(result.forces).max()
            print(
                f"{name} {mesh}: {result.energy / len(atoms):.4f} eV/atom, largest force {force:.3f} eV/Å", flush=True
            )


def bilayer_errors() -> None:
    for candidate in candidates(SEED):
        if candidate.name in BILAYERS:
            for mesh in (candidate.k_points, (8, 8, 1)):
                result = label(candidate.atoms, mesh)
                print(
                    f"{candidate.name} {mesh}: {result.energy:.4f} eV, forces {result.forces.round(3).tolist()}",
                    flush=True,
                )


def stress_errors() -> None:
    atoms = sheet(1)
    for cutoff in (350.0, 500.0):
        stress = label(atoms, (8, 8, 1), cutoff).stress / GPa
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            cell = atoms.cell[:].copy()
            cell[:, 0] *= 1 + sign * STRAIN
            moved.set_cell(cell, scale_atoms=True)
            energies.append(label(moved, (8, 8, 1), cutoff).energy)
        numerical = (energies[0] - energies[1]) / (2 * STRAIN) / atoms.get_volume() / GPa
        print(
            f"{cutoff:.0f} eV: xx {stress[0]:.2f} GPa (from energies {numerical:.2f}), zz {stress[2]:.2f} GPa",
            flush=True,
        )


if __name__ == "__main__":
    mesh_errors()
    bilayer_errors()
    stress_errors()
