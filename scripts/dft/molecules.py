"""Relax the molecules of electrolytes and write them as extended XYZ.

python scripts/dft/molecules.py molecules.xyz     # a Python that has PySCF, geomeTRIC, RDKit and ASE

Start: RDKit's distance geometry and MMFF94; for LiTFSI the anion with its oxygens on one side and lithium between two
of them. Then PBE0/def2-SVP with density fitting to geomeTRIC's default convergence. Each molecule is written
as soon as it is done; those in the file are skipped.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read, write
from pyscf import dft, gto
from pyscf.geomopt.geometric_solver import optimize
from rdkit import Chem
from rdkit.Chem import AllChem

FUNCTIONAL, BASIS = "PBE0", "def2-SVP"
SMILES = {
    "EC": "C1COC(=O)O1",
    "DMC": "COC(=O)OC",
    "TFSI": "C(F)(F)(F)S(=O)(=O)[N-]S(=O)(=O)C(F)(F)F",
}
LITHIUM_OXYGEN = 1.9  # Å
CONFORMERS = 60


def conformers(smiles: str) -> list[Atoms]:
    """Conformers, lowest energy of the force field first."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    identifiers = AllChem.EmbedMultipleConfs(molecule, CONFORMERS, randomSeed=1)
    energies = [energy for _, energy in AllChem.MMFFOptimizeMoleculeConfs(molecule)]
    symbols = [atom.GetSymbol() for atom in molecule.GetAtoms()]
    order = np.argsort(energies)
    return [Atoms(symbols, molecule.GetConformer(identifiers[int(n)]).GetPositions()) for n in order]


def with_lithium(anions: list[Atoms]) -> Atoms:
    """The anion with the closest oxygens of both sulfurs, and lithium between them."""

    def closest(anion: Atoms) -> tuple[float, int, int]:
        first, second = (atom.index for atom in anion if atom.symbol == "S")
        oxygens = [atom.index for atom in anion if atom.symbol == "O"]
        sides = [[o for o in oxygens if anion.get_distance(s, o) < 1.6] for s in (first, second)]
        return min((abs(anion.get_distance(a, b) - 2.9), a, b) for a in sides[0] for b in sides[1])

    anion = min(anions, key=closest)
    _, a, b = closest(anion)
    middle = anion.positions[[a, b]].mean(axis=0)
    nitrogen = anion.positions[anion.symbols == "N"][0]
    outward = middle - nitrogen
    along = anion.positions[b] - anion.positions[a]
    outward -= (outward @ along) / (along @ along) * along
    height = np.sqrt(max(LITHIUM_OXYGEN**2 - (along @ along) / 4, 0.2))
    return anion + Atoms("Li", [middle + height * outward / np.linalg.norm(outward)])


def relaxed(atoms: Atoms) -> Atoms:
    """The molecule at the minimum of PBE0/def2-SVP, by way of that of PBE, which costs a fraction."""
    for functional in ("PBE", FUNCTIONAL):
        molecule = gto.M(atom=list(zip(atoms.get_chemical_symbols(), atoms.positions, strict=True)), basis=BASIS)
        found = optimize(dft.RKS(molecule, xc=functional).density_fit(), maxsteps=100)
        atoms = Atoms(atoms.symbols, found.atom_coords(unit="Angstrom"))
    return atoms


def main(output: Path) -> None:
    done = read(output, ":") if output.exists() else []
    names = {atoms.info["name"] for atoms in done}
    for name, start in (
        ("EC", lambda: conformers(SMILES["EC"])[0]),
        ("DMC", lambda: conformers(SMILES["DMC"])[0]),
        ("LiTFSI", lambda: with_lithium(conformers(SMILES["TFSI"]))),
    ):
        if name in names:
            continue
        atoms = relaxed(start())
        atoms.positions -= atoms.get_center_of_mass()
        atoms.info = {"name": name, "method": f"{FUNCTIONAL}/{BASIS}"}
        done.append(atoms)
        write(output, done, format="extxyz")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
