"""Oxides with pentagonal columns against their formula, group, coordination and bond valences."""

from collections import Counter

import numpy as np
import pytest
from ase.neighborlist import neighbor_list

from mhdnn.errors import ConfigError
from mhdnn.properties.bond_valence import bond_valence_sums
from mhdnn.properties.space_group import space_group
from mhdnn.properties.structures.octahedra import CENTRALITY
from mhdnn.properties.structures.planar_oxides import PLANAR_OXIDES, molybdenum_vanadium_oxide, planar_oxide
from mhdnn.properties.symmetry import symmetry_of

FORMULAS = {
    # formula of the cell, group of the ideal structure, columns, rings of metals in the plane by size
    "Mo29V11O112": ({"Mo": 29, "V": 11, "O": 112}, 55, 4, {3: 24, 5: 4, 6: 4, 7: 4}),
    "Mo20V7O75": ({"Mo": 20, "V": 7, "O": 75}, 174, 3, {3: 16, 5: 3, 6: 2, 7: 3}),
    "Nb18W16O93": ({"Nb": 18, "W": 16, "O": 93}, 55, 4, {3: 12, 4: 6, 5: 12}),
}


def complete(formula):
    """One metal for all, with the oxygens that a column lacks."""
    data = PLANAR_OXIDES[formula]
    object_ = PLANAR_OXIDES[formula].__class__(
        **{**data.__dict__, "absent": 0, "metals": {"Mo": sum(data.metals.values())}}
    )
    PLANAR_OXIDES["complete"] = object_
    try:
        return planar_oxide("complete")
    finally:
        del PLANAR_OXIDES["complete"]


def rings(atoms, middles):
    """Faces of the net of octahedra, bridged by oxygens in the plane: walked by always turning left."""
    plane = atoms[atoms.get_scaled_positions()[:, 2] < 0.25]
    metal = np.flatnonzero(plane.numbers != 8)
    octahedra = [n for n in metal if n not in middles]
    i, j, vectors = neighbor_list("ijD", plane, 2.6)
    to_oxygen = {
        n: [(o, v) for a, o, v in zip(i, j, vectors, strict=True) if a == n and plane.numbers[o] == 8]
        for n in octahedra
    }
    of_oxygen = {}
    for n, around in to_oxygen.items():
        for oxygen, vector in around:
            of_oxygen.setdefault(oxygen, []).append((n, vector))
    edges = {}
    for ends in of_oxygen.values():
        for one, u in ends:
            for two, w in ends:
                if (one, tuple(u)) != (two, tuple(w)):
                    edges[(one, two, *np.round(u - w, 3) + 0.0)] = u - w
    out = {}
    for key, vector in edges.items():
        out.setdefault(key[0], []).append((np.arctan2(vector[1], vector[0]), key))
    after = {}
    for key in edges:
        back = (key[1], key[0], *np.round(-np.array(key[2:]), 3) + 0.0)
        turns = [k for _, k in sorted(out[key[1]])]
        after[key] = turns[turns.index(back) - 1]
    sizes, seen = Counter(), set()
    for start in after:
        length, here = 0, start
        while here not in seen:
            seen.add(here)
            here, length = after[here], length + 1
        sizes[length] += length > 0
    return {size: count for size, count in sizes.items() if size and count}


@pytest.mark.parametrize("formula", FORMULAS)
def test_planar_oxides(formula):
    counts, group, columns, expected_rings = FORMULAS[formula]
    assert Counter(planar_oxide(formula).get_chemical_symbols()) == counts
    atoms = complete(formula)
    assert symmetry_of(atoms, 1e-2)[1].number == group
    assert len(space_group(atoms, 1e-2).rotations) >= 3
    i, j = neighbor_list("ij", atoms, 2.6)
    metal = atoms.numbers != 8
    around = np.bincount(i[metal[i] & ~metal[j]], minlength=len(atoms))
    assert Counter(around[metal].tolist()) == {6: metal.sum() - columns, 7: columns}
    middles = np.flatnonzero(metal & (around == 7))
    assert rings(atoms, set(middles.tolist())) == expected_rings
    sums = bond_valence_sums(atoms)
    mean = 2.0 * (~metal).sum() / metal.sum()
    assert np.abs(sums[metal] - mean).max() < 0.7
    in_plane = atoms.get_scaled_positions()[:, 2] < 0.25
    assert np.abs(sums[~metal & in_plane] - 2.0).max() < 0.5
    # half of c, straight between two metals: exp((1.907 - 2) / 0.37) twice, less than its valence in each of them
    above = sums[~metal & ~in_plane]
    assert above == pytest.approx(2 * np.exp((1.907 - atoms.cell[2, 2] / 2) / 0.37), abs=0.15)
    # every column shares edges with five octahedra
    first, second = neighbor_list("ij", atoms, 3.65)
    beside = np.bincount(first[metal[first] & metal[second]], minlength=len(atoms))
    assert (beside[middles] == 5).all()
    assert (atoms.arrays[CENTRALITY][metal] == 1).sum() == 6 * columns


def test_vanadium_links_columns():
    """Sixteen octahedra of orthorhombic Mo3VOx are outside of columns; all eleven vanadium atoms are among them."""
    for seed in range(3):
        atoms = molybdenum_vanadium_oxide(seed=seed)
        assert (atoms.arrays[CENTRALITY][atoms.numbers == 23] == 0).all()
    anywhere = molybdenum_vanadium_oxide(order="random")
    assert (anywhere.arrays[CENTRALITY][anywhere.numbers == 23] == 1).any()
    large = molybdenum_vanadium_oxide("trigonal", {"Mo": 3, "V": 1}, size=(1, 1, 4))
    assert Counter(large.get_chemical_symbols()) == {"Mo": 81, "V": 27, "O": 300}
    with pytest.raises(ConfigError, match="tetragonal phase needs measured coordinates"):
        molybdenum_vanadium_oxide("tetragonal")
    with pytest.raises(ConfigError, match="`order`"):
        planar_oxide(order="central")


def test_the_oxygen_that_columns_lack():
    """One for each cell, chosen by the seed, over the middle of a column."""
    whole, one, two = complete("Nb18W16O93"), planar_oxide(size=(1, 1, 2), seed=1), planar_oxide(size=(1, 1, 2), seed=2)
    assert len(whole) == 128
    assert len(one) == len(two) == 2 * 127
    assert not np.array_equal(one.positions, two.positions)
    i, j = neighbor_list("ij", one, 2.6)
    metal = one.numbers != 8
    around = np.bincount(i[metal[i] & ~metal[j]], minlength=len(one))[metal]
    assert sum(around) == 60 * 6 + 8 * 7 - 2 * 2
