"""Wrong use ends through LAMMPS's error functions, with a sentence that helps."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ase.build import bulk

from mhdnn.deploy.lammps.plugin import Lammps, lammps_at, plugin_path
from mhdnn.deploy.model_file import metadata_of, save_model
from mhdnn.errors import BuildError, ConfigError
from mhdnn.training.domain import fit_domain
from tests.builders import batch_of, model_settings, random_potential, structures
from tests.lammps.conftest import ELEMENTS
from tests.lammps.runs import SCRIPTS, Frame, header, run_lammps

RUN = "run 0\n"


def script_for(folder, model, style="", before="", elements="C Si", after=RUN, atoms=None, **changes):
    atoms = structures()["triclinic"] if atoms is None else atoms
    lines = header(Frame(atoms, sorted(set(atoms.symbols))), folder)
    for old, new in changes.items():
        lines = lines.replace(f"{old} ", f"{new} # ", 1)
    return lines + f"{before}\npair_style mhdnn {style}\npair_coeff * * {model} {elements}\n{after}"


def message(folder, script):
    result = run_lammps(folder, script, check=False)
    assert result.returncode != 0
    assert "Segmentation" not in result.stdout + result.stderr
    lines = [line for line in (result.stdout + result.stderr).splitlines() if line.startswith("ERROR")]
    assert lines, result.stdout + result.stderr
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"elements": "C Ge"}, "does not know element Ge of atom type 2; it was trained for C Si Sn"),
        ({"elements": "C"}, "expected `* * model.pt` and an element (or NULL) for each of the 2 atom types"),
        ({"style": "device gpu"}, "device: expected cpu or cuda, got gpu"),
        ({"style": "device cuda"}, "runs on the CPU; build it by `mhdnn lammps build torch=true`"),
        ({"style": "solver fast"}, "solver: expected auto or dense or iterative, got fast"),
        ({"style": "speed 11"}, "unknown keyword speed; expected device, dtype"),
        ({"style": "accuracy"}, "accuracy: a value is missing"),
        ({"style": "accuracy 3"}, "accuracy: expected a number between 1e-14 and 1e-2, got 3"),
        ({"before": "newton off"}, "needs `newton on`, got newton pair off"),
        ({"after": "neigh_modify exclude type 1 1\n" + RUN}, "`neigh_modify exclude type 1 1` takes neighbors away"),
    ],
)
def test_wrong_input(short_range_model, tmp_path, arguments, sentence):
    arguments = dict(arguments)
    script = script_for(tmp_path, short_range_model, **arguments)
    if arguments.get("before") == "newton off":  # before the box
        script = "newton off\n" + script.replace("newton off\n", "")
    assert sentence in message(tmp_path, script)


@pytest.mark.parametrize(
    ("style", "sentence"),
    [
        ("dtype float32", "has opened the model with dtype model and device cpu, now it is float32 and cpu; give"),
        ("device cuda", "has opened the model with dtype model and device cpu, now it is model and cuda; give"),
        ("total_charge 2", "total_charge: the model has no charges"),
        ("grade_limit 1e-6 stop", "grade_limit: the model doesn't know its errors"),
    ],
)
def test_settings_that_come_later(short_range_model, tmp_path, style, sentence):
    """A second `pair_style mhdnn` is checked as the first, and doesn't pretend to have opened the model again."""
    assert sentence in message(
        tmp_path, script_for(tmp_path, short_range_model, after=f"pair_style mhdnn {style}\n{RUN}")
    )


def test_precision_that_comes_later(short_range_model, tmp_path):
    after = f"run 0\npair_style mhdnn dtype float32\npair_coeff * * {short_range_model} C Si\n{RUN}"
    assert "float32, plain C++" in run_lammps(tmp_path, script_for(tmp_path, short_range_model, after=after)).stdout


