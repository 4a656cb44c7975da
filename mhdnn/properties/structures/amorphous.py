"""Amorphous solids by melting and quenching with any calculator."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import make_supercell
from ase.calculators.calculator import Calculator
from ase.md.langevin import Langevin
from ase.neighborlist import neighbor_list
from matplotlib.figure import Figure

from mhdnn.errors import ConfigError, PropertyError
from mhdnn.evaluation.plots import label_axes, new_figure, style_axes
from mhdnn.properties.fracture.planes import check_crystal
from mhdnn.properties.journal import Journal, identity
from mhdnn.properties.progress import tracked
from mhdnn.properties.relaxation import relaxed
from mhdnn.properties.report import Curve, Report
from mhdnn.properties.structures.files import write_structure

HISTOGRAM_WIDTH = 0.1
"""Å"""
ON_SITE = 0.25
"""Of the first peak; an atom that moved less is on its lattice site."""
INTERVAL = 10
"""Steps between changes of the temperature."""
SEGMENTS = 50
"""Parts of the quench, each of which a journal keeps."""


@dataclass(frozen=True)
class Quench:
    """Langevin dynamics from the melt to the glass at constant volume.

    :param melt_temperature: K
    :param end_temperature: K
    :param melt_steps: at the first temperature
    :param quench_steps: while the temperature falls steadily
    :param time_step: fs
    :param friction: of the thermostat, 1/fs
    :param seed: of velocities and thermostat
    :raises ConfigError: if a number is not positive, or the end is hotter than the melt
    """

    melt_temperature: float = 3000.0
    end_temperature: float = 300.0
    melt_steps: int = 10000
    quench_steps: int = 100000
    time_step: float = 1.0
    friction: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("melt_temperature", "end_temperature", "melt_steps", "quench_steps", "time_step", "friction"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"`{name}`: expected a positive number, got {getattr(self, name)}")
        if self.end_temperature >= self.melt_temperature:
            raise ConfigError(
                f"`end_temperature`: expected less than `melt_temperature`={self.melt_temperature:g} K, got "
                f"{self.end_temperature:g} K"
            )

    @property
    def segments(self) -> list[list[tuple[float, int]]]:
        """Temperatures and steps, in parts after which an interrupted quench continues."""
        cooling = np.linspace(self.melt_temperature, self.end_temperature, max(1, self.quench_steps // INTERVAL))
        parts = np.array_split(cooling, min(SEGMENTS, len(cooling)))
        return [
            [(self.melt_temperature, self.melt_steps)],
            *([(float(temperature), INTERVAL) for temperature in part] for part in parts),
        ]

    @property
    def rate(self) -> float:
        """K/ps."""
        return 1000.0 * (self.melt_temperature - self.end_temperature) / (self.quench_steps * self.time_step)


def melt_quench(
    atoms: Atoms,
    calculator: Calculator,
    quench: Quench,
    max_force: float = 0.01,
    cell: bool = True,
    journal: Path | None = None,
) -> Atoms:
    """The relaxed glass that a crystal becomes.

    :param atoms: supercell of the crystal
    :param max_force: of the relaxation at the end, eV/Å
    :param cell: whether its cell relaxes, too
    :param journal: JSON file from which an interrupted quench continues, with the result of one that was not
    :raises ConfigError: if the journal is of another calculation
    :raises PropertyError: if atoms leave all bounds, or the relaxation does not end
    """
    store = Journal(journal, {} if journal is None else {**identity(atoms, calculator), **asdict(quench)})
    current = atoms.copy()
    spread = np.sqrt(units.kB * quench.melt_temperature * current.get_masses())[:, None]
    current.set_momenta(spread * np.random.default_rng([quench.seed]).normal(size=(len(current), 3)))
    for number, pieces in enumerate(tracked(quench.segments, "melt and quench")):
        state = store.get(f"segment {number}", partial(_segment, current, calculator, quench, number, pieces))
        current.positions = state["positions"]
        current.set_momenta(np.array(state["momenta"]))
    current.set_momenta(np.zeros((len(current), 3)))
    return relaxed(current, calculator, max_force, cell)


def _segment(
    start: Atoms, calculator: Calculator, quench: Quench, number: int, pieces: list[tuple[float, int]]
) -> dict[str, np.ndarray]:
    """Positions and momenta after some temperatures, each for some steps; random numbers of its own."""
    atoms = start.copy()
    atoms.calc = calculator
    dynamics = Langevin(
        atoms,
        quench.time_step * units.fs,
        temperature_K=pieces[0][0],
        friction=quench.friction / units.fs,
        fixcm=False,
        rng=np.random.default_rng([quench.seed, number]),
    )
    for temperature, steps in pieces:
        dynamics.set_temperature(temperature_K=temperature)
        dynamics.run(steps)
        if not np.isfinite(atoms.positions).all():
            raise PropertyError("`time_step`: atoms left all bounds; take a shorter one or another model")
    return {"positions": atoms.positions, "momenta": atoms.get_momenta()}


def radial_distribution(atoms: Atoms, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """g(r): the density at a distance from an atom by the mean density.

    :param reach: largest distance, Å
    :return: middles of the bins, Å, and g, both of shape (num_bins,)
    """
    edges = np.arange(0.0, reach + 1e-9, HISTOGRAM_WIDTH)
    counts, _ = np.histogram(neighbor_list("d", atoms, reach), edges)
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    return 0.5 * (edges[1:] + edges[:-1]), counts * atoms.get_volume() / (len(atoms) ** 2 * shells)


def first_shell(distances: np.ndarray, distribution: np.ndarray) -> tuple[float, float]:
    """Where g(r) has its first maximum, and where it is least before 1.4 times this distance, Å."""
    start = distances[np.flatnonzero(distribution > 1.0)[0]]
    within = distances < 1.3 * start
    top = float(distances[within][distribution[within].argmax()])
    after = (distances > top) & (distances <= 1.4 * top)
    return top, float(distances[after][distribution[after].argmin()])


def amorphous_report(
    calculator: Calculator,
    atoms: Atoms,
    quench: Quench,
    min_length: float = 10.0,
    density: float | None = None,
    max_force: float = 0.01,
    relax_cell: bool = True,
    structure: Path = Path("amorphous.extxyz"),
    journal: Path | None = None,
) -> Report:
    """Amorphous silicon, and other glasses: a crystal is melted, quenched and relaxed; g(r) and coordination.

    :param calculator: of the energies
    :param atoms: crystal
    :param min_length: least length of the supercell, Å
    :param density: of melt and quench, relative to the crystal's; none: the same
    :param max_force: of the relaxation at the end, eV/Å
    :param relax_cell: whether its cell relaxes at the end, too
    :param structure: file that it is written to
    :param journal: JSON file from which an interrupted quench continues
    :raises ConfigError: for what is no crystal, numbers that can't be, or a journal of another calculation
    :raises PropertyError: if atoms leave all bounds, or the relaxation does not end
    """
    check_crystal(atoms, "atoms", "take a crystal that can melt as a whole")
    reference = _supercell(atoms, min_length)
    crystal = reference.copy()
    if density is not None:
        if not density > 0:
            raise ConfigError(f"`density`: expected a positive number, got {density}")
        crystal.set_cell(crystal.cell[:] * density ** (-1 / 3), scale_atoms=True)
    glass = melt_quench(crystal, calculator, quench, max_force, relax_cell, journal)
    write_structure(glass, structure, "structure")
    reference.calc = calculator
    reach = min(8.0, min_length)
    values = {"num_atoms": len(glass), "quench_rate_k_per_ps": quench.rate}
    values |= _described(glass, crystal, reference, reach) | {"structure": structure}
    warnings = []
    if values["share_on_lattice_sites"] > 0.5:
        warnings = [
            "most atoms are where the crystal had them: it did not melt; raise `melt_temperature` or `melt_steps`"
        ]
    title = f"{glass.get_chemical_formula()}, {quench.rate:.4g} K/ps"
    figure = _figure(glass, reference, reach, values["first_minimum_angstrom"], title)
    curves = {"g": Curve(*radial_distribution(glass, reach), "distance, Å", "g(r)")}
    return Report("amorphous", values, figure, warnings, structures=[glass], curves=curves)


def _described(glass: Atoms, crystal: Atoms, reference: Atoms, reach: float) -> dict[str, Any]:
    """Volume, energy, neighbours; and how many atoms are where they began, apart from a drift of all."""
    peak, cutoff = first_shell(*radial_distribution(glass, reach))
    coordination = np.bincount(neighbor_list("i", glass, cutoff), minlength=len(glass))
    moved = glass.get_scaled_positions(wrap=False) - crystal.get_scaled_positions(wrap=False)
    distances = np.linalg.norm((moved - moved.mean(0)) @ glass.cell[:], axis=1)
    # the glass last: its results stay in the calculator, for the file
    energy = -reference.get_potential_energy() + glass.get_potential_energy()
    return {
        "volume_per_atom_angstrom3": glass.get_volume() / len(glass),
        "volume_to_crystal": glass.get_volume() / reference.get_volume(),
        "energy_above_crystal_ev_per_atom": energy / len(glass),
        "first_peak_angstrom": peak,
        "first_minimum_angstrom": cutoff,
        "mean_coordination": float(coordination.mean()),
        "coordination_shares": {str(n): float((coordination == n).mean()) for n in np.unique(coordination)},
        "share_on_lattice_sites": float((distances < ON_SITE * peak).mean()),
    }


def _supercell(atoms: Atoms, min_length: float) -> Atoms:
    heights = 1.0 / np.linalg.norm(atoms.cell.reciprocal()[:], axis=1)
    return make_supercell(atoms, np.diag(np.ceil(min_length / heights - 1e-6).astype(int)))


def _figure(glass: Atoms, crystal: Atoms, reach: float, cutoff: float, title: str) -> Figure:
    figure = new_figure(5.2, 3.8, title)
    axes = figure.subplots()
    style_axes(axes)
    distances, distribution = radial_distribution(glass, reach)
    axes.plot(distances, distribution, label="quenched")
    before = radial_distribution(crystal, reach)[1]
    axes.plot(distances, before / before.max() * distribution.max(), lw=0.8, color="0.6", label="crystal (scaled)")
    axes.axvline(cutoff, color="0.4", ls=":", lw=0.9)
    axes.legend(frameon=False, fontsize=9)
    label_axes(axes, "distance, Å", "g(r)")
    return figure
