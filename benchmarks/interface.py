"""Work of separation, gap curve and sliding of a tin/graphene interface: a model against DFT points.

    mhdnn train experiment=sn_graphene data.dispersion=false hydra.run.dir=runs/interface
    python benchmarks/interface.py runs/interface/model.pt [--output F.json] [--figure F.png]

The points (data/sn_graphene_interface.extxyz, its card data/sn_graphene_interface.md) are single points of rigid slabs
by the code that labelled the training set; none of them is in it. The model is evaluated on the same structures, and
both sets of energies go through the same functions. A model that was trained without dispersion gets it back from the
calculator.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from rich.console import Console
from rich.table import Table

from mhdnn import MHDNNCalculator
from mhdnn.evaluation.plots import new_figure, save_figure, style_axes
from mhdnn.properties.energies import energy_of
from mhdnn.properties.gap_curve import GapCurve, analyse_gap_curve
from mhdnn.properties.interfaces import area_of
from mhdnn.properties.separation import work_of_separation
from mhdnn.properties.sliding import Sliding, analyse_sliding

ROOT = Path(__file__).parents[1]
FAR_GAP = 5.2  # Å; what binds there is dispersion
RELATIVE_FLOOR, ABSOLUTE_FLOOR = 0.15, 0.02  # of the work of separation; J/m²


@dataclass
class Curves:
    """What one source of energies says of one interface.

    :param slidings: by the gap at which the upper slab slides, Å
    """

    gap_curve: GapCurve
    slidings: dict[float, Sliding]

    def values(self) -> dict[str, float]:
        result = {
            "work_of_separation_j_per_m2": self.gap_curve.work,
            f"work_at_{FAR_GAP:.2f}_angstrom_j_per_m2": -float(self.gap_curve.energy(FAR_GAP)),
            "equilibrium_gap_angstrom": self.gap_curve.equilibrium_gap,
            "strength_gpa": self.gap_curve.strength,
        }
        for gap, sliding in self.slidings.items():
            result[f"largest_traction_at_{gap:.2f}_angstrom_gpa"] = sliding.largest_traction
            result[f"corrugation_at_{gap:.2f}_angstrom_j_per_m2"] = sliding.corrugation
        return result


def curves_of(points: list[Atoms], energy: Callable[[Atoms], float]) -> Curves:
    """Curves of one interface.

    :param energy: of one of the points, eV
    """
    apart = {atoms.info["role"]: energy(atoms) for atoms in points if atoms.info["series"] == "apart"}
    together = [atoms for atoms in points if atoms.info["series"] != "apart"]
    energy_1, energy_2 = apart.values()
    work = {
        (atoms.info["gap"], atoms.info["registry"]): work_of_separation(
            energy_1, energy_2, energy(atoms), area_of(atoms)
        )
        for atoms in together
    }
    gaps = sorted(gap for gap, registry in work if registry == 0.0)
    slidings = {}
    for gap in sorted({atoms.info["gap"] for atoms in together if atoms.info["series"] == "sliding"}):
        registries = np.array(sorted(registry for other, registry in work if other == gap))
        period = period_of(together[0])
        slidings[gap] = analyse_sliding(registries * period, [work[gap, one] for one in registries], period)
    return Curves(analyse_gap_curve(gaps, [-work[gap, 0.0] for gap in gaps]), slidings)


def period_of(atoms: Atoms) -> float:
    """Three bonds of the sheet: the period along them, Å."""
    carbon = atoms[atoms.numbers == 6]
    distances = carbon.get_all_distances(mic=True)
    return 3.0 * float(distances[distances > 0.1].min())


def holds(reference: float, found: float) -> bool:
    """Whether a work of separation is as good as asked for."""
    return abs(found - reference) < max(RELATIVE_FLOOR * abs(reference), ABSOLUTE_FLOOR)


def draw(name: str, reference: Curves, model: Curves, target: Path) -> None:
    """Gap curve, and for each gap work of separation and traction along the path."""
    figure = new_figure(4.2 * (1 + len(reference.slidings)), 3.8, f"tin on graphene ({name})")
    axes = figure.subplots(1, 1 + len(reference.slidings))
    fine = np.linspace(reference.gap_curve.gaps[0], reference.gap_curve.gaps[-1], 400)
    for curves, color, title in ((reference, "C0", "DFT"), (model, "C1", "model")):
        axes[0].plot(fine, curves.gap_curve.energy(fine), color=color)
        axes[0].plot(curves.gap_curve.gaps, curves.gap_curve.energies, "o", color=color, markersize=4, label=title)
        for place, sliding in zip(axes[1:], curves.slidings.values(), strict=True):
            path = np.linspace(0.0, sliding.period, 300)
            place.plot(path, sliding.interpolated(path), color=color)
            place.plot(sliding.path, sliding.work, "o", color=color, markersize=4, label=title)
    depth = reference.gap_curve.work
    axes[0].set(xlabel="gap (Å)", ylabel="interaction energy (J/m²)", ylim=(-1.5 * depth, 1.5 * depth))
    for place, gap in zip(axes[1:], reference.slidings, strict=True):
        place.set(xlabel="path (Å)", ylabel="work of separation (J/m²)", title=f"sliding at {gap:.2f} Å")
    for place in axes:
        place.legend()
        style_axes(place)
    save_figure(figure, target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--points", type=Path, default=ROOT / "data/sn_graphene_interface.extxyz")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--figure", type=Path, default=ROOT / "benchmarks/figures/interface.png")
    arguments = parser.parse_args()
    calculator = MHDNNCalculator(arguments.model)

    points = ase.io.read(arguments.points, index=":")
    records = {}
    for name in sorted({atoms.info["interface"] for atoms in points}):
        chosen = [atoms for atoms in points if atoms.info["interface"] == name]
        reference = curves_of(chosen, lambda atoms: atoms.get_potential_energy())
        model = curves_of(chosen, lambda atoms: energy_of(atoms, calculator))
        table = Table(name, "DFT", "model", "difference")
        values, found = reference.values(), model.values()
        for key, value in values.items():
            table.add_row(key, f"{value:.4f}", f"{found[key]:.4f}", f"{100 * (found[key] / value - 1):+.1f} %")
        Console().print(table)
        fine = holds(values["work_of_separation_j_per_m2"], found["work_of_separation_j_per_m2"])
        print(f"work of separation within 15 % or 0.02 J/m²: {'yes' if fine else 'no'}")
        records[name] = {"dft": values, "model": found, "work_of_separation_holds": fine, "num_points": len(chosen)}
        draw(name, reference, model, arguments.figure)
    if arguments.output:
        arguments.output.write_text(json.dumps(records, indent=2) + "\n")


if __name__ == "__main__":
    main()
