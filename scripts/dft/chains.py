"""Seeded carbon chains and their labels: PBE energies and forces, Hirshfeld charges.

The two molecules of Ko, Finkler, Goedecker and Behler, Nat. Commun. 12, 398 (2021): C10H2, and C10H3+ with
two hydrogens at one end, whose extra proton changes the charge of every atom of the chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import Bohr, Hartree, kB
from dft.codes import NotConverged
from dft.hirshfeld import partition
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

BASIS, FUNCTIONAL = "def2-svp", "PBE"
GRID = (50, 194)  # radial and angular points of an atom, before pruning
SCF_TOLERANCE = 1e-8  # Hartree, change of the energy in the last cycle
FREE_ATOM_REACH = 20.0  # bohr; beyond it the density of a free atom is taken to be zero
FREE_ATOM_STEP = 0.01  # bohr
TEMPERATURES = (100.0, 450.0)  # K
FreeAtoms = dict[int, CubicSpline]

# At rest: bonds along each chain from its first to its last atom, Å (relaxed in the same basis and functional).
LENGTHS_NEUTRAL = (1.0814, 1.236, 1.3533, 1.2509, 1.3404, 1.2546, 1.3404, 1.2509, 1.3533, 1.236, 1.0814)
LENGTHS_CHARGED = (1.3156, 1.2993, 1.2807, 1.3090, 1.2717, 1.3199, 1.2608, 1.3401, 1.2396, 1.0868)
METHYLENE_LENGTH, METHYLENE_ANGLE = 1.1071, np.deg2rad(121.16)  # Å, H-C-C

# Force constants of bonds, eV/Å², and of angles, eV/rad². They only choose how far structures spread at a
# temperature: bonds and angles are drawn one by one, without the coupling between them.
STRETCHING_CH = 37.0
STRETCHING_TRIPLE, TRIPLE_BOND, SOFTENING = 95.0, 1.24, 450.0  # longer bonds between carbons are softer, eV/Å³
BENDING_CCC, BENDING_CCH = 1.65, 0.7
METHYLENE_BENDING, METHYLENE_WAGGING = 3.3, 1.7


@dataclass(frozen=True)
class Molecule:
    """A linear chain of atoms, with or without two hydrogens on its first carbon.

    :param name: the family of its groups
    :param total_charge: e
    :param backbone: atoms in a row
    :param lengths: bonds of the backbone at rest, Å
    :param methylene: whether the first carbon carries two hydrogens
    """

    name: str
    total_charge: int
    backbone: str
    lengths: tuple[float, ...]
    methylene: bool


MOLECULES = (
    Molecule("neutral", 0, "HCCCCCCCCCCH", LENGTHS_NEUTRAL, methylene=False),
    Molecule("charged", 1, "CCCCCCCCCCH", LENGTHS_CHARGED, methylene=True),
)


@dataclass(frozen=True)
class Candidate:
    """A structure to be labelled.

    :param temperature: of its displacements, K
    """

    name: str
    group: str
    atoms: Atoms
    total_charge: int
    temperature: float


@dataclass(frozen=True)
class ChainLabel:
    """Labels of one structure.

    :param energy: eV, all electrons
    :param forces: shape (num_atoms, 3), eV/Å
    :param charges: Hirshfeld, shape (num_atoms,), e; their sum is the total charge
    :param missing_charge: what the grid's charges lacked of the total charge, e; it was spread evenly
    :param gap: between the highest occupied and the lowest empty orbital, eV
    """

    energy: float
    forces: np.ndarray
    charges: np.ndarray
    missing_charge: float
    gap: float


def bent_line(lengths: np.ndarray, bends: np.ndarray) -> np.ndarray:
    """Points of a line that turns at each inner point; the first bond is along x.

    :param lengths: shape (num_bonds,), Å
    :param bends: rotation about two directions normal to the bond, shape (num_bonds - 1, 2), rad
    :return: shape (num_bonds + 1, 3), Å
    """
    frame = np.eye(3)  # the bond's direction and two normals, carried along without twist
    points = [np.zeros(3), lengths[0] * frame[0]]
    for length, bend in zip(lengths[1:], bends, strict=True):
        frame = Rotation.from_rotvec(bend @ frame[1:]).apply(frame)
        points.append(points[-1] + length * frame[0])
    return np.array(points)


def methylene_hydrogens(rng: np.random.Generator, temperature: float) -> np.ndarray:
    """Two hydrogens of a carbon at the origin whose chain goes along x, shape (2, 3), Å."""
    length = METHYLENE_LENGTH + thermal(rng, STRETCHING_CH, temperature, 2)
    angle = METHYLENE_ANGLE + thermal(rng, METHYLENE_BENDING, temperature, 2)
    wag = thermal(rng, METHYLENE_WAGGING, temperature, 1).repeat(2)
    across = np.sin(angle) * np.cos(wag) * [1, -1]
    return length[:, None] * np.stack([np.cos(angle), np.sin(angle) * np.sin(wag), across], axis=1)


def thermal(rng: np.random.Generator, stiffness: np.ndarray | float, temperature: float, count: int) -> np.ndarray:
    """Classical displacements of ``count`` harmonic coordinates, in Å or rad.

    :param stiffness: eV/Å² or eV/rad²
    """
    return rng.normal(size=count) * np.sqrt(kB * temperature / stiffness)


def distorted(molecule: Molecule, rng: np.random.Generator, temperature: float) -> Atoms:
    """A molecule with independent thermal displacements of bonds and angles; carbons come first.

    Displacing bonds and angles, not Cartesian positions, lets the chain bend without stretching it.
    """
    names = molecule.backbone
    rest = np.array(molecule.lengths)
    hydrogen = np.array(["H" in pair for pair in pairwise(names)])
    stretching = np.where(hydrogen, STRETCHING_CH, STRETCHING_TRIPLE - SOFTENING * (rest - TRIPLE_BOND))
    bending = np.where(hydrogen[1:] | hydrogen[:-1], BENDING_CCH, BENDING_CCC)
    lengths = rest + thermal(rng, stretching, temperature, len(rest))
    bends = np.stack([thermal(rng, bending, temperature, len(bending)) for _ in range(2)], axis=1)
    atoms = Atoms(names, bent_line(lengths, bends))
    if molecule.methylene:
        atoms += Atoms("H2", methylene_hydrogens(rng, temperature))
    return atoms[np.argsort(atoms.numbers != 6, kind="stable")]


def candidates(seed: int, count: int) -> list[Candidate]:
    """The first ``count`` structures, both molecules in turn; each is independent and a group of its own."""
    result = []
    for position in range(count):
        kind, number = position % len(MOLECULES), position // len(MOLECULES)
        molecule = MOLECULES[kind]
        rng = np.random.default_rng([seed, kind, number])
        temperature = float(rng.uniform(*TEMPERATURES))
        atoms = distorted(molecule, rng, temperature)
        group = f"{molecule.name}/{number:03d}"
        result.append(Candidate(group.replace("/", "-"), group, atoms, molecule.total_charge, temperature))
    return result


def free_atom(symbol: str) -> CubicSpline:
    """Spherical density of a free atom, electrons/bohr³ over the distance in bohr.

    Not polarised, with fractional occupations, in the basis and functional of the molecules.
    """
    from pyscf import dft, gto
    from pyscf.scf.atom_ks import get_atm_nrks

    atom = gto.M(atom=symbol, basis=BASIS, spin=None, verbose=0)
    _, _, coefficients, occupations = get_atm_nrks(atom, xc=FUNCTIONAL, grid=(200, 302))[symbol]
    distance = np.arange(0.0, FREE_ATOM_REACH + FREE_ATOM_STEP, FREE_ATOM_STEP)
    along_z = distance[:, None] * [0.0, 0.0, 1.0]
    orbitals = dft.numint.eval_ao(atom, along_z) @ coefficients
    return CubicSpline(distance, orbitals**2 @ occupations)


def hirshfeld_charges(numbers: np.ndarray, distance: np.ndarray, electrons: np.ndarray, free: FreeAtoms) -> np.ndarray:
    """Hirshfeld charges of a molecule.

    :param numbers: atomic numbers, shape (num_atoms,)
    :param distance: from every atom to every grid point, shape (num_atoms, num_points), bohr
    :param electrons: density times integration weight, shape (num_points,)
    :param free: for each atomic number the density of the free atom over the distance in bohr
    :return: shape (num_atoms,), e
    """
    parts = np.zeros_like(distance)
    for part, number, own in zip(parts, numbers, distance, strict=True):
        near = own < FREE_ATOM_REACH
        part[near] = free[number](own[near])
    return partition(numbers, parts, electrons)


def bond_directions(atoms: Atoms) -> np.ndarray:
    """Where the chain goes at each atom, unit vectors, shape (num_atoms, 3).

    Along its neighbours for a carbon, out of the nearest carbon for a hydrogen; the carbons come first, in a row.
    """
    carbons = atoms.positions[atoms.numbers == 6]
    hydrogens = atoms.positions[atoms.numbers == 1]
    nearest = np.linalg.norm(hydrogens[:, None] - carbons, axis=2).argmin(axis=1)
    directions = np.concatenate([np.gradient(carbons, axis=0), hydrogens - carbons[nearest]])
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


class PySCFChains:
    """Restricted Kohn-Sham with density fitting for the molecules of this module.

    The derivative of the integration grid is part of the forces, so that they are the derivative of the
    energy that is given and sum to zero.

    :param grid: radial and angular points of an atom, before pruning
    :param tolerance: Hartree, change of the energy in the last cycle
    """

    def __init__(self, grid: tuple[int, int] = GRID, tolerance: float = SCF_TOLERANCE) -> None:
        import pyscf

        self.grid = grid
        self.tolerance = tolerance
        self.description = {
            "code": f"PySCF {pyscf.__version__}",
            "functional": FUNCTIONAL,
            "charge_scheme": "hirshfeld",
            "settings": (
                f"{BASIS}, all electrons, density fitting, restricted Kohn-Sham, grid of {grid[0]} x {grid[1]} points "
                f"for each atom with its response in the forces, energy converged to {tolerance:g} Hartree"
            ),
        }
        self._free = {6: free_atom("C"), 1: free_atom("H")}
        self._last: dict[str, tuple[np.ndarray, np.ndarray]] = {}  # occupied orbitals, directions of the atoms

    def label(self, atoms: Atoms, total_charge: int) -> ChainLabel:
        """Converged label of ``atoms``; raises `NotConverged` otherwise."""
        field = self._converged(atoms, total_charge)
        gradient = field.nuc_grad_method()
        gradient.grid_response = True
        forces = -gradient.kernel() * (Hartree / Bohr)
        charges = self._charges(field)
        missing = total_charge - charges.sum()
        num_occupied = field.mol.nelectron // 2
        gap = (field.mo_energy[num_occupied] - field.mo_energy[num_occupied - 1]) * Hartree
        energy = field.e_tot * Hartree
        return ChainLabel(energy, forces, charges + missing / len(charges), float(missing), float(gap))

    def _converged(self, atoms: Atoms, total_charge: int) -> Any:
        """Self-consistent field, started from the last structure of the same molecule, else from free atoms."""
        from pyscf import dft, gto

        names = zip(atoms.get_chemical_symbols(), atoms.positions.tolist(), strict=True)
        molecule = gto.M(atom=list(names), basis=BASIS, charge=total_charge, verbose=0)
        field = dft.RKS(molecule, xc=FUNCTIONAL).density_fit()
        field.grids.atom_grid = self.grid
        field.conv_tol = self.tolerance
        field.with_df.build()  # otherwise its integrals are made again in every cycle
        directions = bond_directions(atoms)
        last = self._last.pop(atoms.symbols.get_chemical_formula(), None)
        if last is not None:
            field.kernel(guessed_density(molecule, *last, directions))
        if not field.converged:
            field.kernel()  # from free atoms
        if not field.converged:
            raise NotConverged(f"no self-consistency in {field.max_cycle} cycles")
        occupied = field.mo_coeff[:, field.mo_occ > 0]
        self._last[atoms.symbols.get_chemical_formula()] = (occupied, directions)
        return field

    def _charges(self, field: Any) -> np.ndarray:
        """Hirshfeld charges on the grid of the energy, e."""
        grids, molecule = field.grids, field.mol
        density = field._numint.get_rho(molecule, field.make_rdm1(), grids)
        distance = np.linalg.norm(grids.coords - molecule.atom_coords()[:, None], axis=2)
        return hirshfeld_charges(molecule.atom_charges(), distance, density * grids.weights, self._free)


def guessed_density(molecule: Any, orbitals: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Density matrix from orbitals of another structure, turned with the chain and made orthogonal.

    :param orbitals: occupied orbitals of the other structure, shape (num_functions, num_occupied)
    :param old: directions of its atoms, shape (num_atoms, 3)
    :param new: directions in ``molecule``, the same shape
    """
    from pyscf.gto.mole import ao_rotation_matrix

    turned = np.empty_like(orbitals)
    for (_, _, start, stop), before, after in zip(molecule.aoslice_by_atom(), old, new, strict=True):
        axis = np.cross(before, after)
        sine = np.linalg.norm(axis)
        turn = Rotation.from_rotvec(axis / max(sine, 1e-12) * np.arctan2(sine, before @ after)).as_matrix()
        turned[start:stop] = ao_rotation_matrix(molecule, turn.T)[start:stop, start:stop] @ orbitals[start:stop]
    values, vectors = np.linalg.eigh(turned.T @ molecule.intor("int1e_ovlp") @ turned)
    turned = turned @ (vectors / np.sqrt(values)) @ vectors.T
    return 2 * turned @ turned.T
