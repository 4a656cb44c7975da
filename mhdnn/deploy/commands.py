"""The commands about model files and the LAMMPS pair style; torch is loaded by those alone that need it."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from mhdnn.deploy.lammps.build import build_plugin
from mhdnn.deploy.lammps.package import write_package
from mhdnn.deploy.lammps.plugin import existing_plugin, lammps_at


def export(checkpoint: Path, output: Path) -> None:
    """Model file from a checkpoint of a training, or from a model file of an older version.

    :param checkpoint: such as checkpoints/best.ckpt, or an older model.pt
    :param output: path of the model file
    """
    from mhdnn.deploy.export import export_checkpoint

    Console().print(f"model: {export_checkpoint(checkpoint, output)}", soft_wrap=True)


def import_hdnnp(
    folder: Path,
    output: Path,
    length_unit: str = "bohr",
    energy_unit: str = "hartree",
    short_range: bool = True,
    accuracy: float = 1e-10,
) -> None:
    """Model file from the folder of a potential of n2p2 or RuNNer.

    :param folder: with input.nn, scaling.data and weights
    :param output: path of the model file
    :param length_unit: of the files: bohr or angstrom
    :param energy_unit: of the files: hartree or ev
    :param short_range: false: with charges only, short-range energies are zero
    :param accuracy: of the sums over periodic images of charges, relative
    """
    from mhdnn.deploy.hdnnp.importing import import_potential

    path = import_potential(folder, output, length_unit, energy_unit, short_range, accuracy)
    Console().print(f"model: {path}", soft_wrap=True)


def build_pair_style(
    include: Path | None = None, compiler: str | None = None, flags: str = "", torch: bool = False
) -> None:
    """Compile the LAMMPS pair style; prints its path.

    :param include: folder with the headers of a LAMMPS of your own (its src)
    :param compiler: of C++, such as mpicxx
    :param flags: further flags for the compiler
    :param torch: with libtorch, for GPUs (device cuda)
    """
    print(build_plugin(lammps_at(include) if include else None, compiler, flags, torch))


def find_pair_style(
    include: Path | None = None, compiler: str | None = None, flags: str = "", torch: bool = False
) -> None:
    """Print the path of the LAMMPS pair style that has been compiled.

    :param include: folder with the headers of a LAMMPS of your own (its src)
    :param compiler: that it was compiled with
    :param flags: that it was compiled with
    :param torch: whether libtorch is in it
    """
    print(existing_plugin(lammps_at(include) if include else None, compiler, flags, torch))


def copy_package(folder: Path) -> None:
    """Write the sources of the LAMMPS pair style as a package of LAMMPS.

    :param folder: new, such as /path/to/lammps/src/MHDNN; the README in it says how LAMMPS is compiled with it
    """
    print(write_package(folder))
