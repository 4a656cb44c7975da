"""Time of molecular dynamics in LAMMPS, on one and two processes, short-ranged and with charges.

    python benchmarks/lammps.py [--output F.json] [--quick] [--torch]

- Silicon at 300 K: time of a step and its parts, neighbour lists as LAMMPS builds them, within 5.5 Å in float32.
  ``wide`` are the functions of benchmarks/descriptors.py with a network of 2 × 20 nodes; ``four_body`` (the default for
  one element), ``legendre`` and ``contracted`` are the shipped sets with the shipped network. Networks are not trained:
  their output is made so small that atoms fly freely, at the cost of any other. ``guarded`` is the time of a step with
  the test of the training data on (``extrapolation warn``), from which the others leave it out. ``operators`` is the
  time of the same energies and forces for pairs that are there already, in Python on one thread, in the same run, and
  ``network`` its part without functions; ``overhead`` is what LAMMPS's pair time (one process) exceeds ``operators``
  by.
- Graphene of 18 and 162 atoms with the model of `mhdnn train experiment=sn_graphene`, untrained: small systems.
- Rock salt with charge equilibration (accuracy 1e-6), warm steps.
- Zinc oxide (wurtzite, 4224 atoms) with charge equilibration; ``reaxff`` is the time of ``pair_style reaxff`` with
  ``fix qeq/reaxff`` (tolerance 1e-6, 0.5 fs) for the same atoms, with LAMMPS's own ffield.reax.ZnOH.

With ``--torch`` the pair style with libtorch runs beside, on one process (``libtorch``).
Every process has one thread; ``threads`` is the time of one process with two. Efficiency is the time of one process
over twice that of two. ``ase`` is the time of the same steps by velocity Verlet in ASE, with one thread,
``ase_threads`` with two.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms, units
from ase.build import bulk, graphene, make_supercell
from ase.io import write
from ase.md.verlet import VelocityVerlet
from descriptor_systems import (
    SILICON_CUTOFF,
    System,
    default_settings,
    descriptor_settings,
    network_settings,
    silicon,
)
from rich.console import Console
from rich.table import Table
from timing import repeat

from mhdnn.deploy.calculator import MHDNNCalculator
from mhdnn.deploy.lammps.build import build_plugin
from mhdnn.deploy.lammps.plugin import required_lammps
from mhdnn.deploy.model_file import load_model, metadata_of, save_model
from mhdnn.factory import build_potential
from mhdnn.potential import forces_from_pairs
from mhdnn.properties.velocities import thermal_momenta
from mhdnn.training.initialization import fit_scaling

SCRIPTS = Path(sys.executable).parent
SILICON_REPEATS = (5, 10, 14, 18)
SHIPPED = ("four_body", "legendre", "contracted")
SHIPPED_REPEATS = 10
"""Size of the crystal for the shipped sets of functions."""
SALT_REPEATS = (4, 8, 11)
GRAPHENE_REPEATS = (3, 9)
GRAPHENE_ELEMENTS, GRAPHENE_CUTOFF = [3, 6, 50], 6.4
UNGUARDED = "extrapolation off"
QUIET = 1e-6
"""Scale of the networks' outputs: no forces to speak of."""
COLUMNS = (
    "system", "functions", "num_atoms", "ranks", "us_per_atom_step", "threads", "libtorch", "guarded", "pair", "neigh",
    "comm", "operators", "network", "overhead", "efficiency", "ase", "ase_threads", "reaxff",
)  # fmt: skip
INPUT = """\
units metal
atom_style {atom_style}
read_data atoms.data
pair_style mhdnn {style}
pair_coeff * * {model} {elements}
neighbor 1.0 bin
neigh_modify every 1 delay 0 check yes
velocity all create 300 4711
fix integrate all nve
timestep 0.001
run {warm}
run {steps}
"""
REAXFF = """\
units real
atom_style charge
read_data atoms.data
pair_style reaxff NULL
pair_coeff * * {parameters} {elements}
neighbor 2.0 bin
neigh_modify every 10 delay 0 check no
velocity all create 300 4711
fix integrate all nve
fix charges all qeq/reaxff 1 0.0 10.0 1.0e-6 reaxff
timestep 0.5
run {warm}
run {steps}
"""
console = Console()
console.width = max(console.width, 130)  # in files, too


@dataclass(frozen=True)
class Case:
    """Atoms and a model file for them."""

    system: str
    functions: str
    atoms: Atoms
    model: Path
    charges: bool
    steps: int


def model_settings(atoms: Atoms, charges: bool, functions: str = "wide") -> dict[str, Any]:
    """Of the functions of the other benchmarks ("wide") or a shipped set, and the network that belongs to them."""
    settings = {
        "atomic_numbers": sorted(set(atoms.numbers.tolist())),
        "cutoff": SILICON_CUTOFF,
        "dtype": "float32",
        "descriptor": default_settings("descriptor", functions),
        "network": default_settings("network", "shared"),
    }
    if functions == "wide":
        settings["descriptor"] = descriptor_settings("silicon", "wide", SILICON_CUTOFF)
        settings["network"] = network_settings()
    if not charges:
        return settings
    own = {"widths": "covalent", "initial_hardness": 8.0, "screening": None, "accuracy": 1e-6}
    return {**settings, "charges": {**own, "network": network_settings()}}


