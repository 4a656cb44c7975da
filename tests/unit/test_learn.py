"""The loop with a cheap oracle: it converges, errors fall, it continues; wrong plans; trajectories that end."""

import json
import re
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import ase.io
import numpy as np
import pytest
import yaml
from ase.build import bulk
from ase.calculators.emt import EMT

from mhdnn import MHDNNCalculator
from mhdnn.active import exploration
from mhdnn.active.calculation import mark_of
from mhdnn.active.exploration import COMPLETE, GRADE, NOT_FINITE, UNCERTAIN, explore
from mhdnn.active.learn import Learning, quoted, validation_of, write_unique
from mhdnn.active.plan import Exploration, read_plan
from mhdnn.active.recipes import nearest_of
from mhdnn.cli import main
from mhdnn.data.store import StoreReader
from mhdnn.deploy.export import read_checkpoint
from mhdnn.errors import ConfigError
from mhdnn.files import alone_in
from mhdnn.properties.calculators import resolve_calculator
from mhdnn.properties.relaxation import relaxed
from mhdnn.training.command import check_overrides, composed
from tests.builders import structure_of

TRAINING = [
    "cutoff=5.5", "descriptor=legendre", "descriptor.radial.num=8", "descriptor.angular.legendre.max_degree=1",
    "descriptor.angular.legendre.radial.num=2", "network.hidden=[8]", "trainer.max_epochs=10", "report=false",
    "trainer.enable_progress_bar=false", "trainer.log_every_n_steps=1",
]  # fmt: skip
PLAN = {
    "structures": "copper.extxyz",
    "calculator": "ase.calculators.emt:EMT",
    "settings": {"asap_cutoff": True},
    "sample": {"num": 24, "recipe": ["rattle:0.05", "strain:0.02"]},
    "test": {"num": 8, "recipe": ["md:700"]},
    "validation": 0.2,
    "training": TRAINING,
    "exploration": {"temperatures": [700], "steps": 150, "interval": 5, "trajectories": 2, "limit": 0.04, "beyond": 5},
    "selection": {"num": 25},
    "max_rounds": 8,
}


