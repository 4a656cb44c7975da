"""Imported potentials of n2p2 against plain loops (tests/hdnnp.py), and what is refused."""

import itertools
import json

import numpy as np
import pytest
import torch
from ase import Atoms

from mhdnn.cli import main
from mhdnn.deploy.calculator import MHDNNCalculator
from mhdnn.deploy.hdnnp.importing import import_potential
from mhdnn.deploy.model_file import load_model
from mhdnn.errors import MHDNNError
from mhdnn.units import BOHR, HARTREE
from tests.differences import assert_close, numerical_forces
from tests.hdnnp import FUNCTIONS, OwnPotential

CELL = np.array([[10.0, 0.0, 0.0], [1.0, 9.5, 0.0], [0.5, -0.8, 11.0]])  # Bohr
NORMALIZATION = {"mean_energy": "-1.25", "conv_energy": "3.5", "conv_length": "1.7"}
SCALINGS = [
    {"scale_symmetry_functions": "", "scale_min_short": "-0.5", "scale_max_short": "1.5"},
    {"center_symmetry_functions": "", "scale_min_short": "0.2"},
    {"scale_symmetry_functions": "", "center_symmetry_functions": ""},
    {"scale_symmetry_functions_sigma": "", "scale_min_short": "0.1", "scale_max_short": "2.0"},
    {},
]


def atoms_of(periodic: bool) -> Atoms:
    """Five atoms at least 1.5 Bohr from each other; positions in Å."""
    positions = np.array([[0.1, 0.2, 0.0], [1.9, 0.3, 0.4], [-0.5, 2.1, 0.2], [3.0, 3.2, 3.1], [4.4, 2.6, 4.5]])
    cell = CELL * BOHR if periodic else None
    return Atoms(["O", "H", "H", "O", "H"], positions * BOHR, cell=cell, pbc=periodic)


def calculator(potential: OwnPotential, folder, **keywords) -> MHDNNCalculator:
    import_potential(potential.write(folder / "potential"), folder / "model.pt", **keywords)
    return MHDNNCalculator(folder / "model.pt", extrapolation="off")


def by_loops(potential: OwnPotential, atoms: Atoms, total_charge: float = 0.0) -> tuple[float, np.ndarray]:
    """Energy in eV, charges."""
    cell = atoms.cell[:] / BOHR if atoms.pbc.any() else None
    energy, charges = potential.evaluate(list(atoms.symbols), atoms.positions / BOHR, cell, total_charge)
    return energy * HARTREE, charges


def compare(potential: OwnPotential, tmp_path, periodic: bool, total_charge: float = 0.0) -> None:
    atoms = atoms_of(periodic)
    atoms.calc = calculator(potential, tmp_path)
    atoms.info["total_charge"] = total_charge
    energy, charges = by_loops(potential, atoms, total_charge)
    assert atoms.get_potential_energy() == pytest.approx(energy, rel=1e-10)
    if potential.charges:
        np.testing.assert_allclose(atoms.get_charges(), charges, rtol=0, atol=1e-9)
        assert np.abs(charges).max() > 0.05


@pytest.mark.parametrize("periodic", [False, True])
def test_second_generation(tmp_path, periodic):
    potential = OwnPotential()
    compare(potential, tmp_path, periodic)
    atoms = atoms_of(periodic)
    atoms.calc = MHDNNCalculator(tmp_path / "model.pt", extrapolation="off")
    chosen = [0, 4]
    assert_close(
        atoms.get_forces()[chosen], numerical_forces(lambda moved: by_loops(potential, moved)[0], atoms, chosen)
    )


@pytest.mark.parametrize("cutoff_type", range(9))
@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_cutoffs(tmp_path, cutoff_type, alpha):
    compare(OwnPotential(cutoff_type=cutoff_type, alpha=alpha), tmp_path, periodic=False)


@pytest.mark.parametrize("keywords", SCALINGS)
def test_scaling(tmp_path, keywords):
    compare(OwnPotential(keywords=keywords), tmp_path, periodic=False)


@pytest.mark.parametrize("activations", ["p r l", "g c l", "S e h", "t t t", "l s l"])
def test_activation_functions(tmp_path, activations):
    compare(OwnPotential(activations=activations), tmp_path, periodic=False)


def test_layers_of_elements_and_normalized_nodes(tmp_path):
    """One of n2p2's networks has other nodes; sums of all are divided by the number of inputs."""
    keywords = {"scale_symmetry_functions": "", "normalize_nodes": ""}
    compare(OwnPotential(nodes={"H": [4, 3], "O": [2, 5]}, keywords=keywords), tmp_path, periodic=False)