def graphene_settings() -> dict[str, Any]:
    """Of the bundled set's experiment."""
    own = {"atomic_numbers": GRAPHENE_ELEMENTS, "cutoff": GRAPHENE_CUTOFF, "dtype": "float32"}
    descriptor, network = default_settings("descriptor", "contracted"), default_settings("network", "shared")
    return {**own, "descriptor": descriptor, "network": network}


def write_model(atoms: Atoms, charges: bool, path: Path, settings: dict[str, Any]) -> None:
    """A model with random weights and hardly any short-range energy."""
    torch.manual_seed(0)
    potential = build_potential(settings)
    fit_scaling(potential, [System("", atoms, settings["cutoff"]).batch])
    potential.short_range.network.output_scale.fill_(QUIET)
    if charges:
        with torch.no_grad():
            potential.charge_model.electronegativity_shift.copy_(torch.tensor([-1.0, 1.0]))
    save_model(potential, path, metadata_of(potential, settings, {}))


def run(case: Case, ranks: int, folder: Path, style: str = UNGUARDED, threads: int = 1) -> dict[str, Any]:
    """Steps in LAMMPS; microseconds for each atom and step.

    :param style: arguments of the pair style
    """
    atom_style = "charge" if case.charges else "atomic"
    write(folder / "atoms.data", case.atoms, format="lammps-data", atom_style=atom_style, masses=True)
    elements = " ".join(sorted(set(case.atoms.symbols)))
    script = INPUT.format(
        atom_style=atom_style, style=style, model=case.model, elements=elements, **numbers_of_steps(case)
    )
    return run_script(case, script, ranks, folder, threads)