def test_atom_that_flies_away(short_range_model, tmp_path):
    """Between two searches for neighbours, where LAMMPS itself doesn't look."""
    after = "group one id 1\nvariable fast atom exp(1000)\nset group one vx v_fast\nfix integrate all nve\n"
    after += "neigh_modify every 100 delay 100 check no\nrun 1\n"
    found = message(tmp_path, script_for(tmp_path, short_range_model, after=after))
    assert "position of atom 1 is not a number" in found


def test_units(short_range_model, tmp_path):
    script = script_for(tmp_path, short_range_model).replace("units metal", "units lj")
    assert "expected units metal or real, got lj" in message(tmp_path, script)


def test_missing_file(pair_style, tmp_path):
    assert "nowhere.pt: no such model file" in message(tmp_path, script_for(tmp_path, "nowhere.pt"))


def test_not_a_model(pair_style, tmp_path):
    (tmp_path / "other.pt").write_text("no TorchScript")
    assert "other.pt: not a model file" in message(tmp_path, script_for(tmp_path, "other.pt"))
    script = torch.jit.script(torch.nn.Linear(1, 1))
    torch.jit.save(script, str(tmp_path / "linear.pt"))
    assert "linear.pt: TorchScript without mhdnn's metadata" in message(tmp_path, script_for(tmp_path, "linear.pt"))


def test_model_of_another_version(pair_style, tmp_path):
    potential = random_potential(ELEMENTS)
    metadata = metadata_of(potential, model_settings(ELEMENTS), {}) | {"format_version": 1}
    save_model(potential, tmp_path / "old.pt", metadata)
    found = message(tmp_path, script_for(tmp_path, "old.pt"))
    assert "format version 1, this pair style reads 3 to 5; export the checkpoint again" in found


@pytest.mark.parametrize(
    ("style", "sentence"),
    [
        ("mhdnn", "KSpace style is incompatible with Pair style"),  # LAMMPS's own
        ("hybrid/overlay mhdnn coul/long 5.0", "computes its own long-range electrostatics; remove kspace_style"),
    ],
)
def test_charges_with_kspace(charge_model, tmp_path, style, sentence):
    script = header(Frame(structures()["triclinic"], ["C", "Si"]), tmp_path, atom_style="charge")
    script += f"set type 1 charge 0.1\npair_style {style}\n"
    for name in style.replace("hybrid/overlay ", "").split()[:-1] if "hybrid" in style else [""]:
        script += f"pair_coeff * * {name} {'' if name == 'coul/long' else f'{charge_model} C Si'}\n"
    assert sentence in message(tmp_path, script + f"kspace_style ewald 1e-4\n{RUN}")


def test_charges_of_a_wire(charge_model, tmp_path):
    script = script_for(tmp_path, charge_model, atoms=structures()["wire"])
    assert "one periodic direction are not supported" in message(tmp_path, script)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("short_range_model", "is not a number; look for atoms at the same place"),
        ("charge_model", "is not a number; look for atoms at the same place"),
    ],
)
def test_atoms_at_the_same_place(request, tmp_path, name, sentence):
    """No silent NaN: neither energies nor charges."""
    atoms = structures()["triclinic"]
    atoms.positions[1] = atoms.positions[0]
    found = message(tmp_path, script_for(tmp_path, request.getfixturevalue(name), atoms=atoms))
    assert sentence in found


@pytest.mark.parametrize("choice", ["off", "warn", "stop"])
def test_extrapolation(pair_style, tmp_path, choice):
    potential = random_potential(ELEMENTS)
    fit_domain(potential, [batch_of(*map(bulk, ["C", "Si"]))])
    save_model(potential, tmp_path / "narrow.pt", metadata_of(potential, model_settings(ELEMENTS), {}))
    after = 'compute own all pair mhdnn\nthermo_style custom step c_own[1]\nrun 0\nprint "COUNT $(c_own[1])"\n'
    script = script_for(tmp_path, "narrow.pt", f"extrapolation {choice}", after=after)
    if choice == "stop":
        assert "8 atoms at step 0 are outside the range of the training data" in message(tmp_path, script)
        return
    output = run_lammps(tmp_path, script).stdout
    assert f"COUNT {8 if choice == 'warn' else 0}" in output
    assert ("WARNING: pair_style mhdnn: 8 atoms" in output) == (choice == "warn")


