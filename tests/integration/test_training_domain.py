"""The ranges that training leaves in model files: of the whole training set, and of what the last weights give."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from omegaconf import OmegaConf

from mhdnn import MHDNNCalculator
from mhdnn.data.ase_bridge import atoms_from_structure
from mhdnn.data.datamodule import StoreDataModule
from mhdnn.data.store import StoreReader
from mhdnn.deploy.guard import ExtrapolationWarning
from mhdnn.deploy.model_file import load_model
from mhdnn.errors import ModelError
from tests.integration.conftest import SMALL, run_mhdnn
from tests.integration.test_charges import CHARGES, write_charge_store


def training_atoms(folder) -> list[Atoms]:
    """The structures that a run was trained on."""
    config = OmegaConf.load(folder / ".hydra/config.yaml")
    data = StoreDataModule(**config.data, cutoff=5.0, seed=config.seed)
    reader = StoreReader(config.data.train)
    return [atoms_from_structure(reader[int(number)]) for number in data.indices["train"]]


def check_training_set(folder) -> MHDNNCalculator:
    """No structure is refused; all of its atoms were counted."""
    calculator = MHDNNCalculator(folder / "model.pt", extrapolation="stop")
    many = training_atoms(folder)
    for atoms in many:
        atoms.calc = calculator
        atoms.get_potential_energy()
    domain = calculator.metadata["training_domain"]
    assert domain["complete"]
    assert sum(domain["num_atoms"].values()) == sum(map(len, many))
    return calculator


@pytest.mark.parametrize(
    ("atoms", "words"),
    [
        (Atoms("Cu"), "no neighbour within the cutoff"),
        (Atoms("Cu2", [[0, 0, 0], [0.3, 0, 0]]), "Cu-Cu at 0.3000 Å"),
        (Atoms("Cu2", [[0, 0, 0], [2.2, 0, 0]]), "neighbours"),
        (bulk("Cu", a=3.0, cubic=True), r"neighbours \(smooth count\)"),
    ],
)
def test_foreign_structures_are_refused(trained, atoms, words):
    atoms.calc = MHDNNCalculator(trained / "model.pt", extrapolation="stop")
    with pytest.raises(ModelError, match=words):
        atoms.get_potential_energy()


def test_training_set_is_inside(trained):
    check_training_set(trained)


def test_charges(tmp_path):
    """All stages: the charges are those of the last weights, which no label has."""
    store = write_charge_store(tmp_path / "charges.h5", 40)
    arguments = [f"data.train={store}", "trainer.max_epochs=2", f"hydra.run.dir={tmp_path / 'run'}", "report=false"]
    settings = [setting for setting in SMALL if not setting.startswith("cutoff")]
    run_mhdnn("train", *arguments, "cutoff=4.5", *settings, *CHARGES, "charges.joint_epochs=1", folder=tmp_path)
    domain = check_training_set(tmp_path / "run").metadata["training_domain"]
    assert domain["total_charge_range"] == [-1.0, 1.0]
    charges = [atoms.get_charges() for atoms in training_atoms(tmp_path / "run")]
    labels = [np.array([np.min(np.hstack(charges)), np.max(np.hstack(charges))])]
    found = np.array([domain["charge_range"][symbol] for symbol in ("C", "Si", "Sn")])
    assert np.isfinite(found).all()
    assert not np.isclose(found[:, 1].min(), labels[0][0])


LEARNED = ["descriptor.channels=learned", *SMALL]
CONTRACTED = [
    "descriptor=contracted",
    "descriptor.angular.contracted.num_densities=3",
    "descriptor.angular.contracted.cutoff=4.0",
    "descriptor.angular.contracted.four_body.num_densities=2",
    *[setting for setting in SMALL if not setting.startswith(("descriptor=", "descriptor.angular"))],
]


@pytest.mark.parametrize(
    "settings", [["descriptor.channels=learned", *SMALL], CONTRACTED], ids=["learned", "contracted"]
)
def test_learned_functions(emt_store, tmp_path, settings):
    """Functions change until the last step: their ranges are in the model of a training, not in its checkpoints."""
    run_mhdnn(
        "train", f"data.train={emt_store}", "trainer.max_epochs=1", f"hydra.run.dir={tmp_path / 'run'}", "report=false",
        *settings, folder=tmp_path,
    )  # fmt: skip
    check_training_set(tmp_path / "run")
    checkpoint = tmp_path / "run/checkpoints/last.ckpt"
    run_mhdnn("export", f"checkpoint={checkpoint}", f"output={tmp_path / 'm.pt'}", folder=tmp_path)
    script, metadata = load_model(tmp_path / "m.pt")
    assert not metadata["training_domain"]["complete"]
    assert script.domain.distance_range.min() > 0
    with pytest.warns(ExtrapolationWarning, match="has no ranges of elements, distances and charges"):
        MHDNNCalculator(tmp_path / "m.pt")
