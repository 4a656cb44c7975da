r"""What is recorded of a state of charge: energy, voltage, volume, stress, charges, distortion.

Voltages against the metal M of the ion, of a step and of the whole charging,

.. math:: V = -\frac{E_2 - E_1 - (N_2 - N_1) E_M}{z (N_2 - N_1)}
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from mhdnn.properties.insertion import host_atoms, inserted_ions
from mhdnn.properties.interface_stress import atomic_virials
from mhdnn.properties.polyhedra import bond_angle_variance, find_polyhedra, off_centring, quadratic_elongation
from mhdnn.properties.slab_stress import in_gpa, slab_stresses, stress_or_none, traction
from mhdnn.properties.volumes import occupied_volume
from mhdnn.units import GPA_PER_EV_PER_CUBIC_ANGSTROM

if TYPE_CHECKING:
    from mhdnn.properties.charging import ChargingSettings


def record_of(
    atoms: Atoms,
    settings: ChargingSettings,
    host_energy: float | None = None,
    before: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Numbers of a state; what the calculator does not have is None.

    ``num_ions``, ``state_of_charge`` (of ``settings.num_ions``), ``energy_ev``, ``voltage_v`` of the step,
    ``average_voltage_v`` since the empty host, ``volume_angstrom3`` (`volumes.occupied_volume`),
    ``largest_force_ev_per_angstrom``, ``stress_gpa`` (Voigt, per occupied volume), and of hosts with
    the labels ``slab`` ``slab_stresses_gpa`` (of slab 1 and 2 with the ions nearest to each) and ``traction_gpa``
    across the gap (`mhdnn.properties.slab_stress`), ``ion_charges_e`` in the order of insertion,
    ``host_charge_e``, and means over the polyhedra around ``settings.distortion_center`` with the commonest
    ``coordination``: ``bond_angle_variance_degree2``, ``quadratic_elongation``, ``off_centring_angstrom``.

    :param atoms: relaxed, with a calculator
    :param host_energy: of the empty host, eV; None: these are the host
    :param before: record of the state before
    """
    ions = inserted_ions(atoms)
    energy = float(atoms.get_potential_energy())
    record: dict[str, Any] = {
        "num_ions": len(ions),
        "state_of_charge": len(ions) / settings.num_ions,
        "energy_ev": energy,
        "voltage_v": None,
        "average_voltage_v": None,
        "volume_angstrom3": occupied_volume(atoms),
        "largest_force_ev_per_angstrom": float(np.linalg.norm(atoms.get_forces(), axis=1).max()),
    }
    if before is not None and host_energy is not None:
        record["voltage_v"] = voltage(energy - before["energy_ev"], len(ions) - before["num_ions"], settings)
        record["average_voltage_v"] = voltage(energy - host_energy, len(ions), settings)
    return record | _stress(atoms) | _charges(atoms, ions) | _distortion(atoms, settings.distortion_center)


def voltage(energy_difference: float, num_ions: int, settings: ChargingSettings) -> float | None:
    """Voltage at which so many more ions cost so much energy, V; None without a change.

    :param energy_difference: eV
    :param num_ions: difference of the numbers of ions
    """
    if num_ions == 0:
        return None
    return -(energy_difference - num_ions * settings.reference_energy) / (settings.electrons * num_ions)


def _stress(atoms: Atoms) -> dict[str, Any]:
    """Stress of the electrode, of each of its labelled slabs, and across the gap, as far as the calculator has them."""
    result: dict[str, Any] = {"stress_gpa": None, "slab_stresses_gpa": None, "traction_gpa": None}
    stress = stress_or_none(atoms)
    if stress is not None:
        share = atoms.get_volume() / occupied_volume(atoms)
        result["stress_gpa"] = (GPA_PER_EV_PER_CUBIC_ANGSTROM * share * stress).tolist()
    if not atoms.has("slab"):
        return result
    result["traction_gpa"] = traction(atoms).tolist()
    if atoms.cell.rank == 3 and "stresses" in atoms.calc.implemented_properties:
        found = slab_stresses(atoms, atomic_virials(atoms))
        result["slab_stresses_gpa"] = [in_gpa(*found[label]).tolist() for label in sorted(found)]
    return result


def _charges(atoms: Atoms, ions: np.ndarray) -> dict[str, Any]:
    """Charges of the ions and of the host, if the calculator has charges."""
    if "charges" not in atoms.calc.implemented_properties:
        return {"ion_charges_e": None, "host_charge_e": None}
    charges = atoms.get_charges()
    return {"ion_charges_e": charges[ions].tolist(), "host_charge_e": float(charges.sum() - charges[ions].sum())}


def _distortion(atoms: Atoms, center: str | None) -> dict[str, Any]:
    """Means over the polyhedra of the host around an element that have the commonest number of ligands."""
    measures = {
        "bond_angle_variance_degree2": bond_angle_variance,
        "quadratic_elongation": quadratic_elongation,
        "off_centring_angstrom": off_centring,
    }
    if center is None:
        return dict.fromkeys(["coordination", *measures])
    found = find_polyhedra(atoms[host_atoms(atoms)], [center])
    commonest = Counter(len(polyhedron.ligands) for polyhedron in found).most_common(1)[0][0]
    alike = [polyhedron.vectors for polyhedron in found if len(polyhedron.ligands) == commonest]
    return {
        "coordination": commonest,
        **{name: float(np.mean([measure(vectors) for vectors in alike])) for name, measure in measures.items()},
    }
