"""How the files of format 4 were made, with mhdnn 0.2.0: `python tests/data/released/make_format4.py` in the project.

Random weights of `tests.builders`: a short-range potential with a repulsion that is felt, and one with charges. The
structures carry the energies, forces and charges that those files gave then. Files here are never made again.
"""

from pathlib import Path

import numpy as np
import torch
from ase import Atom, Atoms
from ase.build import graphene
from ase.io import write

from mhdnn import MHDNNCalculator
from mhdnn.deploy.model_file import metadata_of, save_model
from mhdnn.factory import build_potential
from tests.builders import charge_settings, legendre_settings, model_settings, random_potential

FOLDER = Path(__file__).parent
FUNCTIONS = {
    "radial": {"num": 3, "first": 1.0, "last": None, "width": 0.8},
    "angular": {"legendre": legendre_settings(False, 1, 2)},
}

changes = {"repulsion": {"inner": 0.5, "outer": 0.9}, **FUNCTIONS}
short = random_potential([6, 50], **changes)
short.repulsion.inner.fill_(0.8)
short.repulsion.outer.fill_(1.6)
save_model(short, FOLDER / "short_format4.pt", metadata_of(short, model_settings([6, 50], **changes), {}))

settings = charge_settings([1, 6], screening={"inner": 0.0, "outer": 4.0})
settings["descriptor"] = model_settings([1, 6], **FUNCTIONS)["descriptor"]
torch.manual_seed(0)
charges = build_potential(settings)
generator = torch.Generator().manual_seed(0)
with torch.no_grad():
    for weight in (charges.network.linear_weight, charges.electronegativity_network.perceptron[-1].weight):
        weight.copy_(0.05 * torch.randn(weight.shape, generator=generator, dtype=torch.float64))
    charges.electronegativity_shift.copy_(torch.tensor([-3.0, 3.0]))
    charges.electronegativity_network.output_scale.fill_(10.0)
    charges.function_scale.fill_(0.5)
    charges.charge_mean.copy_(torch.tensor([0.2, -0.1]))
    charges.charge_scale.fill_(3.0)
    charges.raw_hardness.add_(torch.tensor([0.4, -0.3]))
save_model(charges, FOLDER / "charges_format4.pt", metadata_of(charges, settings, {}))

sheet = graphene(a=2.46, size=(2, 2, 1), vacuum=5.0)
sheet.pbc = True
sheet.append(Atom("Sn", sheet.positions[0] + [0.0, 1.42, 2.8]))
sheet.append(Atom("C", sheet.positions[3] + [0.1, 0.2, -1.2]))
chain = Atoms("HC4H", positions=[[0, 0, x] for x in (0.0, 1.07, 2.3, 3.66, 4.9, 5.97)])
for atoms, name, total_charge in ((sheet, "short_format4", 0.0), (chain, "charges_format4", 1.0)):
    moved = atoms.positions + np.random.default_rng(0).normal(0, 0.03, atoms.positions.shape)
    atoms.positions = np.round(moved, 6)  # as they stand in the file
    atoms.calc = MHDNNCalculator(FOLDER / f"{name}.pt", total_charge=total_charge, extrapolation="off")
    atoms.get_forces()
    write(FOLDER / f"{name}.extxyz", atoms, format="extxyz")
