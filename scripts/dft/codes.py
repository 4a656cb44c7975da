"""One small interface to density-functional codes, and GPAW behind it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from ase import Atoms


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
        from gpaw import GPAW, PW, KohnShamConvergenceError

        atoms = atoms.copy()
        atoms.calc = GPAW(
            mode=PW(self.cutoff),
            xc="PBE",
            kpts={"size": k_points, "gamma": False},
            occupations={"name": "fermi-dirac", "width": self.smearing},
            maxiter=120,
            txt=str(log),
        )
        try:
            energy = atoms.get_potential_energy(force_consistent=True)
            return Label(energy, atoms.get_forces(), atoms.get_stress())
        except KohnShamConvergenceError as error:
            raise NotConverged(str(error)) from error