@pytest.mark.slow
def test_plugin_of_another_lammps_is_refused(pair_style, tmp_path):
    """The same source built for another version says so, and nothing crashes."""
    from mhdnn.deploy.lammps.build import build_plugin
    from mhdnn.deploy.lammps.plugin import required_lammps

    mpi = f"-I{Path(sys.prefix) / 'include'}"
    other = build_plugin(Lammps(20240829, required_lammps().include), flags=mpi)
    result = run_lammps(tmp_path, f"plugin load {other}\n")
    expected = f"built for LAMMPS 20240829 and can't be used in LAMMPS {required_lammps().version}"
    assert expected in result.stdout + result.stderr


def test_versions_of_sources(tmp_path):
    (tmp_path / "pair.h").touch()
    (tmp_path / "version.h").write_text('#define LAMMPS_VERSION "4 Jul 2026"\n')
    assert lammps_at(tmp_path).version == 20260704
    assert plugin_path(lammps_at(tmp_path)) != plugin_path(Lammps(20250722, tmp_path))
    (tmp_path / "version.h").write_text("// nothing\n")
    with pytest.raises(ConfigError, match=r"has no version like 22 Jul 2025"):
        lammps_at(tmp_path)
    with pytest.raises(ConfigError, match=r"expected a folder with LAMMPS's headers"):
        lammps_at(tmp_path / "nowhere")


def test_lammps_asks_for_the_plugin_without_torch():
    code = "import sys; from mhdnn.deploy.lammps.plugin import folder; folder(); assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_command_without_a_plugin(tmp_path):
    (tmp_path / "pair.h").touch()
    (tmp_path / "version.h").write_text('#define LAMMPS_VERSION "1 Jan 2020"\n')
    command = [SCRIPTS / "mhdnn", "lammps", "path", f"include={tmp_path}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "has not been built for LAMMPS 20200101; run `mhdnn lammps build`" in result.stderr


def test_compiler_errors_are_shown(tmp_path):
    from mhdnn.deploy.lammps.build import build_plugin

    (tmp_path / "pair.h").touch()
    with pytest.raises(BuildError, match="no C\\+\\+ compiler was found"):
        build_plugin(Lammps(1, tmp_path), cxx=str(tmp_path / "no-compiler"))
    with pytest.raises(BuildError, match=r"unrecognized command.line option .--no-such-option"):
        build_plugin(Lammps(1, tmp_path), flags="--no-such-option")
    assert not list(Path(plugin_path(Lammps(1, tmp_path))).parent.glob("build-*"))


@pytest.mark.slow
def test_python_module_and_calculator_in_one_process(short_range_model, tmp_path):
    """LAMMPS's Python module finds the pair style; the operators are in the process once."""
    script = script_for(tmp_path, short_range_model)
    (tmp_path / "in.lammps").write_text(script)
    code = (
        "import ctypes, sys\n"
        "ctypes.CDLL(sys.prefix + '/lib/libmpi.so.12', ctypes.RTLD_GLOBAL)\n"
        "from lammps import lammps\nfrom mhdnn import MHDNNCalculator\n"
        "run = lammps(cmdargs=['-screen', 'none', '-log', 'none'])\nrun.file('in.lammps')\n"
        "from tests.builders import structures\n"
        "atoms = structures()['triclinic']\n"
        f"atoms.calc = MHDNNCalculator({str(short_range_model)!r})\n"
        "assert abs(run.get_thermo('pe') - atoms.get_potential_energy()) < 1e-10\n"
    )
    root = str(Path(__file__).parents[2])
    result = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {root!r})\n" + code],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
