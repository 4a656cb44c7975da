"""Relax the molecules of electrolytes and write them as extended XYZ.

python scripts/dft/molecules.py molecules.xyz     # a Python that has PySCF, geomeTRIC, tblite, RDKit and ASE

Start: RDKit's distance geometry and MMFF94. EC and DMC: PBE0/def2-SVP with density fitting to geomeTRIC's default
convergence. LiTFSI: the anion with lithium between oxygens of both sulfurs, GFN2-xTB with two kinds of bonds held
that it gets wrong: lithium 1.87 Å from these oxygens (it would pull it to 1.66 Å; ab initio contact ion pairs have
1.8 to 1.9) and sulfur 1.83 Å from carbon as in crystals (it has 1.88). Each molecule is written as soon as it is done;
those in the file are skipped.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.constraints import FixInternals
from ase.io import read, write
from ase.optimize import FIRE
from pyscf import dft, gto
from pyscf.geomopt.geometric_solver import optimize
from rdkit import Chem
from rdkit.Chem import AllChem
from tblite.ase import TBLite

FUNCTIONAL, BASIS = "PBE0", "def2-SVP"
SMILES = {
    "EC": "C1COC(=O)O1",
    "DMC": "COC(=O)OC",
    "TFSI": "C(F)(F)(F)S(=O)(=O)[N-]S(=O)(=O)C(F)(F)F",
}
LITHIUM_OXYGEN, SULFUR_CARBON = 1.87, 1.83  # Å
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
    """The molecule at the minimum of PBE0/def2-SVP."""
    molecule = gto.M(atom=list(zip(atoms.get_chemical_symbols(), atoms.positions, strict=True)), basis=BASIS)
    found = optimize(dft.RKS(molecule, xc=FUNCTIONAL).density_fit(), maxsteps=100)
    return Atoms(atoms.symbols, found.atom_coords(unit="Angstrom"))


def relaxed_ion_pair(atoms: Atoms) -> Atoms:
    """The ion pair at the minimum of GFN2-xTB with its bonds of lithium, and of sulfur with carbon, held."""
    lithium = next(atom.index for atom in atoms if atom.symbol == "Li")
    oxygens = [atom.index for atom in atoms if atom.symbol == "O"]
    nearest = sorted(oxygens, key=lambda oxygen: atoms.get_distance(lithium, oxygen))[:2]
    bonds = [[LITHIUM_OXYGEN, [lithium, oxygen]] for oxygen in nearest]
    for sulfur in (atom.index for atom in atoms if atom.symbol == "S"):
        carbons = [atom.index for atom in atoms if atom.symbol == "C"]
        bonds.append([SULFUR_CARBON, [sulfur, min(carbons, key=lambda c: atoms.get_distance(sulfur, c))]])
    atoms.set_constraint(FixInternals(bonds=bonds, epsilon=1e-10))
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    if not FIRE(atoms, logfile=None).run(fmax=0.005, steps=3000):
        sys.exit("LiTFSI did not converge")
    return Atoms(atoms.symbols, atoms.positions)


def main(output: Path) -> None:
    done = read(output, ":") if output.exists() else []
    names = {atoms.info["name"] for atoms in done}
    pair = "GFN2-xTB, Li-O and S-C held"
    for name, method, make in (
        ("EC", f"{FUNCTIONAL}/{BASIS}", lambda: relaxed(conformers(SMILES["EC"])[0])),
        ("DMC", f"{FUNCTIONAL}/{BASIS}", lambda: relaxed(conformers(SMILES["DMC"])[0])),
        ("LiTFSI", pair, lambda: relaxed_ion_pair(with_lithium(conformers(SMILES["TFSI"])))),
    ):
        if name in names:
            continue
        atoms = make()
        atoms.positions -= atoms.get_center_of_mass()
        atoms.info = {"name": name, "method": method}
        done.append(atoms)
        write(output, done, format="extxyz")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