def test_normalization(tmp_path):
    compare(OwnPotential(keywords={"scale_symmetry_functions": "", **NORMALIZATION}), tmp_path, periodic=True)


@pytest.mark.parametrize(
    ("periodic", "total_charge", "keywords"),
    [
        (False, 0.0, {"screen_electrostatics": "1.5 6.0"}),
        (False, 1.0, {}),
        (False, -1.0, {"screen_electrostatics": "0.0 8.0 p2", **NORMALIZATION, "conv_charge": "2.5"}),
        (True, 0.0, {"screen_electrostatics": "2.0 10.5 e"}),
        (True, 0.0, {"four_pi_epsilon": "1.0", "nnp_gen": "4"}),
    ],
)
def test_fourth_generation(tmp_path, periodic, total_charge, keywords):
    if "nnp_gen" in keywords:  # beside its alias
        keywords = {key: value for key, value in keywords.items() if key != "nnp_gen"}
    potential = OwnPotential(charges=True, keywords={"scale_symmetry_functions": "", **keywords})
    compare(potential, tmp_path, periodic, total_charge)


def test_forces_and_stress_with_charges(tmp_path):
    potential = OwnPotential(
        charges=True, keywords={"scale_symmetry_functions": "", "screen_electrostatics": "1.5 7.0"}
    )
    atoms = atoms_of(periodic=True)
    atoms.calc = calculator(potential, tmp_path)
    assert_close(atoms.get_forces()[[1]], numerical_forces(lambda moved: by_loops(potential, moved)[0], atoms, [1]))
    energies = []
    for sign in (1, -1):
        strained = atoms.copy()
        strained.set_cell(atoms.cell[:] * (1.0 + 1e-4 * sign), scale_atoms=True)
        energies.append(by_loops(potential, strained)[0])
    trace = atoms.get_stress()[:3].sum()
    assert trace == pytest.approx((energies[0] - energies[1]) / 2e-4 / atoms.get_volume(), rel=1e-5)


def test_units_of_the_files(tmp_path):
    """The same numbers in Å and eV: a potential of other atoms, 1.9 times as far from each other."""
    potential = OwnPotential()
    atoms = atoms_of(periodic=False)
    energy, _ = by_loops(potential, atoms)
    atoms.positions /= BOHR
    atoms.calc = calculator(potential, tmp_path, length_unit="angstrom", energy_unit="ev")
    assert atoms.get_potential_energy() == pytest.approx(energy / HARTREE, rel=1e-10)


def test_only_own_functions_are_evaluated(tmp_path):
    """Hydrogen has seven functions and oxygen five, of eleven different ones."""
    calculator(OwnPotential(), tmp_path)
    potential, metadata = load_model(tmp_path / "model.pt")
    assert len(metadata["functions"]) == 11
    buffers = dict(potential.named_buffers())
    counts = [len(buffers[f"descriptor.parts.0.centers.{element}.columns"]) for element in (0, 1)]
    assert counts == [len(FUNCTIONS["H"]), len(FUNCTIONS["O"])]
    assert json.dumps(metadata["settings"]).count('"eta"') == 12


def test_ranges_of_functions_are_those_of_the_file(tmp_path):
    """Atoms outside are marked, as n2p2 warns; no other range is known."""
    potential = OwnPotential()
    atoms = atoms_of(periodic=False)
    expected = []
    for atom, symbol in enumerate(atoms.symbols):
        values = potential.functions(list(atoms.symbols), atoms.positions / BOHR, None, atom)
        low, high = potential.scaling[symbol][:, 0], potential.scaling[symbol][:, 1]
        expected.append(bool(((values < low) | (values > high)).any()))
    calculator(potential, tmp_path)
    atoms.calc = MHDNNCalculator(tmp_path / "model.pt")
    with pytest.warns(UserWarning, match="outside the range of the training data"):
        atoms.get_potential_energy()
    assert atoms.calc.outside_training.tolist() == expected
    assert any(expected)


def test_without_short_range_networks(tmp_path):
    potential = OwnPotential(charges=True)
    folder = potential.write(tmp_path / "potential")
    for number in ("001", "008"):
        (folder / f"weights.{number}.data").unlink()
    assert main(["import", "n2p2", str(folder), str(tmp_path / "model.pt"), "short_range=false"]) == 0
    atoms = atoms_of(periodic=False)
    atoms.calc = MHDNNCalculator(tmp_path / "model.pt", extrapolation="off")
    for layers in (potential.weights["short", "H"], potential.weights["short", "O"]):
        layers[-1] = (np.zeros_like(layers[-1][0]), np.zeros(1))
    assert atoms.get_potential_energy() == pytest.approx(by_loops(potential, atoms)[0], rel=1e-10)


