"""Dispersion corrections that stand beside a model: their name in data and model files, and their values.

A store whose labels hold a correction names it by its attribute ``dispersion`` and keeps the part. Trained with
``data.dispersion=false``, a model leaves it out; the calculator then adds it by this module, LAMMPS by its own
``pair_style dispersion/d3``. It reaches farther than any cutoff of a network and needs no training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import Bohr, Hartree

from mhdnn.errors import ConfigError

DAMPINGS = ("bj", "zero", "bjm", "zerom")
"""As LAMMPS calls them: Becke–Johnson and zero damping, and these as modified by Smith et al."""
CUTOFF = 30.0
"""Å; of the pairs. With `COORDINATION_CUTOFF` what this module prints for LAMMPS, so that both give the same."""
COORDINATION_CUTOFF = 20.0
"""Å; of coordination numbers and triples."""


@dataclass(frozen=True)
class Dispersion:
    """The part of a structure's labels that came from a dispersion correction; None where unknown.

    :param energy: eV
    :param forces: shape (num_atoms, 3), eV/Å
    :param stress: shape (6,), eV/Å³
    """

    energy: float | None = None
    forces: np.ndarray | None = None
    stress: np.ndarray | None = None


@dataclass(frozen=True)
class DispersionCorrection:
    r"""Grimme's D3, :math:`E = -\sum_{A<B} \sum_{n=6,8} s_n C_n^{AB} f_n(R_{AB}) / R_{AB}^n`.

    10.1063/1.3382344, 10.1002/jcc.21759 (Becke–Johnson damping); by the package dftd3. The three-body term is left
    out, as VASP, CP2K and LAMMPS do.

    :param damping: one of `DAMPINGS`
    :param functional: whose parameters are taken, as in pbe
    """

    damping: str
    functional: str

    @classmethod
    def parse(cls, text: str) -> DispersionCorrection:
        """From ``d3 bj pbe``: what its attribute in a store says.

        :raises ConfigError: if the text is something else
        """
        words = text.lower().split()
        if len(words) != 3 or words[0] != "d3" or words[1] not in DAMPINGS:
            raise ConfigError(
                f"`dispersion`: expected `d3 DAMPING FUNCTIONAL` with a damping of {', '.join(DAMPINGS)} (for "
                f"example `d3 bj pbe`), got {text!r}"
            )
        return cls(words[1], words[2])

    def __str__(self) -> str:
        return f"d3 {self.damping} {self.functional}"

    def labels(self, atoms: Atoms) -> Dispersion:
        """Energy (eV), forces (eV/Å) and, with three cell vectors, stress (eV/Å³, Voigt order).

        :raises ConfigError: if dftd3 isn't installed or doesn't know the functional
        """
        found = self._model(atoms).get_dispersion(self._parameters(), grad=True)
        stress = None
        if atoms.cell.rank == 3:
            strain_derivative = found["virial"] * Hartree / atoms.get_volume()
            stress = strain_derivative.flat[[0, 4, 8, 5, 2, 1]]
        return Dispersion(float(found["energy"] * Hartree), -found["gradient"] * Hartree / Bohr, stress)

    def atomic_energies(self, atoms: Atoms) -> np.ndarray:
        """Half of each pair's energy for either atom, shape (num_atoms,), eV; raises as `labels` does."""
        pairs = self._model(atoms).get_pairwise_dispersion(self._parameters())
        return pairs["additive pairwise energy"].sum(axis=1) * Hartree

    def _model(self, atoms: Atoms) -> Any:
        try:
            from dftd3.interface import DispersionModel
        except ImportError as error:
            raise ConfigError(
                f"`dispersion`: the package dftd3 adds {self}, and it isn't installed; `pip install dftd3`, or do "
                "without the correction"
            ) from error
        model = DispersionModel(atoms.numbers, atoms.positions / Bohr, atoms.cell[:] / Bohr, atoms.pbc)
        model.set_realspace_cutoff(disp2=CUTOFF / Bohr, disp3=COORDINATION_CUTOFF / Bohr, cn=COORDINATION_CUTOFF / Bohr)
        return model

    def _parameters(self) -> Any:
        from dftd3 import interface

        kinds = {
            "bj": interface.RationalDampingParam,
            "zero": interface.ZeroDampingParam,
            "bjm": interface.ModifiedRationalDampingParam,
            "zerom": interface.ModifiedZeroDampingParam,
        }
        try:
            return kinds[self.damping](method=self.functional, atm=False)
        except RuntimeError as error:
            raise ConfigError(f"`dispersion`: dftd3 has no parameters for {self} ({error})") from error
