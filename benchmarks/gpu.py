"""Times on a GPU (or, to try the script, on the CPU): one JSON file and one table in Markdown.

    python benchmarks/gpu.py --output FOLDER [--device cuda|cpu] [--seconds 180] [--quick]

- energy and forces from pair vectors: silicon, 5.5 Å, from two thousand to two million atoms, wide, legendre and narrow
  functions as in benchmarks/descriptors.py, four_body (default of one element) and contracted (of more) as shipped
- a step of molecular dynamics: neighbour search on the device (benchmarks/gpu_neighbors.py), energy, forces, Verlet
- charges, energy and forces of rock salt with charge equilibration
- an epoch of `mhdnn train experiment=sn_graphene`

- TorchANI's functions in its CUDA kernels (benchmarks/gpu_peers.py), where they are installed
- a step of LAMMPS with ``device cuda`` (benchmarks/gpu_lammps.py), where it is installed: neighbour lists and sums over
  pairs are made by one process on the CPU

Microseconds for each atom, median of repeated runs, the device waited for. Beside them the least time that moving the
data takes: pair vectors and their gradient, indices and functions once, at the bandwidth that copying a tensor reaches
here; and the least time of the arithmetic (benchmarks/gpu_operations.py) at the rate of a product of matrices in that
precision, without TF32. What doesn't fit into the memory is said.
"""

from __future__ import annotations

import argparse
import functools
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gpu_lammps
import numpy as np
import torch
from ase.build import bulk
from descriptor_systems import LATTICE_CONSTANT, default_settings, descriptor_settings, network_settings
from gpu_neighbors import DevicePairs, pairs_on_device
from gpu_operations import operations, operations_per_second
from gpu_peers import energy_and_forces as energy_and_forces_of_peer
from gpu_peers import is_there
from timing import repeat

import mhdnn
from mhdnn.data.dataset import collate
from mhdnn.factory import build_potential
from mhdnn.kernels import operator_state
from mhdnn.neighbors import find_pairs
from mhdnn.potential import DTYPES, Potential, forces_from_pairs
from mhdnn.prediction import predict
from mhdnn.structure import Structure

HERE = Path(__file__).resolve().parent
Record = dict[str, Any]
CUTOFF = 5.5
REPEATS, QUICK_REPEATS = (6, 16, 40, 50, 63), (4,)
SALT_REPEATS, QUICK_SALT_REPEATS = (4, 8, 12), (2,)
LAMMPS_REPEATS = (10, 25)
PEER_REPEATS = (16, 40)
METHODS = ("four_body", "contracted", "legendre", "wide", "narrow")
SHIPPED = ("four_body", "contracted")  # with the network of the default
MASS = 28.085 * 103.64269  # of silicon, eV fs²/Å²


