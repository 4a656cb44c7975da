"""A universal potential as calculator: CHGNet with D3, and charges by electronegativity equilibration.

CHGNet (Deng et al., Nat. Mach. Intell. 5, 1031 (2023), https://doi.org/10.1038/s42256-023-00716-3) is trained on PBE
and PBE + U, without dispersion; D3 with Becke–Johnson damping for PBE is added (`mhdnn.dispersion`). It has no charges:
those of the electronegativity-equilibration model that D4 uses (Caldeweyher et al., J. Chem. Phys. 150, 154122 (2019),
https://doi.org/10.1063/1.5090222), by the package dftd4, stand in. They are classical, and not consistent with its
energy.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import Any, Literal

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from ase.units import Bohr

from mhdnn.dispersion import DispersionCorrection
from mhdnn.errors import ConfigError

DISPERSION = DispersionCorrection("bj", "pbe")
MISSING = (
    "`calculator`: expected the packages chgnet, dftd3 and dftd4 for the teacher, got none ({error}); "
    "`pip install mhdnn[teacher]`"
)


def chgnet_d3() -> Calculator:
    """CHGNet 0.3.0 on the CPU, with D3(BJ) for PBE and charges: ``calculator=mhdnn.properties.teacher:chgnet_d3``.

    :raises ConfigError: if a package is missing
    """
    return UniversalPotential()


class UniversalPotential(Calculator):
    """Energy (eV), forces (eV/Å), stress (eV/Å³) of CHGNet and D3, charges (e) by electronegativity equilibration.

    Directions without periodicity need a cell vector with vacuum: CHGNet sees images in all three, as far as 6 Å.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress", "charges"]

    def __init__(self) -> None:
        super().__init__()
        try:
            import dftd4.interface  # noqa: F401  (asked for before anything is computed)
            from chgnet.model.dynamics import CHGNetCalculator
        except ImportError as error:
            raise ConfigError(MISSING.format(error=error)) from error
        with contextlib.redirect_stdout(io.StringIO()):
            self.network = CHGNetCalculator(use_device="cpu", on_isolated_atoms="ignore")

    def description(self) -> dict[str, Any]:
        """What tells it from others, for journals."""
        return {"chgnet": str(self.network.version), "dispersion": str(DISPERSION), "charges": "eeq"}

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """What is asked for: forces take twice as long as an energy, stress four times."""
        super().calculate(atoms, properties, system_changes)
        if "charges" in properties:
            self.results["charges"] = equilibrated_charges(self.atoms)
        if set(properties) <= {"charges"}:
            return
        task: Literal["e", "ef", "efs"] = "efs" if "stress" in properties else "ef" if "forces" in properties else "e"
        correction = DISPERSION.labels(self.atoms)
        with warnings.catch_warnings():  # of CHGNet about its own tensors
            warnings.simplefilter("ignore")
            self.network.calculate(self.atoms, task=task)
        found = self.network.results
        self.results["energy"] = float(found["energy"]) + float(correction.energy or 0.0)
        self.results["free_energy"] = self.results["energy"]
        if "f" in task:
            self.results["forces"] = np.asarray(found["forces"], dtype=float) + correction.forces
        if "s" in task and correction.stress is not None:
            self.results["stress"] = full_3x3_to_voigt_6_stress(found["stress"]) + correction.stress


def equilibrated_charges(atoms: Atoms) -> np.ndarray:
    """Charges of the model in D4, shape (num_atoms,), e; the total is ``info["total_charge"]``."""
    from dftd4.interface import DispersionModel

    model = DispersionModel(
        atoms.numbers,
        atoms.positions / Bohr,
        charge=float(atoms.info.get("total_charge", 0.0)),
        lattice=atoms.cell[:] / Bohr,
        periodic=np.asarray(atoms.pbc),
    )
    return np.array(model.get_properties()["partial charges"])