def test_lines_without_elements(tmp_path):
    """RuNNer's lines for all elements give each centre all neighbours and pairs."""
    folder = OwnPotential().write(tmp_path / "potential")
    lines = [line for line in (folder / "input.nn").read_text().splitlines() if not line.startswith("symfunction")]
    lines += ["global_symfunction_short 3 0.01 1 2 8.0", "element_symfunction_short O 2 0.1 0.0 8.0"]
    (folder / "input.nn").write_text("\n".join(lines) + "\n")
    (folder / "scaling.data").write_text(
        "".join(f"{e} {n} 0.0 1.0 0.5\n" for e, count in ((1, 3), (2, 5)) for n in range(1, count + 1))
        + "-1.0 -0.5\n"  # range of energies
    )
    for symbol, count in (("001", 3), ("008", 5)):
        number = (count + 1) * 4 + 5 * 3 + 4
        (folder / f"weights.{symbol}.data").write_text("0.1\n" * number)
    import_potential(folder, tmp_path / "model.pt")
    _, metadata = load_model(tmp_path / "model.pt")
    functions = metadata["settings"]["descriptor"]["functions"]
    pairs = [["H", "H"], ["H", "O"], ["O", "O"]]
    assert [line["neighbors"] for line in functions["H"]] == pairs
    assert [line["neighbors"] for line in functions["O"]] == [["H"], ["O"], *pairs]


def changed(old: str, new: str, name: str = "input.nn"):
    def change(folder):
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return change


def added(line: str):
    return lambda folder: (folder / "input.nn").write_text((folder / "input.nn").read_text() + line + "\n")


def removed(name: str):
    return lambda folder: (folder / name).unlink()


