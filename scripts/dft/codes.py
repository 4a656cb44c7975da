"""One small interface to density-functional codes, and GPAW behind it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ase import Atoms
from dft.hirshfeld import charges_on_grid, free_atom
from scipy.interpolate import CubicSpline


class NotConverged(Exception):
    """The self-consistency loop ended without reaching its thresholds."""


@dataclass(frozen=True)
class Label:
    """Energy (eV), forces (eV/Å) and stress (eV/Å³, Voigt, tension positive) of one structure."""

    energy: float
    forces: np.ndarray
    stress: np.ndarray


class DFTCode(Protocol):
    """What the generator needs of a code: a description for the records, and labels."""

    description: dict[str, str]

    def label(self, atoms: Atoms, k_points: tuple[int, int, int], log: Path) -> Label:
        """Converged label of ``atoms``; raises `NotConverged` otherwise."""
        ...


class GPAWPlaneWaves:
    """PBE in plane waves.

    The energy is the electronic free energy, of which the forces are the derivative. The k-point mesh
    is shifted off Γ (half a step), which converges bulk tin and graphene several times faster. The
    cutoff is set by the stress: at 500 eV the Pulay stress of flat graphene is 0.2 GPa, at 350 eV 5 GPa.
    """

    def __init__(self, cutoff: float = 500.0, smearing: float = 0.1) -> None:
        import gpaw

        self.cutoff = cutoff
        self.smearing = smearing
        self.description = {
            "code": f"GPAW {gpaw.__version__}",
            "functional": "PBE",
            "settings": (
                f"plane waves {cutoff:g} eV, PAW, Fermi-Dirac {smearing:g} eV (free energy), "
                "spin-paired, k-point mesh shifted off Gamma"
            ),
        }

    def label(self, atoms: Atoms, k_points: tuple[int, int, int], log: Path) -> Label:
        atoms = self_consistent(atoms, k_points, log, self.cutoff, self.smearing)
        energy = atoms.get_potential_energy(force_consistent=True)
        return Label(energy, atoms.get_forces(), atoms.get_stress())


class GPAWHirshfeld:
    """Hirshfeld charges of the PBE density in plane waves.

    The density needs less than energies and stress do: of lithium on graphene no charge moves by more than 1.5 me
    from that of 500 eV and GPAW's own thresholds. The partition is ours, as GPAW's cuts the free atoms off,
    which leaves electrons over and makes lithium less positive.

    :param cutoff: eV
    :param smearing: eV
    """

    def __init__(self, cutoff: float = 400.0, smearing: float = 0.1) -> None:
        import gpaw

        self.cutoff = cutoff
        self.smearing = smearing
        self.description = {
            "charge_scheme": "hirshfeld",
            "charge_settings": (
                f"GPAW {gpaw.__version__}, plane waves {cutoff:g} eV, density converged to 1e-3 electrons for each "
                "valence electron, free atoms of GPAW's all-electron solver, scalar-relativistic, not polarised, "
                "not confined"
            ),
        }
        self._free: dict[str, CubicSpline] = {}

    def label(self, atoms: Atoms, k_points: tuple[int, int, int], log: Path) -> np.ndarray:
        """Charges as they come from the grid, shape (num_atoms,), e; raises `NotConverged`."""
        thresholds = {"density": 1e-3, "eigenstates": 1e-5, "energy": 1e-3}
        atoms = self_consistent(
            atoms, k_points, log, self.cutoff, self.smearing, eigensolver="rmm-diis", convergence=thresholds
        )
        density, _ = atoms.calc.density.get_all_electron_density(atoms, gridrefinement=1)
        for symbol in set(atoms.symbols) - self._free.keys():
            self._free[symbol] = free_atom(symbol)
        return charges_on_grid(atoms, density.sum(axis=0), self._free)


def self_consistent(
    atoms: Atoms, k_points: tuple[int, int, int], log: Path, cutoff: float, smearing: float, **options: Any
) -> Atoms:
    """A copy of the atoms with a PBE calculation in plane waves that has converged; raises `NotConverged`.

    :param cutoff: eV
    :param smearing: eV
    :param options: more of GPAW's arguments
    """
    from gpaw import GPAW, PW, KohnShamConvergenceError

    atoms = atoms.copy()
    atoms.calc = GPAW(
        mode=PW(cutoff),
        xc="PBE",
        kpts={"size": k_points, "gamma": False},
        occupations={"name": "fermi-dirac", "width": smearing},
        maxiter=120,
        txt=str(log),
        **options,
    )
    try:
        atoms.get_potential_energy()
    except KohnShamConvergenceError as error:
        raise NotConverged(str(error)) from error
    return atoms