def write_plan(folder, **changes):
    ase.io.write(folder / "copper.extxyz", bulk("Cu", cubic=True))
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(PLAN | {"folder": str(folder / "learning")} | changes))
    return path


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Folder of a loop that ran to its end."""
    folder = tmp_path_factory.mktemp("learn")
    assert main(["learn", str(write_plan(folder))]) == 0
    return folder


def journal_of(folder):
    return json.loads((folder / "learning/journal.json").read_text())["results"]


@pytest.mark.slow
def test_errors_fall_until_the_model_is_trusted(learned):
    results, folder = journal_of(learned), learned / "learning"
    errors = [
        results[f"round {number}: training"]["errors"]["force_rmse_ev_per_angstrom"]
        for number in range(8) if f"round {number}: training" in results
    ]  # fmt: skip
    assert 2 <= len(errors) <= 8
    assert errors[-1] < 0.3 * errors[0]
    last = results[f"round {len(errors) - 1}: exploration"]
    assert all(one["is_trusted"] and one["largest_grade"] <= 0.04 for one in last["trajectories"].values())
    assert not all(one["is_trusted"] for one in results["round 0: exploration"]["trajectories"].values())
    assert "converged" in (folder / "log.txt").read_text()
    assert (folder / "model.pt").read_bytes() == (folder / f"round_{len(errors) - 1:02d}/run/model.pt").read_bytes()


@pytest.mark.slow
def test_labels_are_the_oracles_and_the_test_set_is_never_trained_on(learned):
    folder = learned / "learning"
    last = max(folder.glob("round_*"))
    train = StoreReader(last / "train.h5")
    tested = {mark_of(structure) for structure in StoreReader(folder / "test.h5")}
    assert not tested & {mark_of(structure) for structure in train}
    assert len(tested) == 8
    for structure in (train[0], train[len(train) - 1]):
        atoms = bulk("Cu", cubic=True)
        atoms.set_cell(structure.cell)
        atoms.positions = structure.positions
        atoms.calc = EMT(asap_cutoff=True)
        np.testing.assert_allclose(structure.forces, atoms.get_forces(), atol=1e-12)
    counts = [len(StoreReader(place / "labels.h5")) for place in sorted(folder.glob("round_*"))]
    assert len(train) == sum(counts)
    assert train.groups[0] == "start"
    assert any(group == "exploration/700K" for group in train.groups)
    for number in range(len(counts) - 1):  # who validates once does so in every round
        before, after = (StoreReader(folder / f"round_{one:02d}/train.h5") for one in (number, number + 1))
        np.testing.assert_array_equal(before.split, after.split[: len(before)])


@pytest.mark.slow
def test_report_tells_all_rounds(learned):
    page = (learned / "learning/report.html").read_text()
    results = journal_of(learned)
    for key, value in results.items():
        if re.fullmatch(r"round \d+: exploration", key):
            largest = max(one["largest_grade"] for one in value["trajectories"].values())
            assert f"{largest:.4g}"[:5] in page
    assert "converged" in page
    assert "Chosen for round 1" in page
    assert 'src="http' not in page
    assert (learned / "learning/rounds.png").stat().st_size > 0


@pytest.mark.slow
def test_the_same_command_computes_nothing_again(learned, capsys):
    files = {path: path.stat().st_mtime_ns for path in (learned / "learning").rglob("*.h5")}
    assert main(["learn", str(learned / "plan.yaml"), "max_rounds=9", "label.processes=2"]) == 0
    assert files == {path: path.stat().st_mtime_ns for path in (learned / "learning").rglob("*.h5")}
    assert "stopped: converged" in capsys.readouterr().out


@pytest.mark.slow
def test_other_settings_are_refused_or_listed(learned, capsys):
    plan = str(learned / "plan.yaml")
    before = journal_of(learned)
    assert main(["learn", plan, "exploration.steps=10"]) == 1
    told = capsys.readouterr().err
    assert "`exploration.steps` 10 (there: 150)" in told
    assert "changed=true" in told
    assert main(["learn", plan, "sample.num=20", "changed=true"]) == 1
    assert "`sample.num` 20, got one with 24" in capsys.readouterr().err
    assert main(["learn", plan, "settings={}"]) == 1
    assert "got one with" in capsys.readouterr().err
    assert journal_of(learned) == before
    assert main(["learn", plan, "exploration.steps=10", "exploration.temperatures=[300]", "changed=true"]) == 0
    assert "changed: `exploration.steps` 10, was 150" in capsys.readouterr().out
    after = journal_of(learned)
    last = max(int(key.split()[1][:-1]) for key in after if key.startswith("round"))
    assert list(after[f"round {last}: exploration"]["trajectories"]) == [
        "structure 0, 300 K, 0",
        "structure 0, 300 K, 1",
    ]
    assert after["round 0: exploration"] == before["round 0: exploration"]
    assert after[f"round {last}: labels"] == before[f"round {last}: labels"]


def checkpoint_of(folder, number, part):
    return folder / f"round_{number:02d}/{part}/checkpoints/last.ckpt"


@pytest.mark.slow
def test_the_last_training_has_settings_of_its_own(learned, capsys):
    before = {key: value for key, value in journal_of(learned).items() if "exploration" in key}
    present = json.loads((learned / "learning/journal.json").read_text())["settings"]["exploration"]
    changes = [
        "final=[trainer.max_epochs=30]", f"exploration={json.dumps(present)}", "max_rounds=1", "changed=true",
    ]  # fmt: skip
    Learning(read_plan(learned / "plan.yaml", changes)).run()
    assert "goes on with `final`: `max_rounds`" in capsys.readouterr().out
    results, folder = journal_of(learned), learned / "learning"
    assert {key: value for key, value in results.items() if key in before} == before
    (name,) = (key for key in results if "final training" in key)
    number = max(int(key.split()[1][:-1]) for key in before)
    assert name == f"round {number}: final training"  # of all labels that there are
    assert len(results[f"round {number}: final exploration"]["trajectories"]) == 2
    assert (folder / "model.pt").read_bytes() == (folder / f"round_{number:02d}/final/model.pt").read_bytes()
    checkpoints = [checkpoint_of(folder, number, part) for part in ("run", "final")]
    assert [read_checkpoint(path)["epoch"] for path in checkpoints] == [9, 29]
    assert results[name]["errors"] != results[f"round {number}: training"]["errors"]
    assert f">{number}, final<" in (folder / "report.html").read_text()
    changes[0] = "final=[trainer.max_epochs=20, optimizer.lr=2e-3]"  # nothing that the one before could go on with
    Learning(read_plan(learned / "plan.yaml", changes)).run()
    assert read_checkpoint(checkpoint_of(folder, number, "final"))["epoch"] == 19


@pytest.mark.slow
@pytest.mark.parametrize(("first_is_trusted", "why"), [(True, "converged"), (False, "`max_rounds`: 1 rounds")])
def test_the_last_model_must_be_trusted_too(tmp_path, capsys, first_is_trusted, why):
    """Those of the first settings are trusted always, or never, those of the last never: two rounds are left."""
    changes = ["final=[trainer.max_epochs=2]", "max_rounds=2", "exploration.steps=60", "selection.num=4"]

    class Lenient(Learning):
        def explored(self, number, is_final):
            found = super().explored(number, is_final)
            for one in found["trajectories"].values():
                one["is_trusted"] = first_is_trusted and not is_final
            return found

    Lenient(read_plan(write_plan(tmp_path), changes)).run()
    told, results, folder = capsys.readouterr().out, journal_of(tmp_path), tmp_path / "learning"
    assert f"goes on with `final`: {why}" in told
    assert "stopped: `max_rounds`: 2 rounds are done" in told
    trainings = [key for key in results if key.endswith("training")]
    assert trainings == ["round 0: training", "round 0: final training", "round 1: final training"]
    assert results["round 1: labels"]["num"] == 4
    met = {tuple(atoms.positions.ravel()) for path in folder.glob("round_00/final_exploration/*.extxyz")
           for atoms in ase.io.iread(path)}  # fmt: skip
    chosen = StoreReader(folder / "round_01/labels.h5")
    assert all(tuple(structure.positions.ravel()) in met for structure in chosen)
    assert (folder / "model.pt").read_bytes() == (folder / "round_01/final/model.pt").read_bytes()
    files = {path: path.stat().st_mtime_ns for path in folder.rglob("*.h5")}
    Lenient(read_plan(tmp_path / "plan.yaml", changes)).run()
    assert files == {path: path.stat().st_mtime_ns for path in folder.rglob("*.h5")}


@pytest.mark.slow
def test_a_trajectory_ends_where_the_model_is_lost(learned):
    """From a crystal to 1500 K: what was kept is above the limit in part, never far beyond, and not too dense."""
    model = learned / "learning/round_00/run/model.pt"
    settings = Exploration(steps=400, interval=2, beyond=8.0, nearest=0.6)
    found = explore(bulk("Cu", cubic=True), model, settings, 1500.0, 0.05, np.random.default_rng(0))
    assert found.ended == UNCERTAIN
    assert found.grades[-1] > 8.0 * 0.05
    assert max(found.grades[:-1]) <= 8.0 * 0.05
    grades = [frame.info[GRADE] for frame in found.frames]
    assert max(grades) <= 8.0 * 0.05
    assert any(grade > 0.05 for grade in grades)
    assert min(nearest_of(frame, 1.0) for frame in found.frames) >= 0.6
    assert found.frames[-1].info["step"] == len(found.grades) - 2
    assert not found.is_trusted(0.05)
    again = explore(bulk("Cu", cubic=True), model, settings, 1500.0, 0.05, np.random.default_rng(0))
    np.testing.assert_array_equal(again.grades, found.grades)


@pytest.mark.slow
def test_at_zero_kelvin_it_relaxes(learned):
    """From beside the crystal to it, with the model's own minimum as ASE finds it from there."""
    model, crystal = learned / "learning/model.pt", bulk("Cu", cubic=True)
    found = explore(crystal, model, Exploration(steps=300, interval=10), 0.0, 10.0, np.random.default_rng(0))
    assert found.ended == COMPLETE
    assert len(found.grades) < 300
    steps = [frame.info["step"] for frame in found.frames]
    assert steps == [*range(0, len(found.grades) - 1, 10), len(found.grades) - 1]
    last = relaxed(found.frames[0], MHDNNCalculator(model), 1e-3)
    begin, end = (np.ptp((frame.positions - last.positions).round(6), axis=0).max() for frame in
                  (found.frames[0], found.frames[-1]))  # fmt: skip
    assert begin > 0.1
    assert end < 0.02