def crystal(repeats: int, device: str, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions of silicon, displaced as at room temperature, and lengths of the box."""
    cell = torch.tensor(bulk("Si", cubic=True, a=LATTICE_CONSTANT).positions, device=device)
    shifts = torch.cartesian_prod(*[torch.arange(repeats, device=device)] * 3) * LATTICE_CONSTANT
    generator = torch.Generator(device).manual_seed(0)
    positions = (shifts[:, None] + cell).reshape(-1, 3)
    noise = torch.randn(positions.shape, device=device, generator=generator, dtype=positions.dtype)
    return (positions + 0.08 * noise).to(dtype), torch.full((3,), repeats * LATTICE_CONSTANT, device=device).to(dtype)


def random_potential(method: str, dtype: str, device: str) -> Potential:
    torch.manual_seed(0)
    shipped = method in SHIPPED
    settings = {
        "atomic_numbers": [14], "cutoff": CUTOFF, "dtype": dtype,
        "descriptor": default_settings("descriptor", method) if shipped
        else descriptor_settings("silicon", method, CUTOFF),
        "network": default_settings("network", "shared") if shipped else network_settings(),
    }  # fmt: skip
    potential = build_potential(settings).requires_grad_(False).to(device)
    potential.function_scale.fill_(0.1)
    return potential


def energy_and_forces(potential: Potential, pairs: DevicePairs, num_atoms: int) -> Callable[[], torch.Tensor]:
    numbers = torch.full((num_atoms,), 14, device=pairs.vectors.device)

    def evaluate() -> torch.Tensor:
        leaf = pairs.vectors.detach().requires_grad_()
        energy = potential(leaf, pairs.center_index, pairs.neighbor_index, numbers).sum()
        (gradient,) = torch.autograd.grad(energy, leaf)
        return forces_from_pairs(gradient, pairs.center_index, pairs.neighbor_index, num_atoms)

    return evaluate


def timed(function: Callable[[], object], device: str, budget: float) -> float:
    """Seconds of a run, the device waited for."""

    def run() -> None:
        function()
        if device == "cuda":
            torch.cuda.synchronize()

    return repeat(run, budget).median


def bandwidth(device: str, megabytes: int) -> float:
    """Bytes that copying a tensor moves in a second, read and written."""
    source = torch.zeros(megabytes * 2**18, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / timed(lambda: target.copy_(source), device, 0.3)


def arithmetic_rates(device: str, size: int) -> dict[str, float]:
    """Operations in a second, by precision."""
    rates = {}
    for name, dtype in DTYPES.items():
        matrix = torch.randn(size, size, device=device, dtype=dtype)
        rates[name] = operations_per_second(size, timed(lambda m=matrix: m @ m, device, 0.2))
    return rates


def least_bytes(pairs: DevicePairs, num_atoms: int, num_functions: int) -> int:
    """Pair vectors and their gradient, both indices, functions and their gradient, forces: each once."""
    size = pairs.vectors.element_size()
    return len(pairs.vectors) * (6 * size + 16) + num_atoms * size * (2 * num_functions + 3)


def short_range(
    device: str, repeats: tuple[int, ...], budget: float, speed: float, rates: dict[str, float]
) -> Iterator[Record]:
    """Energy and forces, and steps of molecular dynamics."""
    for dtype in DTYPES:
        for number in repeats:
            positions, lengths = crystal(number, device, DTYPES[dtype])
            pairs = pairs_on_device(positions, lengths, CUTOFF)
            for method in METHODS:
                head = {"method": method, "dtype": dtype, "atoms": len(positions)}
                potential = random_potential(method, dtype, device)
                least = least_bytes(pairs, len(positions), potential.descriptor.num_functions) / speed
                count = operations(potential, len(pairs.vectors) / len(positions))
                if count is not None:
                    head["least_arithmetic_us_per_atom"] = 1e6 * count / rates[dtype]
                evaluate = energy_and_forces(potential, pairs, len(positions))
                yield _record("energy and forces", head, lambda f=evaluate: timed(f, device, budget), least)
                if method in SHIPPED and dtype == "float32":
                    step = md_step(potential, positions.clone(), lengths)
                    yield _record("step of molecular dynamics", head, lambda f=step: timed(f, device, budget), least)


def peers(device: str, repeats: tuple[int, ...], budget: float) -> Iterator[Record]:
    """Other programs that are installed, with as many atoms as their memory allows easily."""
    for number in repeats if is_there(device) else ():
        positions, lengths = crystal(number, device, torch.float32)
        pairs = pairs_on_device(positions, lengths, CUTOFF)
        head = {"method": "TorchANI (27)", "dtype": "float32", "atoms": len(positions)}
        evaluate = energy_and_forces_of_peer(positions, pairs, 14, CUTOFF)
        yield _record("energy and forces", head, lambda f=evaluate: timed(f, device, budget))


def lammps_steps(device: str, repeats: tuple[int, ...]) -> Iterator[Record]:
    """Shipped functions in LAMMPS."""
    for number in repeats if device == "cuda" and gpu_lammps.is_there() else ():
        for method in SHIPPED:
            head = {"method": method, "dtype": "float32", "atoms": 8 * number**3}
            seconds = functools.partial(gpu_lammps.seconds_of_a_step, method, number, device)
            yield _record("step of LAMMPS with `device cuda`", head, seconds)


def md_step(potential: Potential, positions: torch.Tensor, lengths: torch.Tensor) -> Callable[[], None]:
    """A step of 1 fs with a neighbour search; the network is not trained, its forces are made small."""
    velocities = torch.zeros_like(positions)

    def step() -> None:
        pairs = pairs_on_device(positions, lengths, CUTOFF)
        forces = 1e-3 * energy_and_forces(potential, pairs, len(positions))()
        velocities.add_(forces, alpha=1.0 / MASS)
        positions.add_(velocities)

    return step


def _record(what: str, head: Record, measure: Callable[[], float], least: float | None = None) -> Record:
    record = {"what": what, **head}
    try:
        seconds = measure()
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return {**record, "failed": "does not fit into the memory"}
    except RuntimeError as error:  # of an operation that the device doesn't have
        return {**record, "failed": str(error).splitlines()[0]}
    per_atom = {"us_per_atom": 1e6 * seconds / head["atoms"]} if head.get("atoms") else {"seconds": seconds}
    return {**record, **per_atom, **({"least_us_per_atom": 1e6 * least / head["atoms"]} if least else {})}


def salt(device: str, repeats: tuple[int, ...], budget: float) -> Iterator[Record]:
    """Rock salt with charge equilibration."""
    torch.manual_seed(0)
    settings = {
        "atomic_numbers": [11, 17], "cutoff": 5.0, "dtype": "float32",
        "descriptor": default_settings("descriptor", "contracted"),
        "network": default_settings("network", "shared"),
        "charges": default_settings("charges", "equilibration"),
    }  # fmt: skip
    potential = build_potential(settings).requires_grad_(False).to(device)
    for number in repeats:
        atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True) * (number, number, number)
        atoms.rattle(0.05, seed=0)
        structure = Structure(
            atoms.numbers.astype(np.int64), atoms.positions, atoms.cell[:], atoms.pbc, total_charge=0.0
        )
        pairs = find_pairs(atoms.positions, atoms.cell[:], atoms.pbc, 5.0)
        geometry = collate([(0, structure, pairs)]).geometry.to(device)
        head = {"method": "equilibration", "dtype": "float32", "atoms": len(atoms)}
        what = "charges, energy and forces, without neighbour search"
        yield _record(what, head, lambda g=geometry: timed(lambda: predict(potential, g), device, budget))


def training_epoch(device: str, epochs: int, overrides: list[str]) -> Record:
    """Seconds of an epoch, median of those after the first."""

    def seconds() -> float:
        with tempfile.TemporaryDirectory() as folder:
            accelerator = "gpu" if device == "cuda" else "cpu"
            result = Path(folder) / "times.json"
            command = [
                sys.executable, str(HERE / "training_run.py"), str(result), str(torch.get_num_threads()),
                "experiment=sn_graphene", f"trainer.max_epochs={1 + epochs}", f"trainer.accelerator={accelerator}",
                "trainer.devices=1", f"hydra.run.dir={folder}/run", "report=false",
                "trainer.enable_progress_bar=false", *overrides,
            ]  # fmt: skip
            run = subprocess.run(command, capture_output=True, text=True, check=False)
            if not result.is_file():
                raise RuntimeError((run.stderr.strip() or "training failed").splitlines()[-1])
            return statistics.median(json.loads(result.read_text())["epoch_seconds"][1:])

    return _record("epoch of training", {"method": "contracted", "dtype": "float32"}, seconds)


def machine(device: str, speed: float) -> Record:
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine(),
        "torch": torch.__version__, "cuda": torch.version.cuda if device == "cuda" else None,
        "mhdnn": mhdnn.__version__, "operators": operator_state().kind, "threads": torch.get_num_threads(),
        "copied_gigabytes_per_second": speed / 1e9,
    }  # fmt: skip


def markdown(about: Record, records: list[Record]) -> str:
    """The table; times in µs/atom, of trainings in seconds."""
    rows = [
        "| what | functions | precision | atoms | time | least for the data, for the arithmetic |",
        "|---|---|---|---|---|---|",
    ]
    for record in records:
        found = f"{record['us_per_atom']:.4g} µs/atom" if "us_per_atom" in record else None
        found = found or (f"{record['seconds']:.3g} s" if "seconds" in record else record["failed"])
        least = ", ".join(
            f"{record[key]:.2g}" for key in ("least_us_per_atom", "least_arithmetic_us_per_atom") if key in record
        )
        cells = (record["what"], record["method"], record["dtype"], record.get("atoms", ""), found, least)
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    rates = ", ".join(f"{rate / 1e12:.3g} ({name})" for name, rate in about["operations_per_second"].items())
    numbers = {**about, "operations_per_second": f"{rates} 10¹²"}
    said = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in numbers.items() if value is not None)
    return f"{said}\n\n" + "\n".join(rows) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder for gpu.json and gpu.md")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--seconds", type=float, default=180.0, help="after which nothing more is begun")
    parser.add_argument("--quick", action="store_true", help="few atoms, short: a test of the script")
    parser.add_argument("--override", action="append", default=[], help="of mhdnn train")
    arguments = parser.parse_args()
    device, quick = arguments.device, arguments.quick
    end = time.perf_counter() + arguments.seconds
    speed, rates = bandwidth(device, 4 if quick else 1024), arithmetic_rates(device, 256 if quick else 8192)
    budget = 0.01 if quick else 0.5

    def all_records() -> Iterator[Record]:
        yield training_epoch(device, 1 if quick else 3, arguments.override)
        yield from salt(device, QUICK_SALT_REPEATS if quick else SALT_REPEATS, budget)
        yield from lammps_steps(device, LAMMPS_REPEATS)
        yield from peers(device, QUICK_REPEATS if quick else PEER_REPEATS, budget)
        yield from short_range(device, QUICK_REPEATS if quick else REPEATS, budget, speed, rates)

    records: list[Record] = []
    for record in all_records():
        records.append(record)
        print(json.dumps(record), flush=True)
        if time.perf_counter() > end:
            print("time is up: the rest is not measured", flush=True)
            break
    about = {**machine(device, speed), "operations_per_second": rates}
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "gpu.json").write_text(json.dumps({"machine": about, "records": records}, indent=1) + "\n")
    (arguments.output / "gpu.md").write_text(markdown(about, records))


if __name__ == "__main__":
    main()
