"""The same numbers as DScribe's ACSF: its G2, G4 (narrow) and G5 (wide), function by function."""

import itertools

import numpy as np
import pytest
import torch
from dscribe.descriptors import ACSF

from mhdnn.descriptors import build_descriptor
from mhdnn.potential import default_dtype
from tests.builders import geometry_of, structures
from tests.tolerances import SAME_FUNCTION

CUTOFF = 4.5
ELEMENTS = {
    "triclinic": [6, 14], "tiny": [14, 50], "sheet": [6], "molecule": [6, 14, 50], "slab": [6, 14, 50],
}  # fmt: skip
ETAS = [0.02, 0.11]
SHIFTS = [0.0, 1.3]
ZETAS = [1, 2, 5]
LAMBDAS = [-1, 1]


def ours(atoms, elements):
    radial = {"etas": ETAS, "shifts": SHIFTS}
    angular_radial = {"etas": ETAS, "shifts": [0.0]}
    angular = {
        kind: {"kind": kind, "radial": angular_radial, "zetas": ZETAS, "lambdas": LAMBDAS}
        for kind in ("narrow", "wide")
    }
    settings = {
        "cutoff_function": "cosine",
        "channels": "resolved",
        "num_channels": 1,
        "radial": radial,
        "angular": angular,
    }
    with default_dtype(torch.float64):
        descriptor = build_descriptor(settings, elements, CUTOFF)
    descriptor.parts[2].fewest_neighbors = 0.0  # by moments; DScribe sums over pairs
    geometry = geometry_of(atoms, cutoff=CUTOFF)
    vectors = geometry.pair_vectors()
    element = torch.tensor([elements.index(z) for z in geometry.atomic_numbers.tolist()])
    values = descriptor(vectors, geometry.center_index, element, element[geometry.neighbor_index]).numpy()
    parts = np.split(values, np.cumsum([part.num_functions for part in descriptor.parts])[:-1], axis=1)
    num_pairs = len(elements) * (len(elements) + 1) // 2
    shapes = [(len(elements), 4), (num_pairs, 12), (num_pairs, 12)]
    return [part.reshape(len(atoms), *shape) for part, shape in zip(parts, shapes, strict=True)]


def dscribe(atoms, elements):
    angular = list(itertools.product(ETAS, ZETAS, LAMBDAS))
    peer = ACSF(
        r_cut=CUTOFF,
        g2_params=list(itertools.product(ETAS, SHIFTS)),
        g4_params=angular,
        g5_params=angular,
        species=elements,
        periodic=bool(atoms.pbc.any()),
    )
    values = peer.create(atoms)
    # per element: G1, then the G2; then per pair (0,0), (1,0), (1,1), (2,0), ...: G4, G5
    radial = values[:, : 5 * len(elements)].reshape(len(atoms), len(elements), 5)[:, :, 1:]
    pairs = [(a, b) for a in range(len(elements)) for b in range(a + 1)]
    rest = values[:, 5 * len(elements) :].reshape(len(atoms), len(pairs), 24)
    order = [pairs.index((b, a)) for a in range(len(elements)) for b in range(a, len(elements))]
    return radial, rest[:, order, :12], rest[:, order, 12:]


@pytest.mark.parametrize("name", list(ELEMENTS))
def test_same_values(name):
    atoms = structures()[name]
    if name == "molecule":
        atoms.pbc = False
    if atoms.pbc.any() and not atoms.pbc.all():  # DScribe repeats the cell along periodic directions only
        atoms.cell[2] = [0, 0, 40.0]
    for kind, mine, theirs in zip(
        ("G2", "G4", "G5"), ours(atoms, ELEMENTS[name]), dscribe(atoms, ELEMENTS[name]), strict=True
    ):
        scale = np.abs(theirs).max()
        assert scale > 1e-3, f"{kind}: nothing is compared"
        np.testing.assert_allclose(mine, theirs, atol=SAME_FUNCTION * scale, rtol=0, err_msg=kind)