@pytest.mark.slow
def test_numbers_that_are_none_end_a_trajectory(learned, monkeypatch):
    model, original = learned / "learning/model.pt", exploration._grade_after
    settings = Exploration(steps=20, interval=5, ensemble="nve")

    def spoilt(integrator, atoms, num_steps):
        grade = original(integrator, atoms, num_steps)
        return np.inf if integrator.nsteps == 12 else grade

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = explore(bulk("Cu", cubic=True), model, settings, 100.0, 10.0, np.random.default_rng(0))
    assert (whole.ended, len(whole.grades)) == (COMPLETE, 21)
    assert whole.is_trusted(10.0)
    monkeypatch.setattr(exploration, "_grade_after", spoilt)
    found = explore(bulk("Cu", cubic=True), model, settings, 100.0, 10.0, np.random.default_rng(0))
    assert (found.ended, found.summary(10.0)["is_trusted"]) == (NOT_FINITE, False)
    assert [frame.info["step"] for frame in found.frames] == [0, 5, 10, 11]


@pytest.mark.slow
def test_a_training_starts_from_the_model_before(tmp_path):
    changes = ["warm=true", "max_rounds=2", "exploration.trajectories=1", "exploration.steps=60"]
    plan = write_plan(tmp_path, training=[*TRAINING, "final_fit=false"])  # by which short trainings are alike
    Learning(read_plan(plan, changes)).run()
    first, second = (yaml.safe_load((place / "run/config.yaml").read_text()) for place in places_of(tmp_path))
    assert first["init"] is None
    assert second["init"] == str(tmp_path / "learning/round_00/run/model.pt")
    errors = [
        journal_of(tmp_path)[f"round {number}: training"]["errors"]["force_rmse_ev_per_angstrom"] for number in (0, 1)
    ]
    assert errors[1] < errors[0]