FAULTS = {
    "no folder": (lambda folder: [path.unlink() for path in folder.iterdir()] and folder.rmdir(), "no such folder"),
    "no input": (removed("input.nn"), "input.nn: no such file"),
    "no scaling": (removed("scaling.data"), "scaling.data: no such file; expected the scaling"),
    "no weights": (removed("weights.008.data"), "weights.008.data: no such file; expected the weights of the short-ra"),
    "no charge weights": (removed("weightse.001.data"), "weightse.001.data: no such file; .* electronegativity"),
    "no hardness": (removed("hardness.001.data"), "hardness.001.data: no such file; expected the hardness of H"),
    "unknown keyword": (added("use_vdw"), "line 30: `use_vdw`: this keyword is not known here"),
    "twice": (added("cutoff_type 1"), "line 30: `cutoff_type 1` stands a second time .before in line 3"),
    "function type": (added("symfunction_short H 12 0.1 0.0 8.0"), "line 30: .*function of type 2, 3, 9, got"),
    "function of a stranger": (added("symfunction_short H 2 Si 0.1 0.0 8.0"), "line 30: .*an element of the"),
    "zeta": (added("symfunction_short H 3 H H 0.1 1 1.5 8.0"), "line 30: .*positive integers as zeta .*got 1.5"),
    "lambda": (added("symfunction_short H 3 H H 0.1 0.5 1 8.0"), "line 30: .*lambda, got 1 and 0.5"),
    "one function more": (added("symfunction_short H 2 H 0.1 0.0 8.0"), "a line for each of the 13"),
    "cutoff type": (changed("cutoff_type 2", "cutoff_type 9"), "line 3: .*a cutoff of type 0 .hard., 1 .c"),
    "cutoff alpha": (changed("cutoff_type 2 0.0", "cutoff_type 1 1.0"), "line 3: .*expected an inner radius"),
    "activation": (changed("activation_short t s l", "activation_short t q l"), "line .*activation functions l"),
    "few activations": (changed("activation_short t s l", "activation_short t l"), "each of the 2 hidden layers of H"),
    "few nodes": (changed("nodes_short 4 3", "nodes_short 4"), "nodes of the 2 hidden layers of H, got .4"),
    "other nodes": (
        changed("nodes_short O 4 3", "nodes_short O 4 4"),
        r"weights.008.data: expected 53 weights for the short-range network 6-4-4-1 of O .*, got 47",
    ),
    "nodes that would fit": (changed("nodes_short O 4 3", "nodes_short O 5 5"), "got 47; the files belong to"),
    "no nodes": (changed("global_nodes_short", "#"), "expected a line `global_nodes_short` .or `element_nodes_short H"),
    "generation": (changed("nnp_type 4G-HDNNP", "nnp_type Q-HDNNP"), "line .*expected a potential of the second"),
    "number of elements": (changed("number_of_elements 2", "number_of_elements 3"), "line 1: .*elements` has H, O"),
    "stranger's energy": (changed("atom_energy H", "atom_energy Xx"), "line 5: .*an element of the file .H, O"),
    "no number": (changed("atom_energy H -0.4", "atom_energy H much"), "line 5: .*much"),
    "no width": (changed("fixed_gausswidth O", "#"), "expected a line `fixed_gausswidth O ...`, found none"),
    "normalisation": (added("conv_energy 2.0"), "all or none of `mean_energy`, `conv_energy` and"),
    "constant": (added("four_pi_epsilon 0.0694"), "`four_pi_epsilon`: expected 1, the physical value .*got 0.0694"),
    "screening": (added("screen_electrostatics 4.0 3.0"), "line 30: .*expected an inner and a larger outer radius"),
    "screening function": (added("screen_electrostatics 1.0 3.0 x"), "line 30: .*a function of c, p1"),
    "scaling order": (changed("1 2 ", "1 3 ", "scaling.data"), "line 3: expected function 2 of element 1"),
    "scaling number": (changed("1 2 ", "1 2 x", "scaling.data"), "scaling.data: line 3: expected a number, got 'x"),
    "weight number": (changed(" a 1", "x a 1", "weights.001.data"), "weights.001.data: line 2: expected a number, got"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named(tmp_path, fault):
    change, message = FAULTS[fault]
    folder = OwnPotential(charges=True).write(tmp_path / "potential")
    change(folder)
    with pytest.raises(MHDNNError, match=message):
        import_potential(folder, tmp_path / "model.pt")
    assert not (tmp_path / "model.pt").exists()


def test_functions_that_do_not_vary(tmp_path):
    potential = OwnPotential()
    potential.scaling["O"][2, 1] = potential.scaling["O"][2, 0]
    with pytest.raises(MHDNNError, match=r"scaling.data: line 11: function 3 of O doesn't vary \(its range is 0\)"):
        import_potential(potential.write(tmp_path / "potential"), tmp_path / "model.pt")


def test_sizes_that_would_fit_are_told(tmp_path):
    folder = OwnPotential(nodes={"H": [4, 4], "O": [4, 4]}).write(tmp_path / "potential")
    changed("element_nodes_short O 4 4", "element_nodes_short O 6 6")(folder)
    with pytest.raises(MHDNNError, match="network 5-6-6-1 of O in input.nn, got 49; that would fit 5-4-4-1"):
        import_potential(folder, tmp_path / "model.pt")


@pytest.mark.parametrize("unit", [{"length_unit": "nm"}, {"energy_unit": "kcal"}])
def test_units_are_checked(tmp_path, unit):
    with pytest.raises(MHDNNError, match=r"expected one of (bohr, angstrom|hartree, ev)"):
        import_potential(tmp_path, tmp_path / "model.pt", **unit)


def test_command(tmp_path, capsys):
    folder = OwnPotential().write(tmp_path / "potential")
    assert main(["import", "runner", str(folder), str(tmp_path / "model.pt"), "length_unit=angstrom"]) == 0
    assert "model.pt" in capsys.readouterr().out
    assert main(["import"]) == 1
    assert main(["import", "n2p2", str(folder)]) == 1
    assert "`output`" in capsys.readouterr().err
    assert main(["import", "nep", str(folder), "x.pt"]) == 1
    assert "expected `mhdnn import n2p2`" in capsys.readouterr().err


def test_script_is_the_module(tmp_path):
    """Charges and energies of the scripted model, for a batch of unlike structures."""
    potential = OwnPotential(charges=True)
    calc = calculator(potential, tmp_path)
    script, _ = load_model(tmp_path / "model.pt")
    expected = [hardness * HARTREE for hardness in potential.hardness.values()]
    np.testing.assert_allclose(script.charge_model.hardness(torch.arange(2)).detach().numpy(), expected, rtol=1e-12)
    for atoms, charge in itertools.product([atoms_of(False), atoms_of(True)], [0.0]):
        atoms.calc = calc
        energy, _ = by_loops(potential, atoms, charge)
        assert atoms.get_potential_energy() == pytest.approx(energy, rel=1e-10)
