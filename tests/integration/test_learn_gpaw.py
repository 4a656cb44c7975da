"""The loop with GPAW and D3 as the oracle, on four molecules of hydrogen: needs both programs."""

import json

import ase.io
import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import molecule

from mhdnn.cli import main
from mhdnn.data.store import StoreReader
from mhdnn.dispersion import DispersionCorrection

pytest.importorskip("gpaw")
pytest.importorskip("dftd3")

DISPERSION = "d3 bj pbe"
GPAW_SETTINGS = {
    "mode": {"name": "pw", "ecut": 150}, "xc": "PBE", "txt": None, "symmetry": "off",
    "convergence": {"density": 1e-3, "forces": 0.05},
}  # fmt: skip
TRAINING = [
    "cutoff=4.0", "descriptor=legendre", "descriptor.radial.num=6", "descriptor.angular.legendre.max_degree=1",
    "descriptor.angular.legendre.radial.num=2", "network.hidden=[4]", "trainer.max_epochs=3", "report=false",
    "trainer.enable_progress_bar=false", "trainer.log_every_n_steps=1",
]  # fmt: skip


def molecules() -> Atoms:
    """Four, two of them turned, in a cell of 5 Å."""
    result = Atoms(cell=[5.0, 5.0, 4.0], pbc=True)
    for number, (x, y) in enumerate(((1.0, 1.0), (1.0, 3.5), (3.5, 1.0), (3.5, 3.5))):
        one = molecule("H2")
        one.rotate(90 * (number % 2), "x")
        one.translate([x, y, 2.0])
        result += one
    return result


@pytest.mark.slow
def test_loop_with_gpaw(tmp_path):
    """It labels, trains, explores and labels again; labels are what GPAW says when it is asked alone, and D3."""
    from gpaw import GPAW

    ase.io.write(tmp_path / "hydrogen.extxyz", molecules())
    plan = {
        "structures": "hydrogen.extxyz", "folder": str(tmp_path / "learning"),
        "calculator": "mhdnn.properties.corrected:CorrectedCalculator",
        "settings": {"calculator": "gpaw:GPAW", "dispersion": DISPERSION, "settings": GPAW_SETTINGS},
        "sample": {"num": 6, "recipe": ["rattle:0.05"]}, "test": {"num": 1, "recipe": ["rattle:0.03"]},
        "validation": 0.45, "training": TRAINING,
        "exploration": {"temperatures": [600], "steps": 20, "interval": 5, "limit": 1e-6, "beyond": 1e7},
        "selection": {"num": 1}, "max_rounds": 2, "label": {"code": "GPAW", "dispersion": DISPERSION},
    }  # fmt: skip
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    assert main(["learn", str(tmp_path / "plan.yaml")]) == 0
    results = json.loads((tmp_path / "learning/journal.json").read_text())["results"]
    assert results["round 1: labels"]["num"] == 1
    assert results["round 1: training"]["errors"]["force_rmse_ev_per_angstrom"] > 0
    structure = StoreReader(tmp_path / "learning/round_01/labels.h5")[0]
    atoms = Atoms(structure.atomic_numbers, structure.positions, cell=structure.cell, pbc=True)
    expected = DispersionCorrection.parse(DISPERSION).labels(atoms)
    atoms.calc = GPAW(**GPAW_SETTINGS)
    energy = atoms.get_potential_energy(force_consistent=True) + expected.energy
    assert structure.energy == pytest.approx(energy, abs=1e-3)
    np.testing.assert_allclose(structure.forces, atoms.get_forces() + expected.forces, atol=0.02)