def places_of(folder):
    return sorted((folder / "learning").glob("round_0[01]"))


@pytest.mark.slow
def test_budget_of_labels_is_kept(tmp_path):
    plan = read_plan(write_plan(tmp_path), ["max_labels=35"])
    Learning(plan).run()
    text = (tmp_path / "learning/log.txt").read_text()
    assert "stopped: `max_labels`: 35 structures are computed" in text
    with pytest.raises(ConfigError, match=r"`max_labels`: expected at least 33, .* got 30"):
        Learning(replace(plan, max_labels=30))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["exploration.step=5"], r"`exploration.step`: no such key; did you mean steps"),
        (["exploration.steps=0"], "`exploration.steps`: expected an integer at least 1, got 0"),
        (["exploration.limit=none"], "`exploration.limit`: expected auto or a number greater than 0"),
        (["exploration.ensemble=npt"], "`exploration.ensemble`: expected nvt or nve"),
        (["validation=1.0"], "`validation`: expected a number greater than 0 and less than 1"),
        (["sample.recipe=[boil]"], "`sample.recipe`: .*boil"),
        (["test.recipe=[insertion]"], "`test.recipe`: `ion`"),
        (["sample.ion=Xx"], "`sample.ion`: expected the symbol of an element"),
        (["training=[data.train=x.h5]"], r"`training\[0\]`: .*the loop gives it"),
        (["final=[resume=x.ckpt]"], r"`final\[0\]`: .*the loop gives it"),
        (["final=[trainer.max_epochs=0]"], "`trainer.max_epochs`: expected an integer at least 1"),
        (["training=[cutoff]"], r"`training\[0\]`: .*key=value"),
        (["training=[cutof=5.0]"], "`cutof`: no such key; did you mean cutoff"),
        (["training=[cutoff=-5.0]"], "`cutoff`: expected"),
        (["training=[descriptor=none]"], "`descriptor=none`: no such choice"),
        (["sample.num=495"], "`max_labels`: expected at least"),
        (["seed.more=1"], "`seed.more`: `seed` is no group of keys"),
        (["seed"], "`seed`: expected a key of the plan as key=value"),
        (["structures=nothing.cif"], "nothing.cif: expected a structure file, found none"),
        (["calculator=nothing:here"], "nothing:here"),
        (["settings=nothing.yaml"], "nothing.yaml"),
        (["exploration.nearest=1.5"], "`structures`: expected atoms 1.5 sums of covalent radii apart"),
        (["exploration.candidates=3", "sample.recipe=[md]"], "`exploration.candidates`"),
        (["calculator=3"], "`calculator`: expected a text, got 3"),
        (["folder=[a"], "`folder`: expected a value as YAML has it"),
    ],
)
def test_wrong_plans_are_refused_before_anything_is_computed(tmp_path, changes, words):
    path = write_plan(tmp_path, seed=0)
    with pytest.raises(ConfigError, match=words):
        Learning(read_plan(path, changes))
    assert not (tmp_path / "learning").exists()


