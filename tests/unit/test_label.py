"""Labels of a pool: the numbers of the calculator itself, interruptions, failures, time limits, several processes."""

import contextlib
import csv
import json
import subprocess
import sys
import time

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator, SCFError, all_changes
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.mixing import SumCalculator

from mhdnn.active.label import NothingLabelledError, label
from mhdnn.cli import main
from mhdnn.data.store import StoreReader
from mhdnn.data.writer import StoreWriter
from mhdnn.errors import ConfigError, DataError, OutputError
from mhdnn.files import alone_in
from tests.builders import structure_of

CALLS: list[int] = []


class KohnShamConvergenceError(Exception):
    """As GPAW's, of no other class."""


class Awkward(Calculator):
    """EMT that counts its calls and fails by the number of atoms."""

    implemented_properties = ["energy", "forces", "charges"]

    def __init__(self, **settings):
        super().__init__()
        self.failures = settings

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        CALLS.append(len(atoms))
        match self.failures.get(str(len(atoms))):
            case "stop":
                raise KeyboardInterrupt
            case "wait":
                with contextlib.suppress(Exception):  # as foreign code does
                    time.sleep(30)
            case "scf":
                raise SCFError("no convergence")
            case "nan":
                self.results = {"energy": np.nan, "forces": np.zeros((len(atoms), 3)), "charges": np.zeros(len(atoms))}
                return
            case "error":
                raise ValueError("of some\nkind")
            case "foreign":
                raise KohnShamConvergenceError("no convergence")
            case "exit":
                sys.exit(3)
        inner = atoms.copy()
        inner.calc = EMT()
        self.results = {
            "energy": inner.get_potential_energy(),
            "forces": inner.get_forces(),
            "charges": np.full(len(atoms), 0.25 / len(atoms)),
        }


@pytest.fixture(autouse=True)
def counted():
    CALLS.clear()


def crystals(number: int) -> list:
    """Of 1, 2, ... rattled copper atoms, the last one a molecule."""
    many = []
    for size in range(1, number):
        atoms = bulk("Cu").repeat((size, 1, 1))
        atoms.rattle(0.1, seed=size)
        many.append(atoms)
    return [*many, molecule("H2O") if number > 8 else molecule("N2", positions=[[0, 0, 0], [0, 0, 1.2]])]


def pool_of(tmp_path, many, total_charge=None):
    path = tmp_path / "pool.h5"
    with StoreWriter(path, {"code": "none"}) as writer:
        for number, atoms in enumerate(many):
            structure = structure_of(atoms, group=f"kind/{number}")
            structure.total_charge = total_charge
            writer.append(structure, split="train")
    return path


def failing(tmp_path, **kinds):
    path = tmp_path / "settings.yaml"
    path.write_text("".join(f'"{size[1:]}": {kind}\n' for size, kind in kinds.items()))
    return path


def failures_of(path):
    with path.with_name(f"{path.stem}_failures.csv").open() as stream:
        return {row["structure"]: row["kind"] for row in csv.DictReader(stream)}


def same(one, other):
    for first, second in zip(StoreReader(one), StoreReader(other), strict=True):
        assert first.group == second.group
        assert first.energy == second.energy
        np.testing.assert_array_equal(first.forces, second.forces)


def test_labels_are_the_numbers_of_the_calculator(tmp_path):
    many = crystals(4)
    pool = pool_of(tmp_path, many, total_charge=0.0)
    output = tmp_path / "out.h5"
    arguments = [f"output={output}", "functional=EMT", "energy_kind=free"]
    assert main(["data", "label", str(pool), "calculator=ase.calculators.emt:EMT", *arguments]) == 0
    reader = StoreReader(output)
    assert reader.attributes["functional"] == "EMT"
    assert reader.attributes["energy_kind"] == "free"
    assert json.loads(reader.attributes["calculator"])["class"].endswith("EMT")
    assert reader.split is not None
    assert "code" not in reader.attributes  # of the pool's own labels
    for number, (atoms, structure) in enumerate(zip(many, reader, strict=True)):
        atoms.calc = EMT()
        assert structure.energy == atoms.get_potential_energy()
        np.testing.assert_array_equal(structure.forces, atoms.get_forces())
        assert (structure.group, structure.total_charge) == (f"kind/{number}", 0.0)
        if atoms.pbc.all():
            np.testing.assert_array_equal(structure.stress, atoms.get_stress())
        else:
            assert structure.stress is None


