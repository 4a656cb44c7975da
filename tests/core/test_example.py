"""The example program in C: compiled as it says, and its numbers."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from mhdnn import MHDNNCalculator
from mhdnn.compilation import compiler, threads
from mhdnn.deploy.core_library import build
from mhdnn.deploy.lammps.plugin import CORE_FOLDER, KERNEL_FOLDER
from mhdnn.deploy.model_file import metadata_of, save_model
from tests.builders import charge_settings, random_charge_potential, structures
from tests.core.library import run
from tests.core.test_models import ELEMENTS, model_with

COMPILER = shutil.which("cc") or shutil.which("gcc")


@pytest.fixture(scope="module")
def program(core, tmp_path_factory):
    if COMPILER is None:
        pytest.skip("no C compiler")
    path = tmp_path_factory.mktemp("example") / "example"
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{CORE_FOLDER}"]
    run([COMPILER, *flags, str(CORE_FOLDER / "example.c"), str(build()), f"-Wl,-rpath,{build().parent}", "-lm",
         *threads(), "-o", str(path)])  # fmt: skip
    return path


def printed(program, model, atoms):
    lines = [str(len(atoms)), *(" ".join(map(repr, row)) for row in atoms.cell[:].tolist())]
    lines += [f"{n} {' '.join(map(repr, r))}" for n, r in zip(atoms.numbers, atoms.positions.tolist(), strict=True)]
    return subprocess.run([program, model], input="\n".join(lines), capture_output=True, text=True, check=False)


@pytest.mark.parametrize("charges", [False, True])
def test_same_as_in_ase(program, tmp_path, charges):
    path = tmp_path / "model.pt"
    if charges:
        potential = random_charge_potential(ELEMENTS)
        save_model(potential, path, metadata_of(potential, charge_settings(ELEMENTS), {}))
    else:
        model_with(path, {})
    atoms = structures()["triclinic"]
    result = printed(program, path, atoms)
    assert result.returncode == 0, result.stderr
    energy, virial, *forces = (line.split()[1:] for line in result.stdout.splitlines())
    atoms.calc = MHDNNCalculator(path, extrapolation="off")
    relative = 1e-10 if charges else 1e-12
    assert float(energy[0]) == pytest.approx(atoms.get_potential_energy(), rel=relative)
    expected = atoms.get_forces()
    found = np.array([row[:3] for row in forces], dtype=float)
    np.testing.assert_allclose(found, expected, rtol=0, atol=relative * np.abs(expected).max())
    stress = atoms.get_stress() * atoms.get_volume()
    np.testing.assert_allclose(np.array(virial[:6], dtype=float), stress, rtol=0, atol=relative * np.abs(stress).max())


@pytest.mark.parametrize("cells", [2, -3])
def test_atoms_outside_the_cell(program, tmp_path, cells):
    path = model_with(tmp_path / "model.pt", {})
    atoms = structures()["triclinic"]
    inside = printed(program, path, atoms).stdout
    atoms.positions[0] += cells * atoms.cell[0] - atoms.cell[2]
    outside = printed(program, path, atoms).stdout
    found, expected = (
        np.array(re.findall(r"-?[0-9.]+(?:e-?[0-9]+)?", text), dtype=float) for text in (outside, inside)
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


def test_cell_without_a_volume(program, tmp_path):
    atoms = structures()["triclinic"]
    atoms.cell[2] = atoms.cell[1]
    result = printed(program, model_with(tmp_path / "model.pt", {}), atoms)
    assert result.returncode == 1
    assert "its vector is not a number" in result.stderr


def test_core_has_no_warnings():
    command = compiler()
    if command is None:
        pytest.skip("no C++ compiler")
    flags = ["-std=c++17", "-fsyntax-only", "-fopenmp", "-Wall", "-Wextra", "-Werror", "-Wno-psabi"]
    for source in sorted(CORE_FOLDER.rglob("*.cpp")):
        run([command, *flags, f"-I{CORE_FOLDER}", f"-I{KERNEL_FOLDER}", str(source)])


def test_errors_are_told(program, tmp_path):
    result = printed(program, tmp_path / "nowhere.pt", structures()["tiny"])
    assert result.returncode == 1
    assert "nowhere.pt: no such model file" in result.stderr