def test_files_that_are_no_plans(tmp_path, capsys):
    (tmp_path / "list.yaml").write_text("- a\n")
    assert main(["learn", str(tmp_path / "list.yaml")]) == 1
    assert main(["learn", str(tmp_path / "none.yaml")]) == 1
    assert main(["learn", "calculator=ase.calculators.emt:EMT"]) == 1
    told = capsys.readouterr().err.splitlines()
    assert "expected a plan in YAML, keys with values, got list" in told[0]
    assert "can't be read" in told[1]
    assert "`structures`: is missing" in told[2]


def test_help_names_every_key(capsys):
    assert main(["learn", "--help"]) == 0
    text = capsys.readouterr().out
    for key in ("structures", "exploration.limit", "sample.recipe", "label.processes", "max_labels", "changed"):
        assert f"  {key} " in text
    assert "an integer at least 1; default 2000" in text
    assert "largest grade (expected error of a force, eV/Å)" in text


def test_paths_count_from_the_plan(tmp_path, monkeypatch):
    path = write_plan(tmp_path, settings="oracle.yaml")
    (tmp_path / "oracle.yaml").write_text("asap_cutoff: true\n")
    monkeypatch.chdir("/")
    plan = read_plan(path)
    assert plan.structures == [str(tmp_path / "copper.extxyz")]
    assert plan.settings == {"asap_cutoff": True}


class NotGPAW:
    """Takes GPAW's keywords, and like it has not the base class of ASE's calculators."""

    implemented_properties = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, **keywords):
        self.keywords = keywords

    def get_property(self, name, atoms):
        """Nothing is computed here."""


def test_the_plan_with_gpaw_makes_its_calculator(monkeypatch):
    """GPAW itself isn't needed: what it would be given, and that the loop's settings hold."""
    monkeypatch.setitem(sys.modules, "gpaw", SimpleNamespace(GPAW=NotGPAW))
    path = Path(__file__).parents[2] / "scripts/learn/silicon_graphene_gpaw.yaml"
    plan = read_plan(path)
    calculator = resolve_calculator(plan.calculator, plan.settings)
    keywords = calculator.inner.inner.keywords
    assert keywords["mode"] == {"name": "pw", "ecut": 500}
    assert keywords["kpts"] == {"size": [4, 4, 1], "gamma": True}
    assert str(calculator.correction) == plan.label.dispersion == "d3 bj pbe"
    teacher = read_plan(path.with_name("silicon_graphene.yaml"))
    assert (plan.sample, plan.exploration, plan.training) == (teacher.sample, teacher.exploration, teacher.training)
    check_overrides([*plan.training, "data.train=train.h5"])


def test_a_folder_is_for_one_process(tmp_path):
    loop = Learning(read_plan(write_plan(tmp_path)))
    (tmp_path / "learning").mkdir()
    with alone_in(tmp_path / "learning", "folder"), pytest.raises(ConfigError, match="no other process works in"):
        loop.run()
    assert [path.name for path in (tmp_path / "learning").iterdir()] == ["lock"]


@pytest.mark.parametrize("change", ["validation=0.3", "warm=true", "training=[cutoff=5.0]"])
def test_a_training_that_has_begun_is_left_with_other_settings(tmp_path, change):
    folder = tmp_path / "learning"
    settings = Learning(read_plan(write_plan(tmp_path))).journal.settings
    results = {"round 0: labels": {"num": 25}, "round 0: training set": {"train": 20}}
    (folder / "round_00/run/checkpoints").mkdir(parents=True)
    (folder / "journal.json").write_text(json.dumps({"settings": settings, "results": results}))
    loop = Learning(read_plan(tmp_path / "plan.yaml", [change, "changed=true"]))
    assert loop.journal.results == {"round 0: labels": {"num": 25}}
    assert not (folder / "round_00/run").exists()


