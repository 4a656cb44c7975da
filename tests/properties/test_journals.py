"""No journal continues with another calculator, structure or settings: every command that keeps one."""

import inspect
import json
from pathlib import Path

import ase.io
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc100, fcc111
from ase.calculators.lj import LennardJones

from mhdnn.cli import main
from mhdnn.deploy.calculator import MHDNNCalculator
from mhdnn.deploy.model_file import metadata_of, save_model
from mhdnn.properties.calculators import description_of
from mhdnn.properties.commands import COMMANDS, load
from tests.builders import model_settings, random_potential
from tests.properties.toys import square_pair


def weak():
    return LennardJones(sigma=2.3, epsilon=0.4, rc=6.0)


def strong():
    return LennardJones(sigma=2.3, epsilon=4.0, rc=6.0)


class Opaque(LennardJones):
    """Does not tell what it is made of, as calculators around other people's models."""

    def description(self):
        return {}


def opaque_weak():
    return Opaque(sigma=2.3, epsilon=0.4, rc=6.0)


def opaque_strong():
    return Opaque(sigma=2.3, epsilon=4.0, rc=6.0)


def host() -> Atoms:
    atoms = fcc100("Cu", (2, 2, 2), a=3.6, vacuum=6.0, periodic=True)
    atoms.info, _ = {}, atoms.set_tags(0)
    return atoms


def copper() -> Atoms:
    return bulk("Cu", a=3.58)


def others() -> dict[str, list[Atoms]]:
    """Files that commands with several structures need beside `atoms.traj`, by name."""
    alloy = bulk("Ni", cubic=True, a=3.58)
    alloy.symbols[0] = "Cu"
    slab = fcc111("Ni", (1, 1, 2), a=3.58, vacuum=8.0)
    together = Atoms(slab) + Atoms("Cu", [[0.0, 0.0, slab.positions[:, 2].max() + 2.0]])
    return {
        "states.traj": [bulk("Ni", cubic=True, a=3.58), alloy],
        "interphase.traj": [together],
        "cubic.traj": [bulk("Cu", cubic=True, a=3.6)],
    }


SHORT_MD = "num_steps=20 num_equilibration=2"
INSERTION = "reference_energy=0 ion=Cu num_ions=1 drive_steps=1 relax_steps=1"
CRACK = (
    "structures=atoms.traj plane=1,1,1 front=1,-1,0 radius=7 rim=4 intensity_step=0.1 largest_intensity=1.1 "
    "smallest_intensity=0.9 thickness=4 max_force=0.2"
)
QUENCH = "melt_temperature=400 melt_steps=10 quench_steps=20 min_length=5 max_force=0.5 relax_cell=false"
CASES = {
    "amorphous": (copper, QUENCH),
    "gap_curve": (square_pair, "elements_2=Si gaps=1.8,2.0,2.2,2.4,2.6,2.8,3.0,3.2,3.4"),
    "registry_map": (square_pair, "elements_2=Si num_1=2 num_2=1"),
    "sliding": (square_pair, "elements_2=Si num_points=4 vector=2.5,0"),
    "elasticity": (lambda: bulk("Cu", a=3.58), "relax_cell=false num_strains=4"),
    "elasticity_md": (lambda: bulk("Cu", cubic=True, a=3.58), SHORT_MD),
    "layer_elasticity": (lambda: fcc111("Cu", (1, 1, 1), a=3.58, vacuum=8.0, periodic=True), "relax_cell=false"),
    "charging": (host, INSERTION),
    "cleavage": (copper, "structures=atoms.traj plane=1,1,1 openings=0,1,2,3,4 thickness=4 relax_cell=false"),
    "crack": (copper, CRACK),
    "fracture": (copper, "structures=atoms.traj direction=1,0,0 lateral=fixed strain_step=0.1 largest_strain=0.3"),
    "separation": (square_pair, "elements_2=Si max_force=0.1"),
    "voltage": (copper, "metal=atoms.traj structures=states.traj ion=Cu relax=false"),
    "formation": (lambda: Atoms("Cu", [[0, 0, 0]]), "electrolyte=atoms.traj structures=interphase.traj"),
    "diffusion": (
        lambda: bulk("Cu", cubic=True, a=3.58),
        "ion=Cu temperatures=300 num_steps=60 num_equilibration=2 interval=1",
    ),
    "barrier": (copper, "ion=Cu num_images=1 max_force=0.5 min_length=4"),
    "reaction": (copper, "reactants=atoms.traj products=cubic.traj metal=Cu"),
}
"""A structure, and the other words of a short run; the structure is `atoms=` if they don't use it otherwise."""


