"""Screening with EMT on tiny pairs: the numbers of the single commands, interruptions, failures, executors."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from ase.io import read, write
from scipy.stats import pearsonr

from mhdnn.errors import ConfigError
from mhdnn.properties import commands
from mhdnn.properties.screening.cells import Cell, cells_of
from mhdnn.properties.screening.correlations import correlate, fitted_line
from mhdnn.properties.screening.plan import read_plan
from mhdnn.properties.screening.report import screen_report
from mhdnn.properties.screening.table import GRADIENT, WORK

EMT_NAME = "ase.calculators.emt:EMT"
GAPS = [1.8, 2.0, 2.2, 2.4, 2.6, 3.0, 3.6, 4.4, 5.5]
PLAN = {
    "calculators": {"emt": EMT_NAME},
    "partners": {"Cu": {"file": "cu.xyz"}, "Ni": {"file": "ni.xyz"}},
    "materials": {"Ag": {"file": "ag.cif", "surface": {"miller": [1, 1, 1], "layers": 3}}},
    "ions": ["Au"],
    "contents": [0, 0.34],
    "interface": {"max_area": 40, "max_strain": 0.14, "gap": 2.4},
    "insertion": {"where": "surface"},
    "relaxation": {"max_force": 0.05},
    "properties": {
        "separation": {"max_force": 0.05},
        "gap_curve": {"gaps": GAPS},
        "sliding": {"num_points": 4, "tolerance": None},
        "interface_stress": None,
        "voltage": None,
    },
}


class CountingEMT(EMT):
    """EMT that counts what it calculates, and can be stopped like a program by Ctrl-C."""

    calls: list[int] = []
    stop_after = 10**9

    def calculate(self, *arguments, **options):
        if len(self.calls) >= type(self).stop_after:
            raise KeyboardInterrupt
        self.calls.append(1)
        super().calculate(*arguments, **options)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for element, a in (("Cu", 3.61), ("Ni", 3.52)):
        slab = fcc111(element, (1, 1, 2), a=a, vacuum=8.0)
        slab.info.clear()
        write(tmp_path / f"{element.lower()}.xyz", slab, format="extxyz")
    write(tmp_path / "ag.cif", bulk("Ag", cubic=True))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def counted():
    CountingEMT.calls.clear()
    CountingEMT.stop_after = 10**9
    yield CountingEMT
    CountingEMT.calls.clear()
    CountingEMT.stop_after = 10**9


def plan_file(folder: Path, **changes) -> Path:
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(PLAN | changes))
    return path


def rows_of(report) -> list[dict]:
    return list(csv.DictReader(io.StringIO(report.files["screen.csv"])))


def test_numbers_are_those_of_the_single_commands(folder):
    report = screen_report(plan_file(folder), points=folder / "points")
    assert report.values["num_failures"] == 0
    rows = rows_of(report)
    assert [(row["partner"], row["ion"]) for row in rows] == [("Cu", ""), ("Cu", "Au"), ("Ni", ""), ("Ni", "Au")]
    structures = [f"points/{pair}-Ag{ions}-emt/interface.extxyz" for pair in ("Cu", "Ni") for ions in ("", "-Au-0.34")]
    options = {
        "separation": ["max_force=0.05"],
        "gap_curve": [f"gaps={','.join(map(str, GAPS))}"],
        "sliding": ["num_points=4", "tolerance=none"],
    }
    for name, given in options.items():
        for row, structure in zip(rows, structures, strict=True):
            commands.run([name, f"calculator={EMT_NAME}", f"atoms={structure}", *given, "output=single"])
            compared = 0
            for key, value in json.loads((folder / f"single/{name}.json").read_text()).items():
                if isinstance(value, float):
                    assert float(row[f"{name}.{key}"]) == value, (name, key)
                    compared += 1
            assert compared > 3
    states = f"structures={structures[0]},{structures[1]}"
    commands.run(
        ["voltage", states, "metal=points/metal-Au-emt/metal.extxyz", "ion=Au", "relax=false", "output=single"]
    )
    voltage = json.loads((folder / "single/voltage.json").read_text())["average_voltage_v"]
    assert float(rows[1]["voltage.average_voltage_v"]) == voltage


def test_contents_and_volumes_are_in_the_table(folder):
    properties = {"interface_stress": None}
    report = screen_report(plan_file(folder, properties=properties), points=folder / "points")
    empty, full = rows_of(report)[:2]
    assert [float(row["num_ions"]) for row in (empty, full)] == [0, 1]
    assert float(full["ions_per_atom"]) == pytest.approx(1 / 3)
    volumes = [float(row["material_volume_cubic_angstrom"]) for row in (empty, full)]
    assert float(full["volume_change_percent"]) == pytest.approx(100 * (volumes[1] / volumes[0] - 1))
    assert empty["volume_change_percent"] == ""
    atoms = read("points/Cu-Ag-Au-0.34-emt/interface.extxyz")
    assert atoms.get_array("slab")[atoms.numbers == 79].tolist() == [2]


def test_interrupted_screening_repeats_nothing_that_is_done(folder, counted):
    name = {"counted": f"{__name__}:CountingEMT"}
    path = plan_file(folder, calculators=name)
    whole = screen_report(path, points=folder / "whole")
    total = len(counted.calls)
    counted.calls.clear()
    counted.stop_after = total // 2
    with pytest.raises(KeyboardInterrupt):
        screen_report(path, points=folder / "points")
    done = {file.parent.name: json.loads(file.read_text())["results"] for file in folder.glob("points/*/journal.json")}
    assert done
    counted.stop_after = 10**9
    counted.calls.clear()
    resumed = screen_report(path, points=folder / "points")
    # of the property that was interrupted the energies in its journal are known, too; its start is told from others by
    # an energy
    assert len(counted.calls) <= total - total // 2 + 60
    assert resumed.files["screen.csv"].replace("counted", "emt") == whole.files["screen.csv"].replace("counted", "emt")
    for place, results in done.items():
        after = json.loads((folder / "points" / place / "journal.json").read_text())["results"]
        assert results.items() <= after.items()
    counted.calls.clear()
    screen_report(path, points=folder / "points")
    assert not counted.calls


def test_failures_are_told_and_leave_the_others(folder):
    write(folder / "fe.cif", bulk("Fe", cubic=True))
    materials = PLAN["materials"] | {"Fe": {"file": "fe.cif", "surface": {"miller": [1, 1, 0]}}}
    path = plan_file(folder, materials=materials, ions=[], contents=[0], properties={"separation": {"max_force": 0.05}})
    report = screen_report(path, points=folder / "points")
    assert [row["material"] for row in rows_of(report)] == ["Ag", "Ag"]
    failures = list(csv.DictReader(io.StringIO(report.files["screen_failures.csv"])))
    assert {failure["material"] for failure in failures} == {"Fe"}
    assert {failure["step"] for failure in failures} == {"structure"}
    assert report.values["num_failures"] == len(failures) == 2
    assert "Fe" in report.files["screen.html"]
    again = screen_report(path, processes=0, points=folder / "points")
    assert again.files == report.files


def test_a_property_that_fails_leaves_the_others(folder):
    properties = {"gap_curve": {"gaps": GAPS[:4]}, "interface_stress": {}}
    report = screen_report(plan_file(folder, properties=properties, contents=[0]), points=folder / "points")
    assert {(one["step"], one["kind"]) for one in report.values["failures"]} == {("gap_curve", "DataError")}
    assert all(row["interface_stress.cell_in_plane_n_per_m"] for row in rows_of(report))


def test_nothing_is_computed_for_a_table_of_what_is_known(folder, counted):
    path = plan_file(folder, calculators={"counted": f"{__name__}:CountingEMT"})
    report = screen_report(path, processes=0, points=folder / "points")
    assert not counted.calls
    assert {one["kind"] for one in report.values["failures"]} == {"not computed yet"}
    assert report.values["num_failures"] == 5


@pytest.mark.parametrize("executor", ["processes", pytest.param("local", marks=pytest.mark.slow)])
def test_processes_and_jobs_give_the_same_table(folder, executor):
    if executor == "local":
        pytest.importorskip("submitit")
    properties = {"gap_curve": {"gaps": GAPS}}
    path = plan_file(folder, properties=properties, contents=[0])
    alone = screen_report(path, points=folder / "alone")
    together = screen_report(path, processes=2, executor=executor, points=folder / "together")
    assert alone.files == together.files
    assert alone.values["num_interfaces"] == 2


def test_points_of_another_structure_are_refused(folder):
    path = plan_file(folder, properties={"interface_stress": None}, contents=[0])
    screen_report(path, points=folder / "points")
    (folder / "ag.cif").rename(folder / "silver.cif")
    materials = {"Ag": PLAN["materials"]["Ag"] | {"file": "silver.cif"}}
    moved = plan_file(folder, properties={"interface_stress": None}, contents=[0], materials=materials)
    assert screen_report(moved, processes=0, points=folder / "points").values["num_failures"] == 0
    write(folder / "silver.cif", bulk("Ag", a=4.2, cubic=True))
    with pytest.raises(ConfigError, match=r"material\.file"):
        screen_report(moved, processes=0, points=folder / "points")


def test_points_of_another_plan_are_refused(folder):
    screen_report(plan_file(folder, properties={"interface_stress": None}, contents=[0]), points=folder / "points")
    changed = plan_file(folder, properties={"interface_stress": None}, contents=[0], relaxation={"max_force": 0.2})
    with pytest.raises(ConfigError, match=r"relaxation\.max_force"):
        screen_report(changed, points=folder / "points")
    more = {"interface_stress": None, "gap_curve": {"gaps": GAPS}}
    report = screen_report(plan_file(folder, properties=more, contents=[0]), points=folder / "points")
    assert all(row["gap_curve.strength_gpa"] for row in rows_of(report))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"materials": {"Ag": {"file": 3}}}, r"`materials\.Ag\.file`: expected a text, got 3"),
        ({"materials": {"Ag": {"file": "none.cif"}}}, r"`materials\.Ag\.file`: expected a structure file, found none"),
        ({"partners": {"C": {"structure": "graphen"}}}, r"`partners\.C\.structure`: no such structure; .*graphene"),
        ({"partners": {}}, "`partners`: expected a mapping from one or more names"),
        ({"partners": {"a/b": {"file": "cu.xyz"}}}, "`partners`: expected a mapping from one or more names"),
        (
            {"materials": {"Ag": {"file": "ag.cif", "surface": {"miller": [0, 0, 0]}}}},
            r"`materials\.Ag\.surface\.miller`",
        ),
        ({"contents": [-0.1]}, r"`contents\[0\]`: expected a number at least 0"),
        ({"ions": ["Xx"]}, r"`ions\[0\]`: expected the symbol of an element"),
        ({"ions": []}, "`ions`: is missing"),
        ({"contents": [0, 0.0]}, "`contents`: expected different numbers"),
        ({"contents": [0.5]}, "`contents`: expected 0 and others for the voltage"),
        ({"propertys": {}}, "`propertys`: no such key; did you mean properties"),
        ({"properties": {"gap": None}}, r"`properties\.gap`: no such property of an interface"),
        ({"properties": {"structures": None}}, r"`properties\.structures`: no such property of an interface"),
        (
            {"properties": {"gap_curve": {"gap": [2.0]}}},
            r"`properties\.gap_curve\.gap`: no such key; did you mean gaps",
        ),
        ({"properties": {"gap_curve": {"gaps": "2"}}}, r"`properties\.gap_curve\.gaps`: expected .*numbers"),
        ({"properties": {"sliding": {"num_points": 2.5}}}, r"`properties\.sliding\.num_points`: expected an integer"),
        ({"interface": {"gap": -1}}, r"`interface\.gap`: expected a number greater than 0"),
        ({"insertion": {"where": "inside"}}, r"`insertion\.where`: expected material, gap or surface"),
        ({"metals": {"Na": {"structure": "licoo2"}}}, r"`metals\.Na`: no such ion"),
        (
            {"published": [{"partner": "Cu", "material": "X", "quantity": "q", "value": 1.0, "source": "s"}]},
            r"`published\[0\]\.material`: no such material",
        ),
    ],
)
def test_errors_name_the_key(folder, changes, message):
    with pytest.raises(ConfigError, match=message):
        read_plan(plan_file(folder, **changes))


def test_unreadable_plans_are_refused(folder):
    for text in ("a: [", "- 1\n", ""):
        (folder / "plan.yaml").write_text(text)
        with pytest.raises(ConfigError, match="expected a plan in YAML"):
            read_plan("plan.yaml")
    with pytest.raises(ConfigError, match="expected a plan in YAML"):
        read_plan("nothing.yaml")


def test_cells_without_ions_are_counted_once(folder):
    plan = read_plan(plan_file(folder, ions=["Au", "Pt"], contents=[0, 0.5, 1]))
    cells = cells_of(plan)
    assert len(cells) == len(set(cells)) == 2 * (1 + 2 * 2)
    assert Cell("emt", "Cu", "Ag", "Pt", 1.0) in cells


def test_correlation_is_that_of_scipy_and_of_the_formula():
    generator = np.random.default_rng(3)
    x = generator.normal(size=14)
    y = 0.6 * x + generator.normal(size=14)
    found = correlate(GRADIENT, WORK, x, y)
    expected = pearsonr(x, y)
    interval = expected.confidence_interval(0.95)
    assert found.coefficient == pytest.approx(expected.statistic, abs=1e-12)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=1e-12)
    r = np.corrcoef(x, y)[0, 1]
    half = 1.959963984540054 / np.sqrt(11)
    by_hand = [
        (np.exp(2 * z) - 1) / (np.exp(2 * z) + 1) for z in 0.5 * np.log((1 + r) / (1 - r)) + half * np.array([-1, 1])
    ]
    assert (found.low, found.high) == pytest.approx(tuple(by_hand), abs=1e-12)


@pytest.mark.parametrize(
    ("x", "y", "remark"),
    [
        ([1, 2, 3], [1, 2, 4], "3 points: at least 4"),
        ([], [], "0 points"),
        ([1, 2, 3, 4], [2, 2, 2, 2], "does not vary"),
    ],
)
def test_what_has_no_correlation_says_why(x, y, remark):
    found = correlate(GRADIENT, WORK, x, y)
    assert found.coefficient is None
    assert remark in str(found)


def test_points_on_a_line_correlate_fully():
    found = correlate(GRADIENT, WORK, [1, 2, 3, 4.5], [-1, -2, -3, -4.5])
    assert (found.coefficient, found.low, found.high) == pytest.approx((-1, -1, -1))


def test_band_of_the_line_is_that_of_the_textbook():
    # Var(line) = s² (1/n + (x - mean)²/Sxx), as the covariance of numpy's own fit has it
    x, y = np.array([0.0, 1.0, 2.5, 3.0, 5.0]), np.array([1.0, 0.5, 2.0, 2.5, 2.2])
    coefficients, covariance = np.polyfit(x, y, 1, cov=True)
    places = np.array([-1.0, 2.0, 6.0])
    design = np.stack([places, np.ones(3)])
    deviation = np.sqrt(np.einsum("ip,ij,jp->p", design, covariance, design))
    line, width = fitted_line(x, y, places)
    assert line == pytest.approx(np.polyval(coefficients, places))
    assert width == pytest.approx(3.182446305284263 * deviation)  # Student's t of three degrees of freedom