def test_settings_of_the_calculator(tmp_path):
    many = crystals(3)[:2]
    settings = tmp_path / "lj.yaml"
    settings.write_text("sigma: 2.2\nepsilon: 0.3\nrc: 5.0\n")
    pool = pool_of(tmp_path, many)
    output = label(pool, "ase.calculators.lj:LennardJones", settings=settings)
    for atoms, structure in zip(many, StoreReader(output), strict=True):
        atoms.calc = LennardJones(sigma=2.2, epsilon=0.3, rc=5.0)
        assert structure.energy == atoms.get_potential_energy()
        np.testing.assert_array_equal(structure.stress, atoms.get_stress())
    settings.write_text("sigma: 2.3\nepsilon: 0.3\nrc: 5.0\n")
    with pytest.raises(ConfigError, match="another calculation"):
        label(pool, "ase.calculators.lj:LennardJones", settings=settings)


def test_interrupted_and_continued_computes_nothing_twice(tmp_path):
    pool, output = pool_of(tmp_path, crystals(6)[:5]), tmp_path / "out.h5"
    with pytest.raises(KeyboardInterrupt):
        label(pool, f"{__name__}:StopsAtThree", output)
    assert CALLS == [1, 2, 3]
    assert not output.exists()
    journal = next((tmp_path / "out.h5.labels").glob("labels-*.jsonl"))
    journal.write_bytes(journal.read_bytes() + b'\n{"structure": 2, "fing')  # killed while it wrote
    CALLS.clear()
    StopsAtThree.stops = False
    try:
        label(pool, f"{__name__}:StopsAtThree", output)
        assert CALLS == [3, 4, 5]
        label(pool, f"{__name__}:StopsAtThree", output)
    finally:
        StopsAtThree.stops = True
    assert CALLS == [3, 4, 5]
    same(output, label(pool, f"{__name__}:Awkward", tmp_path / "other.h5"))
    assert len(StoreReader(output)) == 5


class StopsAtThree(Awkward):
    stops = True

    def calculate(self, *arguments, **named):
        self.failures = {"3": "stop"} if self.stops else {}
        super().calculate(*arguments, **named)


def test_failures_are_listed_and_leave_the_others(tmp_path, capsys):
    pool, output = pool_of(tmp_path, crystals(8)[:6], total_charge=1.0), tmp_path / "out.h5"
    settings = failing(tmp_path, _2="scf", _3="wait", _4="nan", _5="error")
    begin = time.monotonic()
    label(pool, f"{__name__}:Awkward", output, settings, limit=2.0)
    assert time.monotonic() - begin < 20
    assert failures_of(output) == {"1": "unconverged", "2": "time limit", "3": "DataError", "4": "ValueError"}
    shown = capsys.readouterr()
    assert "2 of 6 structures labelled" in shown.out
    assert "ValueError: of some kind" in shown.out
    assert "6 structures have a total charge" in shown.err
    assert [structure.group for structure in StoreReader(output)] == ["kind/0", "kind/5"]
    assert StoreReader(output)[1].charges.sum() == pytest.approx(0.25)
    assert StoreReader(output)[1].total_charge == 1.0
    CALLS.clear()
    label(pool, f"{__name__}:Awkward", output, settings, limit=2.0)
    assert CALLS == []
    label(pool, f"{__name__}:Awkward", output, settings, limit=2.0, retry=True)
    assert CALLS == [2, 3, 4, 5]


