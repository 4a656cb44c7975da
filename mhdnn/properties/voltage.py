r"""Intercalation: convex hull, voltage profile, changes of volume and cell.

For :math:`\mathrm{A}_x\mathrm{Host}` between two compositions that are neighbours on the convex hull

.. math:: V = -\frac{E(x_2) - E(x_1) - (x_2 - x_1)\,E_A}{(x_2 - x_1)\,z}

with the energy :math:`E_A` of an atom of the metal and z electrons for each ion (Aydinol et al.,
https://doi.org/10.1103/PhysRevB.56.1354). Energies stand for free energies: no entropy, no pressure.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.data import atomic_masses, atomic_numbers
from ase.formula import Formula

from mhdnn.errors import ConfigError
from mhdnn.properties.points import Points
from mhdnn.properties.report import Curve, Report
from mhdnn.properties.resting import Rest, structures_at_rest
from mhdnn.properties.voltage_figure import voltage_figure
from mhdnn.units import FARADAY_MAH_PER_MOL

SAME_COMPOSITION = 1e-9


@dataclass
class Intercalation:
    """Structures of a host with ions, all per formula unit of the host, sorted by x.

    :param host: formula of the host
    :param ion: symbol of the ion
    :param ions: x, shape (num_structures,)
    :param energies: shape (num_structures,), eV
    :param volumes: shape (num_structures,), Å³; NaN without three periodic directions
    :param cells: lengths (Å) and angles (degrees) of the cells as they are given, shape (num_structures, 6)
    :param units: formula units of the host in the cells, shape (num_structures,)
    """

    host: str
    ion: str
    ions: np.ndarray
    energies: np.ndarray
    volumes: np.ndarray
    cells: np.ndarray
    units: np.ndarray

    @property
    def formation_energies(self) -> np.ndarray:
        """Energies relative to the line between the lowest energies of the two end compositions, eV."""
        start, end = self.ions[0], self.ions[-1]
        first = self.energies[self.ions < start + SAME_COMPOSITION].min()
        last = self.energies[self.ions > end - SAME_COMPOSITION].min()
        fraction = (self.ions - start) / (end - start)
        return self.energies - (1.0 - fraction) * first - fraction * last

    @property
    def stable(self) -> np.ndarray:
        """Numbers of the structures on the hull, by increasing x."""
        return lower_hull(self.ions, self.energies)

    @property
    def volume_changes(self) -> np.ndarray:
        """Volumes on the hull relative to that of the emptiest host, minus one; by increasing x."""
        volumes = self.volumes[self.stable]
        return volumes / volumes[0] - 1.0

    @property
    def cell_changes(self) -> np.ndarray:
        """Relative changes of a, b, c and changes of the angles (degrees) on the hull, shape (num_stable, 6).

        NaN for cells with another number of formula units than the emptiest host's: their edges are other vectors.
        """
        cells = self.cells[self.stable]
        changes = cells - cells[0]
        changes[:, :3] /= cells[0, :3]
        changes[self.units[self.stable] != self.units[self.stable[0]]] = np.nan
        return changes

    @property
    def energies_above_hull(self) -> np.ndarray:
        """What a structure would gain by separating into its neighbours on the hull, eV."""
        stable = self.stable
        return self.energies - np.interp(self.ions, self.ions[stable], self.energies[stable])


@dataclass
class Plateau:
    """The voltage between two stable compositions.

    :param charged: x of the composition with fewer ions
    :param discharged: x of the one with more
    :param voltage: V
    :param volume_change: by discharging, relative to the charged one
    """

    charged: float
    discharged: float
    voltage: float
    volume_change: float


def intercalation(structures: Sequence[Atoms], ion: str = "Li") -> Intercalation:
    """Compositions, energies and volumes per formula unit of the host.

    The host is all that is not the ion; its formula unit has the smallest whole numbers of atoms.

    :param structures: with energies, of one host with at least two different numbers of ions
    :param ion: symbol of the element that goes in and out
    :raises ConfigError: if hosts differ, or a structure has none, or all have the same composition
    """
    if ion not in atomic_numbers:
        raise ConfigError(f"`ion`: expected the symbol of an element, got {ion!r}")
    host, rows = "", []
    for number, atoms in enumerate(structures):
        unit, num_units, num_ions = _composition(atoms, ion, number)
        if host not in ("", unit):
            raise ConfigError(f"`structures`: expected one host, {host}, but number {number} has {unit}; separate them")
        host = unit
        volume = atoms.get_volume() if atoms.pbc.all() else np.nan
        cell = atoms.cell.cellpar() if atoms.cell.rank == 3 else np.full(6, np.nan)
        energy = atoms.get_potential_energy() / num_units
        rows.append((num_ions / num_units, energy, volume / num_units, num_units, *cell))
    table = np.array(sorted(rows, key=lambda row: row[:2]))
    if len(table) < 2 or table[-1, 0] - table[0, 0] < SAME_COMPOSITION:
        raise ConfigError(
            f"`structures`: expected at least two compositions with different numbers of {ion}, got "
            f"{len(structures)} structures with one"
        )
    ions, energies, volumes, units = table.T[:4]
    return Intercalation(host, ion, ions, energies, volumes, table[:, 4:], units.astype(int))


def _composition(atoms: Atoms, ion: str, number: int) -> tuple[str, int, int]:
    """Formula of the host's unit, how many of them, and how many ions."""
    counts = Counter(atoms.get_chemical_symbols())
    num_ions = counts.pop(ion, 0)
    if not counts:
        raise ConfigError(f"`structures`: number {number} has no atoms other than {ion}; expected a host")
    units = math.gcd(*counts.values())
    unit = Formula.from_dict({symbol: count // units for symbol, count in counts.items()}).format("hill")
    return unit, units, num_ions


def lower_hull(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Numbers of the points on the lower convex hull, by increasing x.

    Points on a straight part between two others don't count; of several at one x the lowest does.

    :param x: shape (num_points,)
    :param y: shape (num_points,)
    """
    hull: list[int] = []
    for point in np.lexsort((y, x)):
        if hull and x[point] - x[hull[-1]] < SAME_COMPOSITION:
            continue
        while len(hull) > 1:
            one, two = hull[-2:]
            if (y[two] - y[one]) * (x[point] - x[one]) < (y[point] - y[one]) * (x[two] - x[one]):
                break
            hull.pop()
        hull.append(int(point))
    return np.array(hull)


def voltage_profile(states: Intercalation, ion_energy: float, electrons: int = 1) -> list[Plateau]:
    """Voltages between neighbours on the hull against the metal, from the empty to the full host.

    :param ion_energy: of an atom of the metal, eV
    :param electrons: for each ion
    :raises ConfigError: if ``electrons`` is not positive
    """
    if electrons < 1:
        raise ConfigError(f"`electrons`: expected a positive number for each ion, got {electrons}")
    stable = states.stable
    plateaus = []
    for one, two in zip(stable[:-1], stable[1:], strict=True):
        change = states.ions[two] - states.ions[one]
        gain = change * ion_energy - (states.energies[two] - states.energies[one])
        volume_change = states.volumes[two] / states.volumes[one] - 1.0
        plateaus.append(
            Plateau(
                float(states.ions[one]),
                float(states.ions[two]),
                float(gain / (change * electrons)),
                float(volume_change),
            )
        )
    return plateaus


def average_voltage(plateaus: Sequence[Plateau]) -> float:
    """Mean voltage over the charge that flows, V."""
    widths = np.array([plateau.discharged - plateau.charged for plateau in plateaus])
    return float(np.average([plateau.voltage for plateau in plateaus], weights=widths))


def capacity(states: Intercalation, electrons: int = 1) -> float:
    """Charge between the emptiest and the fullest composition per mass of the fullest, mAh/g."""
    mass = sum(atomic_masses[atomic_numbers[s]] * n for s, n in Formula(states.host).count().items())
    mass += states.ions[-1] * atomic_masses[atomic_numbers[states.ion]]
    return float((states.ions[-1] - states.ions[0]) * electrons * FARADAY_MAH_PER_MOL / mass)


def energy_per_atom(metal: Atoms, ion: str) -> float:
    """Energy of an atom of the metal that the ion comes from, eV.

    :param metal: with an energy
    :raises ConfigError: if it has other elements
    """
    if set(metal.get_chemical_symbols()) != {ion}:
        raise ConfigError(f"`metal`: expected {ion} alone, got {metal.get_chemical_formula()}")
    return metal.get_potential_energy() / len(metal)


def voltage_report(
    structures: list[Atoms],
    metal: Atoms,
    calculator: Calculator | None = None,
    ion: str = "Li",
    electrons: int = 1,
    relax: bool = True,
    max_force: float = 0.01,
    journal: Path | None = None,
) -> Report:
    """Convex hull, voltage profile, capacity, changes of volume and cell of an intercalation electrode.

    ``volume_change_percent`` is that of the fullest against the emptiest composition, negative if the host shrinks;
    ``..._peak_to_peak_percent`` the largest less the smallest volume on the hull, by that of the emptiest.

    :param structures: of one host with different numbers of ions
    :param metal: that the ions come from, for example body-centred lithium
    :param calculator: of energies; without it the energies that the files hold are taken (with relax=false)
    :param ion: symbol of the element that goes in and out
    :param electrons: for each ion
    :param relax: whether positions and cells are relaxed
    :param max_force: at the end of a relaxation, eV/Å
    :param journal: JSON file of finished structures, from which an interrupted command continues
    """
    points = Points()
    found = structures_at_rest(
        [metal, *structures], calculator, Rest(relax, True, max_force), points, 1, journal, "voltage"
    )
    at_rest = [atoms for atoms in found if atoms is not None]
    points.check(len(at_rest) - 1, 2, "structures")
    ion_energy = energy_per_atom(at_rest[0], ion)
    states = intercalation(at_rest[1:], ion)
    plateaus = voltage_profile(states, ion_energy, electrons)
    values = _values(states, plateaus, electrons)
    figure = voltage_figure(states, plateaus)
    return Report(
        "voltage", {"ion_energy_ev": ion_energy, **values}, figure, points.failures + _warnings(states), at_rest
    )


def _values(states: Intercalation, plateaus: Sequence[Plateau], electrons: int) -> dict[str, Any]:
    """Everything that follows from the hull, for a report."""
    mean = average_voltage(plateaus)
    stable = np.isin(np.arange(len(states.ions)), states.stable)
    return {
        "host": states.host,
        "ion": states.ion,
        "average_voltage_v": mean,
        "capacity_mah_per_g": capacity(states, electrons),
        "specific_energy_wh_per_kg": mean * capacity(states, electrons),
        "volume_change_percent": 100.0 * states.volume_changes[-1],
        "volume_change_peak_to_peak_percent": 100.0 * np.ptp(states.volume_changes),
        **_cell_changes(states),
        "ions_per_formula_unit": states.ions,
        "formation_energies_ev_per_formula_unit": states.formation_energies,
        "energies_above_hull_ev_per_formula_unit": states.energies_above_hull,
        "volumes_cubic_angstrom_per_formula_unit": states.volumes,
        "cell_lengths_angstrom": states.cells[:, :3],
        "cell_angles_degree": states.cells[:, 3:],
        "formula_units": states.units,
        "stable": stable,
        "plateaus": [
            {
                "charged_ions_per_formula_unit": plateau.charged,
                "discharged_ions_per_formula_unit": plateau.discharged,
                "voltage_v": plateau.voltage,
                "volume_change_percent": 100.0 * plateau.volume_change,
            }
            for plateau in plateaus
        ],
    }


def _curves(states: Intercalation, plateaus: Sequence[Plateau]) -> dict[str, Curve]:
    """Formation energies on the hull, voltage as steps, and volume, for several calculators."""
    x_label = f"x in {states.ion}$_x${states.host}"
    ends = np.array([[plateau.charged, plateau.discharged] for plateau in plateaus]).ravel()
    steps = np.repeat([plateau.voltage for plateau in plateaus], 2)
    stable = states.stable
    hull = states.formation_energies[stable]
    curves = {
        "hull": Curve(states.ions[stable], hull, x_label, "formation energy, eV per formula unit"),
        "voltage": Curve(ends, steps, x_label, f"voltage against {states.ion}, V"),
    }
    if np.isfinite(states.volume_changes).all():
        curves["volume"] = Curve(states.ions[stable], 100.0 * states.volume_changes, x_label, "change of volume, %")
    return curves


def _cell_changes(states: Intercalation) -> dict[str, Any]:
    """Changes of the cell over the hull: from its emptiest to its fullest, and peak to peak."""
    changes = states.cell_changes * [100.0, 100.0, 100.0, 1.0, 1.0, 1.0]
    extent = np.ptp(changes, axis=0)
    return {
        "length_changes_percent": changes[-1, :3],
        "length_changes_peak_to_peak_percent": extent[:3],
        "angle_changes_degree": changes[-1, 3:],
        "angle_changes_peak_to_peak_degree": extent[3:],
    }


def _warnings(states: Intercalation) -> list[str]:
    """Structures whose cells can't be compared."""
    units = states.units[states.stable]
    if len(set(units.tolist())) > 1:
        return [
            f"cells on the hull hold {', '.join(map(str, units))} formula units, so that changes of a, b, c and the "
            "angles are not known; give all structures in one supercell"
        ]
    return []
