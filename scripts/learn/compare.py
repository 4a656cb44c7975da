"""What a learned model and its oracle say of the interface: table and JSON.

    python scripts/learn/compare.py STRUCTURES MODEL FOLDER

Work of separation, equilibrium gap and strength from the gap curve of rigid slabs; the largest sliding traction at
the oracle's gap; energies of lithium at places that no label has, relaxed with the model, against the oracle's metal;
forces along molecular dynamics with the model; seconds of a step.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator

from mhdnn.deploy.calculator import MHDNNCalculator
from mhdnn.files import write_text_atomically
from mhdnn.properties.calculators import resolve_calculator
from mhdnn.properties.elasticity_md import Dynamics
from mhdnn.properties.energies import energy_of
from mhdnn.properties.gap_curve import gap_curve_report
from mhdnn.properties.interfaces import with_gap
from mhdnn.properties.relaxation import relaxed
from mhdnn.properties.screening.pairs import with_ions
from mhdnn.properties.screening.plan import InsertionPlan
from mhdnn.properties.separation import separation_report
from mhdnn.properties.sliding import sliding_report
from mhdnn.properties.velocities import thermal_momenta

ORACLE = "mhdnn.properties.teacher:chgnet_d3"
GAPS = (2.4, 2.6, 2.8, 3.0, 3.1, 3.2, 3.3, 3.4, 3.5, 3.6, 3.8, 4.0, 4.3, 4.7, 5.2, 6.0, 7.0)
PLACES = [(where, seed) for where in ("gap", "material") for seed in (101, 102, 103)]
TEMPERATURES = (300.0, 600.0)
STEPS, EVERY = 1000, 100
REPEATS = (2, 2, 1)
"""Of the interface for the time of a step."""


def adhesion(clean: Atoms, calculator: Calculator, gap: float | None) -> dict[str, float]:
    """Gap curve, sliding at a gap (its own if none), relaxed work of separation."""
    curve = gap_curve_report(clean, calculator, gaps=list(GAPS)).values
    at_rest = with_gap(clean, gap or float(curve["equilibrium_gap_angstrom"]))
    slide = sliding_report(at_rest, calculator, num_points=8, tolerance=None).values
    separation = separation_report(at_rest, calculator, max_force=0.05, max_steps=500).values
    return {
        "work_of_separation_j_per_m2": float(curve["work_of_separation_j_per_m2"]),
        "equilibrium_gap_angstrom": float(curve["equilibrium_gap_angstrom"]),
        "strength_gpa": float(curve["strength_gpa"]),
        "largest_traction_gpa": float(slide["largest_traction_gpa"]),
        "work_of_separation_relaxed_j_per_m2": float(separation["work_of_separation_relaxed_j_per_m2"]),
        "gap_relaxed_angstrom": float(separation["gap_relaxed_angstrom"]),
    }


def with_lithium(clean: Atoms, model: Calculator) -> list[Atoms]:
    """One lithium at several places, relaxed with the model."""
    content = 1.0 / int((clean.get_array("slab") == 2).sum())
    return [
        relaxed(with_ions(clean, "Li", content, InsertionPlan(where, 2.0, seed)), model, 0.05, max_steps=500)
        for where, seed in PLACES
    ]


def frames_of(atoms: Atoms, model: Calculator, temperature: float) -> list[Atoms]:
    """Structures along molecular dynamics."""
    atoms, generator = atoms.copy(), np.random.default_rng(7)
    atoms.calc = model
    atoms.set_momenta(thermal_momenta(atoms, temperature, generator))
    integrator = Dynamics(temperature).integrator(atoms, generator)
    frames = []
    for _ in range(STEPS // EVERY):
        integrator.run(EVERY)
        frames.append(atoms.copy())
    return frames


def seconds_of_a_step(atoms: Atoms, calculator: Calculator, num_steps: int) -> float:
    """CPU seconds of a step of molecular dynamics in ASE."""
    atoms = atoms.copy()
    atoms.calc = calculator
    generator = np.random.default_rng(0)
    atoms.set_momenta(thermal_momenta(atoms, 300.0, generator))
    integrator = Dynamics(300.0).integrator(atoms, generator)
    integrator.run(2)
    begin = time.process_time()
    integrator.run(num_steps)
    return (time.process_time() - begin) / num_steps


def insertion_energies(structures: list[Atoms], clean: Atoms, calculator: Calculator, metal: float) -> np.ndarray:
    """Energy of each lithium against the metal, eV."""
    return np.array([energy_of(atoms, calculator) - energy_of(clean, calculator) - metal for atoms in structures])


def force_error(frames: list[Atoms], model: Calculator, oracle: Calculator) -> float:
    """Root mean square difference of force components, eV/Å."""
    differences = []
    for atoms in frames:
        forces = []
        for calculator in (model, oracle):
            copy = atoms.copy()
            copy.calc = calculator
            forces.append(copy.get_forces())
        differences.append(forces[0] - forces[1])
    return float(np.sqrt(np.mean(np.square(np.concatenate(differences)))))


def compared(clean: Atoms, lithiated: list[Atoms], path: Path) -> dict[str, Any]:
    """All numbers of model and oracle."""
    oracle, model = resolve_calculator(ORACLE), MHDNNCalculator(path)
    result: dict[str, Any] = {"oracle": adhesion(clean, oracle, None)}
    gap = result["oracle"]["equilibrium_gap_angstrom"]
    result["model"] = adhesion(clean, model, gap)
    at_rest = with_gap(clean, gap)
    at_rest.rattle(0.1, seed=0)  # a cut surface is a saddle point; lithium would take the credit for leaving it
    at_rest = relaxed(at_rest, model, 0.05, max_steps=500)
    places = with_lithium(at_rest, model)
    metal = energy_of(relaxed(bulk("Li"), oracle, 0.02, cell=True), oracle)
    for name, calculator in (("oracle", oracle), ("model", model)):
        result[name]["insertion_energies_ev"] = insertion_energies(places, at_rest, calculator, metal).tolist()
    for temperature in TEMPERATURES:
        frames = [frame for atoms in (clean, lithiated[-1]) for frame in frames_of(atoms, model, temperature)]
        result[f"force_rmse_{temperature:g}k_ev_per_angstrom"] = force_error(frames, model, oracle)
    large = clean.repeat(REPEATS)
    result["atoms_of_a_step"] = len(large)
    result["oracle"]["seconds_of_a_step"] = seconds_of_a_step(large, oracle, 5)
    result["model"]["seconds_of_a_step"] = seconds_of_a_step(large, model, 50)
    return result


def main(structures: Path, model: Path, folder: Path) -> None:
    """Compute, write comparison.json and print."""
    clean = ase.io.read(structures / "clean.extxyz", 0)
    result = compared(clean, ase.io.read(structures / "lithiated.extxyz", ":"), model)
    write_text_atomically(folder / "comparison.json", json.dumps(result, indent=2) + "\n")
    print(f"{'':40s}{'oracle':>12s}{'model':>12s}")
    for key, value in result["oracle"].items():
        pairs = zip(np.atleast_1d(value), np.atleast_1d(result["model"][key]), strict=True)
        for one, other in pairs:
            print(f"{key:40s}{one:12.4f}{other:12.4f}")
    for key, value in result.items():
        if key not in ("oracle", "model"):
            print(f"{key:52s}{value:12.4g}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