def test_whatever_a_calculator_fails_with_leaves_the_others(tmp_path, capsys):
    pool, output = pool_of(tmp_path, crystals(5)[:4]), tmp_path / "out.h5"
    label(pool, f"{__name__}:Awkward", output, failing(tmp_path, _2="foreign", _3="exit"))
    assert failures_of(output) == {"1": "unconverged", "2": "SystemExit"}
    assert "2 of 4 structures labelled" in capsys.readouterr().out


def test_a_calculator_that_ends_the_process_is_given_up(tmp_path):
    """At the third time, and not for the user's own interruptions."""
    pool, output = pool_of(tmp_path, crystals(4)[:3]), tmp_path / "out.h5"
    script = (
        f"from mhdnn.active.label import label; from pathlib import Path; label(Path({str(pool)!r}), 'fatal:Fatal')"
    )
    (tmp_path / "fatal.py").write_text(FATAL)
    for _ in range(3):
        died = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=False, capture_output=True)
        assert died.returncode == -9
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True)
    assert failures_of(tmp_path / "pool_labelled.h5") == {"1": "died"}
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            label(pool, f"{__name__}:StopsAtThree", output)
    assert CALLS == [1, 2, 3, 3, 3, 3]


FATAL = """
import os, signal
from ase.calculators.emt import EMT
class Fatal(EMT):
    def calculate(self, atoms, properties, changes):
        if len(atoms) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        super().calculate(atoms, properties, changes)
"""


def test_where_all_failed_all_are_tried_again(tmp_path):
    pool, settings = pool_of(tmp_path, crystals(3)[:2]), failing(tmp_path, _1="error", _2="error")
    for _ in range(2):
        with pytest.raises(NothingLabelledError):
            label(pool, f"{__name__}:Awkward", settings=settings)
    assert CALLS == [1, 2, 1, 2]


def mixed():
    return SumCalculator([EMT(), LennardJones(epsilon=0.01 * len(mixed.calls))])


mixed.calls = []


def test_labels_of_two_calculators_are_not_mixed(tmp_path, monkeypatch):
    """Of sums whose parts differ, of functions whose file was edited, and where the record of it was removed."""
    pool, output = pool_of(tmp_path, crystals(3)[:2]), tmp_path / "out.h5"
    label(pool, f"{__name__}:mixed", output)
    before = StoreReader(output).energies()
    mixed.calls.append(1)
    with pytest.raises(ConfigError, match="another calculation"):
        label(pool, f"{__name__}:mixed", output)
    (tmp_path / "out.h5.labels/calculator.json").unlink()
    after = StoreReader(label(pool, f"{__name__}:mixed", output)).energies()
    expected = [mixed().get_potential_energy(atoms) for atoms in crystals(3)[:2]]
    np.testing.assert_array_equal(after, expected)
    assert (after != before).all()

    monkeypatch.chdir(tmp_path)
    own = tmp_path / "own_calculators.py"
    own.write_text("from ase.calculators.emt import EMT as made\n")
    label(pool, "own_calculators:made", tmp_path / "own.h5")
    own.write_text("from ase.calculators.emt import EMT as made  # edited\n")
    with pytest.raises(ConfigError, match="another calculation"):
        label(pool, "own_calculators:made", tmp_path / "own.h5")


def test_a_pool_in_another_order_computes_nothing(tmp_path):
    many, output = crystals(4)[:3], tmp_path / "out.h5"
    label(pool_of(tmp_path, many), f"{__name__}:Awkward", output)
    CALLS.clear()
    label(pool_of(tmp_path, many[::-1]), f"{__name__}:Awkward", output)
    assert CALLS == []
    same(output, label(tmp_path / "pool.h5", "ase.calculators.emt:EMT", tmp_path / "emt.h5"))


def test_an_output_is_of_one_process(tmp_path):
    pool = pool_of(tmp_path, crystals(3)[:2])
    with (
        alone_in(tmp_path / "out.h5.labels", "output"),
        pytest.raises(ConfigError, match="`output`: .* no other process"),
    ):
        label(pool, "ase.calculators.emt:EMT", tmp_path / "out.h5")


