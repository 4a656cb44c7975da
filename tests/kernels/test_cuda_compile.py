"""The CUDA sources under nvcc: whatever GPU the machine has."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from mhdnn.kernels.build import CUDA_SOURCES, SOURCE_FOLDER
from tests.kernels.emulation.library import FOLDER


def find_nvcc() -> str | None:
    homes = [Path(os.environ.get("CUDA_HOME", "")), Path("/usr/local/cuda")]
    candidates = [str(home / "bin" / "nvcc") for home in homes if (home / "bin" / "nvcc").is_file()]
    return next(iter(candidates), shutil.which("nvcc"))


NVCC = find_nvcc()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(NVCC is None, reason="no nvcc")]

TORCH_HEADERS = Path(torch.__file__).parent / "include"


def compile_to_object(source, output, architectures, *flags):
    targets = [f"-gencode=arch=compute_{number},code=sm_{number}" for number in architectures]
    command = [NVCC, "-c", "-O3", *targets, "-Werror=all-warnings", *flags, source, "-o", output]
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""


def test_kernels_without_torch(tmp_path):
    flags = ("-std=c++17", "-Xcompiler=-Wall,-Wextra", f"-I{SOURCE_FOLDER}")
    compile_to_object(FOLDER / "instances.cu", tmp_path / "instances.o", (80, 90), *flags)
    symbols = (tmp_path / "instances.o").read_bytes()
    for shape in (b"RadialShape", b"MomentShape", b"TripletShape", b"DensityShape", b"InvariantShape"):
        assert shape in symbols


def test_operators(tmp_path):
    """With torch's flags; a torch for the CPU has all headers but one, which its build for CUDA generates."""
    from torch.utils.cpp_extension import COMMON_NVCC_FLAGS

    flags = [*COMMON_NVCC_FLAGS, "-std=c++20", "-Xcompiler=-fPIC"]
    if not (TORCH_HEADERS / "c10/cuda/impl/cuda_cmake_macros.h").is_file():
        flags.append("-DC10_CUDA_NO_CMAKE_CONFIGURE_FILE")
    include = [f"-isystem={TORCH_HEADERS}", f"-isystem={TORCH_HEADERS}/torch/csrc/api/include"]
    for source in CUDA_SOURCES:
        compile_to_object(SOURCE_FOLDER / source, tmp_path / f"{source}.o", (80,), *flags, *include)