def test_the_model_of_a_last_training_goes_with_it(tmp_path):
    folder = tmp_path / "learning"
    settings = Learning(read_plan(write_plan(tmp_path, final=["trainer.max_epochs=20"]))).journal.settings
    results = {f"round 1: {name}training": {"errors": {}} for name in ("", "final ")}
    results["round 0: training"] = {"errors": {}}
    for place in ("round_00/run", "round_01/run", "round_01/final", "."):
        (folder / place).mkdir(parents=True, exist_ok=True)
        (folder / place / "model.pt").write_text(place)
    (folder / "journal.json").write_text(json.dumps({"settings": settings, "results": results}))
    Learning(read_plan(tmp_path / "plan.yaml", ["final=[]", "changed=true"]))
    assert not (folder / "round_01/final").exists()
    assert (folder / "model.pt").read_text() == "round_01/run"


def test_what_was_trained_on_another_set_is_left(tmp_path):
    """As where the journal was removed to begin anew: its checkpoints would be continued."""
    loop = Learning(read_plan(write_plan(tmp_path)))
    (tmp_path / "learning/round_00/run/checkpoints").mkdir(parents=True)
    write_unique(tmp_path / "learning/round_00/labels.h5", [structure_of(bulk("Cu", a=a)) for a in (3.6, 3.7)], set())
    loop.gather(0)
    assert not (tmp_path / "learning/round_00/run").exists()


class Oracle(EMT):
    fails = False

    def calculate(self, *arguments, **named):
        if self.fails:
            raise OSError("no licence")
        super().calculate(*arguments, **named)


@pytest.mark.slow
def test_an_oracle_that_fails_for_all_of_a_round_ends_the_loop_until_it_works_again(tmp_path, capsys):
    changes = [
        f"calculator={__name__}:Oracle",
        "settings={}",
        "max_rounds=2",
        "exploration.steps=60",
        "selection.num=4",
    ]

    class Failing(Learning):
        def explored(self, number, is_final):
            Oracle.fails = True
            return super().explored(number, is_final)

    plan, folder = read_plan(write_plan(tmp_path), changes), tmp_path / "learning"
    try:
        Failing(plan).run()
        told = capsys.readouterr().out
        assert "stopped: no structure of round 1 could be labelled, the same command tries again" in told
        assert "OSError: no licence" in (folder / "report.html").read_text()
        assert "round 1: labels" not in journal_of(tmp_path)
    finally:
        Oracle.fails = False
    Learning(plan).run()
    assert journal_of(tmp_path)["round 1: labels"] == {"num": 4, "num_labelled": 4}
    last = (folder / "round_01/run/model.pt").read_bytes()
    Learning(replace(plan, max_rounds=1)).run()
    assert (folder / "model.pt").read_bytes() == last


def test_finished_trainings_stay_where_fewer_rounds_are_asked_for(tmp_path):
    folder = tmp_path / "learning"
    settings = Learning(read_plan(write_plan(tmp_path))).journal.settings
    results = {f"round {one}: training": {"errors": {}} for one in range(3)}
    for number in range(4):
        (folder / f"round_{number:02d}/run").mkdir(parents=True)
    (folder / "journal.json").write_text(json.dumps({"settings": settings, "results": results}))
    Learning(read_plan(tmp_path / "plan.yaml", ["validation=0.3", "changed=true", "max_rounds=1"]))
    assert [(folder / f"round_{number:02d}/run").exists() for number in range(4)] == [True, True, True, False]


def test_pools_hold_nothing_twice(tmp_path):
    atoms, other = bulk("Cu"), bulk("Cu", a=3.7)
    structures = [structure_of(one, group="a/1") for one in (atoms, other, atoms.copy())]
    known = {mark_of(structures[1])}
    assert write_unique(tmp_path / "pool.h5", structures, known) == 1
    assert write_unique(tmp_path / "none.h5", structures, known | {mark_of(structures[0])}) == 0
    assert not (tmp_path / "none.h5").exists()


@pytest.mark.parametrize(
    ("sizes", "part", "is_first", "expected"),
    [([4] * 40, 0.1, True, 5), ([4] * 40, 0.5, True, 20), ([4] * 40, 0.1, False, 4), ([1] * 8, 0.1, True, 4)],
)
def test_enough_structures_validate(sizes, part, is_first, expected):
    generator = np.random.default_rng(0)
    assert len(validation_of(np.array(sizes), part, generator, is_first)) == expected


def test_paths_in_hydras_grammar(tmp_path):
    for name in ("it's, a=folder", "with {braces} and [x]", "plain"):
        assert composed([f"data.train={quoted(tmp_path / name)}"]).data.train == str(tmp_path / name)