def test_a_larger_pool_computes_the_new_ones(tmp_path):
    output = tmp_path / "out.h5"
    label(pool_of(tmp_path, crystals(4)[:3]), f"{__name__}:Awkward", output)
    many = crystals(5)[:4]
    many[1].positions[0] += 0.01
    CALLS.clear()
    label(pool_of(tmp_path, many), f"{__name__}:Awkward", output)
    assert CALLS == [2, 4]
    same(output, label(tmp_path / "pool.h5", "ase.calculators.emt:EMT", tmp_path / "emt.h5"))


@pytest.mark.parametrize("executor", ["processes", pytest.param("local", marks=pytest.mark.slow)])
def test_several_processes_give_the_same(tmp_path, executor):
    if executor == "local":
        pytest.importorskip("submitit")
    pool = pool_of(tmp_path, crystals(5))
    alone = label(pool, "ase.calculators.emt:EMT", tmp_path / "alone.h5")
    together = label(pool, "ase.calculators.emt:EMT", tmp_path / "two.h5", processes=2, executor=executor)
    same(alone, together)


@pytest.mark.slow
def test_killed_at_any_moment_loses_one_label(tmp_path):
    """SIGKILL to the whole process; calls are counted by a file."""
    module = (
        "import time\nfrom ase.calculators.emt import EMT\n\n\nclass Counting(EMT):\n"
        "    def calculate(self, atoms=None, *rest):\n"
        "        with open('calls', 'a') as stream:\n            stream.write(f'{len(atoms)}\\n')\n"
        "        time.sleep(0.3)\n        super().calculate(atoms, *rest)\n"
    )
    (tmp_path / "counting.py").write_text(module)
    pool = pool_of(tmp_path, crystals(8)[:7])
    command = [sys.executable, "-m", "mhdnn.cli", "data", "label", str(pool), "calculator=counting:Counting"]
    kills = 0
    for seconds in (0.1, 0.7):
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = count(tmp_path)
        while count(tmp_path) == before and process.poll() is None:
            time.sleep(0.02)
        time.sleep(seconds)
        process.kill()
        kills += process.wait() != 0
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert len(StoreReader(tmp_path / "pool_labelled.h5")) == 7
    assert kills >= 1
    assert 7 <= count(tmp_path) <= 7 + kills


def count(folder):
    calls = folder / "calls"
    return len(calls.read_text().splitlines()) if calls.exists() else 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"processes": 0}, "`processes`"),
        ({"limit": -1.0}, "`limit`"),
        ({"executor": "grid"}, "`executor`"),
        ({"calculator": "nothing:here"}, "nothing:here"),
        ({"energy_kind": "total"}, "energy_kind"),
    ],
)
def test_wrong_arguments(tmp_path, arguments, words):
    pool = pool_of(tmp_path, crystals(2)[:1])
    given = {"calculator": "ase.calculators.emt:EMT"} | arguments
    with pytest.raises((ConfigError, DataError), match=words):
        label(pool, **given)
    with pytest.raises(ConfigError, match="`output`: expected another file than"):
        label(pool, "ase.calculators.emt:EMT", pool)


def test_nothing_labelled_is_an_error(tmp_path):
    pool = pool_of(tmp_path, [bulk("Fe")])
    with pytest.raises(DataError, match="no structure was labelled; the first: NotImplementedError"):
        label(pool, "ase.calculators.emt:EMT")


def without_settings():
    return EMT()


def test_settings_that_are_none(tmp_path):
    pool = pool_of(tmp_path, crystals(2)[:1])
    for text in ("a: [", "- 1\n", "wrong: 1\nkeys: 2\n"):
        (tmp_path / "settings.yaml").write_text(text)
        with pytest.raises(ConfigError):
            label(pool, f"{__name__}:without_settings", settings=tmp_path / "settings.yaml")
    with pytest.raises((ConfigError, OutputError)):
        label(pool, "ase.calculators.emt:EMT", settings=tmp_path / "missing.yaml")
