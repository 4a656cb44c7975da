"""The kernels and model files in C++ programs."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from mhdnn.deploy.model_file import load_model, metadata_of, save_model
from mhdnn.kernels import load_operators
from mhdnn.kernels.build import SOURCE_FOLDER
from tests.builders import behler_settings, geometry_of, model_settings, random_potential, structures
from tests.tolerances import ROUND_OFF

PROGRAMS = Path(__file__).parent / "cpp"
COMPILER = shutil.which("g++") or shutil.which("clang++")
pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")


def run(*command, **options):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["check_kernels", "check_contracted"])
def test_kernels_under_sanitizers(tmp_path, name):
    """Values and derivatives of the CPU kernels, with address and undefined-behaviour checks."""
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    program = tmp_path / name
    flags = ["-std=c++17", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-Wno-psabi", f"-I{SOURCE_FOLDER}"]
    run(COMPILER, *flags, *sanitizers, PROGRAMS / f"{name}.cpp", "-o", program)
    assert "0 failures" in run(program)


def compile_loader(program):
    library = load_operators().library
    torch_folder = Path(torch.__file__).parent
    include = torch_folder / "include"
    run(
        COMPILER, "-std=c++20", "-O0", f"-I{include}", f"-I{include}/torch/csrc/api/include",
        f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}",
        PROGRAMS / "load_model.cpp", "-o", program, "-Wl,--no-as-needed", library, f"-Wl,-rpath,{library.parent}",
        f"-L{torch_folder}/lib", f"-Wl,-rpath,{torch_folder}/lib", "-ltorch", "-ltorch_cpu", "-lc10",
    )  # fmt: skip


@pytest.mark.slow
def test_model_file_in_a_cpp_program(tmp_path):
    if load_operators().kind != "compiled":
        pytest.skip("no compiler: the operators are plain torch here")
    elements = [6, 14, 50]
    angular = {"wide": behler_settings("wide"), "narrow": behler_settings("narrow")}
    settings = model_settings(elements, angular=angular)
    potential = random_potential(elements, angular=angular)
    save_model(potential, tmp_path / "model.pt", metadata_of(potential, settings, {}))
    geometry = geometry_of(structures()["triclinic"])
    vectors = geometry.pair_vectors()
    lines = [f"{geometry.num_atoms} {len(vectors)}", " ".join(map(str, geometry.atomic_numbers.tolist()))]
    for center, neighbor, vector in zip(
        geometry.center_index.tolist(), geometry.neighbor_index.tolist(), vectors.tolist(), strict=True
    ):
        lines.append(f"{center} {neighbor} " + " ".join(repr(x) for x in vector))
    compile_loader(tmp_path / "load_model")
    output = run(tmp_path / "load_model", tmp_path / "model.pt", input="\n".join(lines))
    found = np.array(output.split(), dtype=np.float64)

    vectors.requires_grad_()
    script, _ = load_model(tmp_path / "model.pt")
    energies = script(vectors, geometry.center_index, geometry.neighbor_index, geometry.atomic_numbers)
    (gradient,) = torch.autograd.grad(energies.sum(), vectors)
    expected = np.concatenate([energies.detach().numpy(), gradient.numpy().ravel()])
    np.testing.assert_allclose(found, expected, rtol=0, atol=ROUND_OFF * np.abs(expected).max())