def numbers_of_steps(case: Case) -> dict[str, int]:
    return {"warm": max(3, case.steps // 5), "steps": case.steps}


def run_script(case: Case, script: str, ranks: int, folder: Path, threads: int = 1) -> dict[str, Any]:
    """Its last run; microseconds for each atom and step."""
    (folder / "in.lammps").write_text(script)
    command = [SCRIPTS / "mpiexec", "-n", str(ranks), SCRIPTS / "lmp", "-in", "in.lammps", "-log", "none"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    if result.returncode:
        raise RuntimeError(result.stdout[-2000:] + result.stderr[-2000:])
    last = result.stdout[result.stdout.rindex("Loop time") :]
    scale = 1e6 / (len(case.atoms) * case.steps)
    parts = {name: float(value) * scale for name, value in re.findall(r"^(\w+) +\|[^|]+\| ([\d.e+-]+)", last, re.M)}
    loop = float(re.match(r"Loop time of ([\d.e+-]+)", last)[1]) * scale
    return {
        "system": case.system,
        "functions": case.functions,
        "num_atoms": len(case.atoms),
        "charges": case.charges,
        "ranks": ranks,
        "us_per_atom_step": loop,
        **{name.lower(): parts[name] for name in ("Pair", "Neigh", "Comm")},
    }


def operators_alone(case: Case, system: System, budget: float) -> dict[str, float]:
    """Energies and forces of the model for given pairs, and its network, microseconds for each atom, on one thread."""
    script, _ = load_model(case.model)
    geometry, vectors = system.geometry, system.vectors
    pairs = (geometry.center_index, geometry.neighbor_index)
    torch.set_num_threads(1)
    element = script.element_index(geometry.atomic_numbers)
    functions = script.symmetry_functions(vectors, *pairs, element, geometry.num_atoms)

    def energy_and_forces() -> tuple[torch.Tensor, torch.Tensor]:
        leaf = vectors.detach().requires_grad_()
        energy = script(leaf, *pairs, geometry.atomic_numbers).sum()
        (gradient,) = torch.autograd.grad(energy, leaf)
        return energy, forces_from_pairs(gradient, *pairs, geometry.num_atoms)

    def network() -> torch.Tensor:
        leaf = functions.detach().requires_grad_()
        return torch.autograd.grad(script.energies_of(script.scaled(leaf), element, None).sum(), leaf)[0]

    scale = 1e6 / len(case.atoms)
    return {
        "operators": scale * repeat(energy_and_forces, budget).fastest,
        "network": scale * repeat(network, budget).fastest,
    }


def measure_silicon(
    repeats: int, chosen: argparse.Namespace, folder: Path, functions: str = "wide"
) -> list[dict[str, Any]]:
    system = silicon(repeats)
    model = folder / f"silicon_{functions}.pt"
    if not model.exists():
        atoms = silicon(3).atoms
        write_model(atoms, False, model, model_settings(atoms, False, functions))
    num_atoms = len(system.atoms)
    steps = 10 if chosen.quick else max(20, 800_000 // num_atoms)
    case = Case("silicon", functions, system.atoms, model, False, steps)
    alone = operators_alone(case, system, 0.5 if chosen.quick else 3.0)
    one, two = (run(case, ranks, folder) for ranks in (1, 2))
    guarded = run(case, 1, folder, "extrapolation warn")["us_per_atom_step"]
    one |= {"guarded": guarded, **alone, "overhead": one["pair"] / alone["operators"] - 1.0}
    one |= with_threads(case, folder) | with_libtorch(case, chosen, folder)
    two["efficiency"] = one["us_per_atom_step"] / (2.0 * two["us_per_atom_step"])
    return [one, two]


def with_threads(case: Case, folder: Path) -> dict[str, float]:
    """Microseconds for each atom and step of one process with two threads, and those in ASE with one and two."""
    in_lammps = run(case, 1, folder, threads=2)["us_per_atom_step"]
    return {"threads": in_lammps, "ase": time_in_ase(case, 1), "ase_threads": time_in_ase(case, 2)}


def time_in_ase(case: Case, threads: int) -> float:
    """Microseconds for each atom and step of velocity Verlet in ASE."""
    torch.set_num_threads(threads)
    try:
        return _time_in_ase(case)
    finally:
        torch.set_num_threads(1)


def _time_in_ase(case: Case) -> float:
    atoms = case.atoms.copy()
    atoms.calc = MHDNNCalculator(case.model, extrapolation="off")
    atoms.set_momenta(thermal_momenta(atoms, 300.0, np.random.default_rng(0)))
    integrator = VelocityVerlet(atoms, 1.0 * units.fs)
    steps = numbers_of_steps(case)
    integrator.run(steps["warm"])
    begin = time.perf_counter()
    integrator.run(steps["steps"])
    return 1e6 * (time.perf_counter() - begin) / (len(atoms) * steps["steps"])


def with_libtorch(case: Case, chosen: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Microseconds for each atom and step of the other pair style, if it is asked for."""
    if not chosen.torch:
        return {}
    build_plugin(torch=True)  # the one that was built last is found
    try:
        return {"libtorch": run(case, 1, folder)["us_per_atom_step"]}
    finally:
        build_plugin()


def measure_graphene(repeats: int, chosen: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    atoms = graphene(size=(1, 1, 1), vacuum=8.0)
    atoms.pbc = True
    atoms = atoms.repeat((repeats, repeats, 1))
    model = folder / "graphene.pt"
    if not model.exists():
        write_model(atoms, False, model, graphene_settings())
    case = Case("graphene", "contracted", atoms, model, False, 100 if chosen.quick else 200_000 // len(atoms))
    return [run(case, 1, folder) | with_threads(case, folder) | with_libtorch(case, chosen, folder)]


def measure_salt(repeats: int, chosen: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True).repeat(repeats)
    atoms.rattle(0.1, seed=0)
    model = folder / "salt.pt"
    if not model.exists():
        write_model(atoms, True, model, model_settings(atoms, True))
    case = Case("rock salt", "wide", atoms, model, True, 2 if chosen.quick else max(20, 100_000 // len(atoms)))
    one, two = (run(case, ranks, folder) for ranks in (1, 2))
    one |= with_threads(case, folder) | with_libtorch(case, chosen, folder)
    two["efficiency"] = one["us_per_atom_step"] / (2.0 * two["us_per_atom_step"])
    return [one, two]


def measure_zinc_oxide(chosen: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    cell = make_supercell(bulk("ZnO", "wurtzite", a=3.25, c=5.207, u=0.382), [[1, 0, 0], [1, 2, 0], [0, 0, 1]])
    atoms = cell.repeat((11, 6, 8))
    atoms.rattle(0.05, seed=0)
    model = folder / "zinc_oxide.pt"
    write_model(atoms.copy(), True, model, model_settings(atoms, True))
    case = Case("zinc oxide", "wide", atoms, model, True, 2 if chosen.quick else 25)
    one = run(case, 1, folder)
    parameters = required_lammps().include.parents[1] / "share/lammps/potentials/ffield.reax.ZnOH"
    elements = " ".join(sorted(set(atoms.symbols)))
    script = REAXFF.format(parameters=parameters, elements=elements, **numbers_of_steps(case))
    return [one | {"reaxff": run_script(case, script, 1, folder)["us_per_atom_step"]}]


def show(records: list[dict[str, Any]]) -> None:
    table = Table(*COLUMNS)
    for record in records:
        row = [record.get(column, "") for column in COLUMNS]
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row))
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--quick", action="store_true", help="few atoms and steps")
    parser.add_argument("--torch", action="store_true", help="the pair style with libtorch, too")
    chosen = parser.parse_args()
    build_plugin()
    records: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for repeats in SILICON_REPEATS[:1] if chosen.quick else SILICON_REPEATS:
            records += measure_silicon(repeats, chosen, folder)
        for functions in SHIPPED:
            records += measure_silicon(SHIPPED_REPEATS, chosen, folder, functions)
        for repeats in GRAPHENE_REPEATS:
            records += measure_graphene(repeats, chosen, folder)
        for repeats in SALT_REPEATS[:1] if chosen.quick else SALT_REPEATS:
            records += measure_salt(repeats, chosen, folder)
        records += measure_zinc_oxide(chosen, folder)
    show(records)
    if chosen.output:
        chosen.output.write_text(json.dumps(records, indent=1))


if __name__ == "__main__":
    main()
