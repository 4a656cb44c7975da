"""Tunnels one by one: lattices by hand, and oxides whose tunnels are known from their construction."""

import numpy as np
import pytest
from ase import Atoms

from mhdnn.errors import ConfigError, PropertyError
from mhdnn.properties.structures.octahedra import shear_phase, tunnel_bronze
from mhdnn.properties.structures.planar_oxides import planar_oxide
from mhdnn.properties.tunnel_report import tunnels_report


def shapes(report):
    return {kind["shape"]: kind["number"] for kind in report.values["kinds"]}


def test_square_and_rectangular_tunnels():
    """Chains along z: a plane net of squares 4 Å wide and of rectangles 4 by 5 Å."""
    atoms = Atoms("Ti2", [[0, 0, 0], [4, 0, 0]], cell=[9.0, 4.0, 2.0], pbc=True)
    report = tunnels_report(atoms, ["Li"], least_radius=2.5)
    radii = np.sort(report.values["radii_angstrom"])
    assert radii == pytest.approx([np.hypot(4, 4) / 2, np.hypot(4, 5) / 2], abs=1e-6)
    assert shapes(report) == {"square": 1} or sum(shapes(report).values()) == 2
    wide = max(report.values["kinds"], key=lambda kind: kind["radius_angstrom"])
    assert wide["left_for_ions_angstrom"]["Li"] == pytest.approx(np.hypot(4, 5) / 2 - 1.60 - 0.76)  # Cordero's Ti
    assert list(wide["direction"]) == [0, 0, 1]


def test_tunnels_of_oxides():
    """Two blocks of 4 x 4 octahedra hold nine square tunnels each; one hexagonal tunnel in a cell of the bronze."""
    assert shapes(tunnels_report(shear_phase("Nb14W3O44"), ["Li"])) == {"square": 18}
    bronze = tunnels_report(tunnel_bronze(), ["Li", "Ca"])
    assert shapes(bronze) == {"hexagonal": 1}
    # the window: six corners, an edge of an octahedron away, less oxygen's radius
    free = np.sqrt(2) * 1.92 - 1.40
    assert bronze.values["kinds"][0]["free_radius_angstrom"] == pytest.approx(free, abs=1e-3)
    left = bronze.values["kinds"][0]["left_for_ions_angstrom"]
    assert left["Li"] - left["Ca"] == pytest.approx(0.24)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [("Mo29V11O112", {"heptagonal": 4, "hexagonal": 4}), ("Mo20V7O75", {"heptagonal": 3, "hexagonal": 2})],
)
def test_tunnels_beside_pentagonal_columns(formula, expected):
    """As many as papers have, found from coordinates alone."""
    report = tunnels_report(planar_oxide(formula), ["Li"])
    numbers = {}
    for kind in report.values["kinds"]:
        numbers[kind["shape"]] = numbers.get(kind["shape"], 0) + kind["number"]
    assert numbers == expected


def test_ions_are_taken_out_and_valences_told():
    host = tunnel_bronze({"Mo": 3})
    filled = host + Atoms("Ca", [host.cell[2] / 2])
    assert tunnels_report(filled, ["Ca"], ion="Ca").values["radii_angstrom"] == pytest.approx(
        tunnels_report(host, ["Ca"]).values["radii_angstrom"]
    )
    values = tunnels_report(host, ["Ca", "Li"]).values
    np.testing.assert_allclose(values["left_for_ions_angstrom"]["Ca"], values["free_radii_angstrom"] - 1.0)
    site = tunnels_report(host, ["Ca"]).values["kinds"][0]["sites"][0]
    distances = np.linalg.norm(host.positions[host.numbers == 8][:, None] - site["place_angstrom"], axis=2)
    assert distances.min() >= site["radius_angstrom"] - 1e-6
    assert site["bond_valence"]["Ca"] > 0


def test_errors():
    with pytest.raises(PropertyError, match="`least_radius`"):
        tunnels_report(tunnel_bronze(), ["Li"], least_radius=5.0)
    with pytest.raises(ConfigError, match="got Xe"):
        tunnels_report(tunnel_bronze(), ["Xe"])
    for wrong in ("Ca", "Qq"):
        with pytest.raises(ConfigError, match=f"`ion`: expected an element of Mo2O9V, got '{wrong}'"):
            tunnels_report(tunnel_bronze(), ["Li"], ion=wrong)