def test_every_command_with_a_journal_has_a_case():
    assert set(CASES) == {name for name in COMMANDS if "journal" in inspect.signature(load(name)).parameters}


def call(name, words, calculator):
    common = [f"calculator={calculator}", "journal=journal.json", "output=out"]
    if "=atoms.traj" not in words:
        common.append("atoms=atoms.traj")
    for file, structures in others().items():
        ase.io.write(file, structures)
    return main(["properties", name, *common, *words.split()])


def results(name):
    return json.loads(Path(f"out/{name}.json").read_text())


@pytest.mark.parametrize("name", CASES)
def test_another_calculator_does_not_continue(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make, words = CASES[name]
    ase.io.write("atoms.traj", make())
    module = "tests.properties.test_journals"
    assert call(name, words, f"{module}:weak") == 0
    first, kept = results(name), Path("journal.json").read_text()
    assert call(name, words, f"{module}:weak") == 0  # the journal is complete: nothing is calculated anew
    assert results(name) == first
    capsys.readouterr()
    assert call(name, words, f"{module}:strong") == 1
    message = capsys.readouterr().err
    assert "`calculator.parameters.epsilon` 4.0, got one with 0.4" in message
    assert "remove it to begin anew, or name another journal" in message
    assert Path("journal.json").read_text() == kept

    make_other = make()
    make_other.positions[0] += 0.01
    make_other.cell[0, 0] += 0.01
    ase.io.write("atoms.traj", make_other)
    assert call(name, words, f"{module}:weak") == 1
    assert "`structure`" in capsys.readouterr().err


def test_calculators_that_say_nothing_are_told_by_their_energy(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ase.io.write("atoms.traj", square_pair())
    module = "tests.properties.test_journals"
    assert call("gap_curve", CASES["gap_curve"][1], f"{module}:opaque_weak") == 0
    assert call("gap_curve", CASES["gap_curve"][1], f"{module}:opaque_strong") == 1
    assert "`energy_ev`" in capsys.readouterr().err


def write_model(path, seed):
    numbers = [6, 14]
    potential = random_potential(numbers, seed=seed)
    with torch.no_grad():
        potential.short_range.network.linear_weight[0] = 1.0 + seed
    save_model(potential, Path(path), metadata_of(potential, model_settings(numbers), {}))


def test_a_model_file_counts_by_its_content(tmp_path, monkeypatch, capsys):
    """The file is trained again under the same name."""
    monkeypatch.chdir(tmp_path)
    ase.io.write("atoms.traj", square_pair())
    write_model("model.pt", 0)
    words = CASES["sliding"][1]
    assert call("sliding", words, "model.pt") == 0
    write_model("copy.pt", 0)
    capsys.readouterr()
    write_model("model.pt", 1)
    assert call("sliding", words, "model.pt") == 1
    message = capsys.readouterr().err
    assert "`calculator.model`" in message
    kept = json.loads(Path("journal.json").read_text())["settings"]["calculator"]["model"]
    assert MHDNNCalculator("model.pt").description()["model"] in message
    assert kept in message


def test_settings_of_charging(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ase.io.write("atoms.traj", host())
    assert call("charging", INSERTION, "ase.calculators.emt:EMT") == 0
    assert call("charging", f"{INSERTION} seed=1 force=0.2", "ase.calculators.emt:EMT") == 1
    message = capsys.readouterr().err
    assert "`seed` 1, got one with 0" in message
    assert "`force` 0.2, got one with 0.1" in message


def test_parameters_are_described_by_content(tmp_path):
    (tmp_path / "Cu.eam").write_text("one")
    calculator = LennardJones(sigma=2.0)
    calculator.parameters["potential"] = str(tmp_path / "Cu.eam")
    calculator.parameters["mode"] = object()
    first = description_of(calculator)
    assert first["class"] == "ase.calculators.lj.LennardJones"
    assert first["parameters"]["mode"] == "object <object object>"
    (tmp_path / "Cu.eam").write_text("two")
    assert description_of(calculator) != first
    json.dumps(first)
